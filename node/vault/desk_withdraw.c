/*
 * desk_withdraw.c - what a refresh changes, and patients who withdraw.
 *
 * Whoever has an answer from before and one from after a change has the difference, so a
 * dataset of which something was released changes by many patients or by none. A patient who
 * withdraws is out of every new sum at once; the version, and with it the answers that were
 * given, ends when enough have changed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/vault/desk.h"

enum { IDENTIFIERS_MAX = 1000 * 1000 };

static uint64_t threshold(struct desk *d)
{
    const struct policy_now *now;
    struct policy standard;

    policy_cautious(&standard);
    const double *number = vault_policy(d->cx, d->v, &now) == FAULT_NONE
                               ? now->numbers.number
                               : standard.number;

    return (uint64_t)number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
}

static enum fault was_released(struct desk *d, struct bytes packed, bool *ret)
{
    struct codebook *cb;
    struct memory *m;

    TRY(codebook_open(d->cx, packed, &cb));
    TRY(memory_open(d->cx, &d->v->memories, d->v->db, cb, &m));
    *ret = memory_is_settled(m);
    return FAULT_NONE;
}

enum fault desk_check_refresh(struct desk *d, const char *staging, const char *name,
                              struct bytes codebook)
{
    struct dataset_changes c = {0};
    bool any, released;

    TRY(store_changes(d->cx, d->v->store, staging, name, codebook, &any, &c));
    TRY(was_released(d, codebook, &released));
    uint64_t all = c.came + c.went + c.changed, least = threshold(d);

    if (any)
        buffer_printf(&d->text,
                      "%s: %" PRIu64 " patients came, %" PRIu64 " went, %" PRIu64
                      " have other values\n",
                      name, c.came, c.went, c.changed);
    if (!any || !released || all == 0 || all >= least)
        return FAULT_NONE;
    return cx_fail(d->cx, FAULT_REFUSED,
                   "%s: %" PRIu64 " patients came, %" PRIu64 " went, %" PRIu64
                   " have other values: too few, for whoever compares answers from before and "
                   "after would learn about them. Import again when it is %" PRIu64
                   " together (minimum_frequency_threshold) or more; what answered before still "
                   "does. Who withdrew is left out at once by `cohortiumd data withdraw`",
                   name, c.came, c.went, c.changed, least);
}

/* ---- who withdraws ---- */

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* One identifier a line, as data files have them. */
static enum fault read_identifiers(struct desk *d, const char *name_space, struct bytes text,
                                   uint8_t (**ret)[16], size_t *ret_n)
{
    const char *p = (const char *)text.p, *end = p + text.n;
    size_t lines = 1, n = 0;

    for (size_t i = 0; i < text.n; i++)
        lines += p[i] == '\n';
    if (lines > IDENTIFIERS_MAX)
        return cx_fail(d->cx, FAULT_BOUND, "more than %d identifiers at once", IDENTIFIERS_MAX);
    CX_NEW(d->cx, *ret, lines);
    while (p < end) {
        const char *next = memchr(p, '\n', (size_t)(end - p)), *last;

        last = next != NULL ? next : end;
        for (next = last + 1; p < last && strchr(" \t\r", *p) != NULL; p++)
            ;
        while (last > p && strchr(" \t\r", last[-1]) != NULL)
            last--;
        if (last > p)
            patient_hash(keys_seed(d->v->patient), name_space, p, (size_t)(last - p),
                         (*ret)[n++]);
        p = next;
    }
    if (n == 0)
        return cx_fail(d->cx, FAULT_USAGE,
                       "expected identifiers of patients, one a line, as the data files have "
                       "them");
    qsort(*ret, n, sizeof **ret, by_bytes);
    *ret_n = n;
    return FAULT_NONE;
}

/* A dataset of the namespace, some of whose patients withdrew since its version. */
static enum fault end_version(struct desk *d, const char *name, uint64_t since)
{
    uint64_t least = threshold(d);
    uint8_t version[ID_BYTES];

    if (since < least) {
        buffer_printf(&d->text,
                      "%s: %" PRIu64 " patients withdrew since its version; answers from before "
                      "are given again as they were until it is %" PRIu64 "\n",
                      name, since, least);
        return FAULT_NONE;
    }
    struct desk_act a = desk_act("import", cx_printf(d->cx,
                                                  "a new version of %s answers, without the rows "
                                                  "of who withdrew",
                                                  name));

    TRY(store_cut(d->cx, d->v->store, name, desk_log, &a, version));
    buffer_printf(&d->text,
                  "%s: %" PRIu64 " patients withdrew since its version; version %s answers now, "
                  "without their rows, and answers from before are not given again\n",
                  name, since, bytes_hex(d->cx, version, 4));
    return FAULT_NONE;
}

static enum fault end_versions(struct desk *d, const char *name_space)
{
    struct store_row *rows;
    size_t n = 0;

    TRY(store_list(d->cx, d->v->store, false, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        AUTO_DATASET struct dataset *data = NULL;
        uint64_t since;

        if (strcmp(rows[i].state, "answers") != 0)
            continue;
        TRY(store_current(d->cx, d->v->store, rows[i].name, &data));
        if (strcmp(codebook_namespace(data->cb), name_space) != 0)
            continue;
        TRY(store_left_out(d->cx, d->v->store, rows[i].name, &since));
        if (since > 0)
            TRY(end_version(d, rows[i].name, since));
    }
    return FAULT_NONE;
}

static uint64_t count_known(const struct dataset *data, const uint8_t (*hashes)[16], size_t n)
{
    uint64_t known = 0;

    for (size_t i = 0; i < n; i++)
        known += (i == 0 || memcmp(hashes[i - 1], hashes[i], 16) != 0) &&
                 bsearch(hashes[i], data->patients.hashes, (size_t)data->patients.count, 16,
                         by_bytes) != NULL;
    return known;
}

enum fault desk_data_withdraw(struct desk *d)
{
    AUTO_DATASET struct dataset *data = NULL;
    const char *name, *reason;
    uint8_t(*hashes)[16] = NULL;
    struct bytes text;
    size_t n = 0;

    TRY(desk_word(d, 0, "a dataset's name", &name));
    TRY(desk_reason(d, 1, &reason));
    TRY(desk_blob(d, 0, "identifiers of patients, one a line", &text));
    TRY(store_current(d->cx, d->v->store, name, &data));
    const char *name_space = codebook_namespace(data->cb);

    TRY(read_identifiers(d, name_space, text, &hashes, &n));
    uint64_t known = count_known(data, (const uint8_t(*)[16])hashes, n);
    struct desk_act a = desk_act("withdraw", cx_printf(d->cx,
                                                    "patients of namespace %s withdrew, reason: "
                                                    "%s",
                                                    name_space, reason));

    TRY(store_leave_out(d->cx, d->v->store, name_space, (const uint8_t(*)[16])hashes, n, desk_log,
                        &a));
    buffer_printf(&d->text,
                  "%zu identifiers, %" PRIu64 " of them patients of %s: no new sum holds a row of "
                  "theirs from now on, of any dataset of these patients (%s), nor of files to "
                  "come\n",
                  n, known, name, name_space);
    return end_versions(d, name_space);
}
