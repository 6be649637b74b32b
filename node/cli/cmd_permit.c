/*
 * cmd_permit.c - a permit drafted by the one who needs it: the study as a document that
 * officers read, sign and add at their sites. It asks for nothing that the codebook does
 * not have.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/registry.h"
#include "node/cli/home.h"
#include "node/cli/render.h"
#include "protocol/base/clock.h"
#include "protocol/envelope.h"
#include "protocol/files.h"

enum { NAMES_MAX = 256, DAYS_MAX = 3650, CARD_MAX = 16 * 1024, BUDGET_MAX = 1000000000 };
static const int64_t DAY_MS = 24 * 3600 * 1000;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_bytes(const void *a, const void *b)
{
    const ProtobufCBinaryData *x = a, *y = b;

    return bytes_compare(PB_BYTES(*x), PB_BYTES(*y));
}

/* "a,b,c" as a sorted list without doubles; nothing given: empty. */
static enum fault split(struct cx *cx, const struct args *args, const char *name,
                        char ***ret, size_t *ret_n)
{
    const char *text = args_get(args, name);
    char **list, *rest;
    size_t n = 0, k = 0;

    CX_NEW(cx, list, NAMES_MAX);
    *ret = list;
    *ret_n = 0;
    if (text == NULL)
        return FAULT_NONE;
    rest = cx_strdup(cx, text);
    if (rest == NULL)
        return FAULT_MEMORY;
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        if (n == NAMES_MAX || word[0] == '\0')
            return usage_fail(cx, args,
                              "%s: expected 1 to %d names with commas between them", name,
                              NAMES_MAX);
        list[n++] = word;
    }
    qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++)
        if (k == 0 || strcmp(list[k - 1], list[i]) != 0)
            list[k++] = list[i];
    *ret_n = k;
    return FAULT_NONE;
}

/* ---- what is asked for ---- */

static enum fault put_members(struct home *home, const struct args *args,
                              Cohortium__Permit *p)
{
    const Cohortium__Manifest *m = home->manifest->body;
    struct cx *cx = home->cx;
    char **names;
    size_t n;

    TRY(split(cx, args, "--sites", &names, &n));
    CX_NEW(cx, p->members, m->n_members);
    for (size_t k = 0; k < n; k++) {
        const Cohortium__Member *x = manifest_find_name(home->manifest, names[k]);

        if (x == NULL || !x->holds_data)
            return usage_fail(cx, args,
                              "--sites: no member `%.40s` that holds data; see "
                              "`cohortium sites`",
                              names[k]);
    }
    for (size_t i = 0; i < m->n_members; i++) { /* sorted by node id, as they must be */
        bool chosen = n == 0 && m->members[i]->holds_data;

        for (size_t k = 0; k < n && !chosen; k++)
            chosen = strcmp(names[k], m->members[i]->name) == 0;
        if (!chosen)
            continue;
        p->members[p->n_members++] = m->members[i]->node_id;
        if (memcmp(m->members[i]->node_id.data, home->profile.node, DIGEST_BYTES) == 0)
            p->issuer = m->members[i]->node_id; /* home's officers may take it back for all */
    }
    return FAULT_NONE;
}

static enum fault put_researchers(struct home *home, const struct args *args,
                                  Cohortium__Permit *p)
{
    struct cx *cx = home->cx;
    char **cards;
    size_t n;

    TRY(split(cx, args, "--with", &cards, &n));
    CX_NEW(cx, p->researchers, n + 1);
    p->researchers[p->n_researchers++] =
        PB_DATA(bytes_of(keys_signing_public(home->keys), KEY_BYTES));
    for (size_t i = 0; i < n; i++) {
        Cohortium__Card *card;
        struct bytes packed;

        TRY(unarmor(cx, "card", cards[i], card_line, CARD_MAX, &packed));
        TRY(pb_unpack(cx, &cohortium__card__descriptor, packed, CARD_MAX, &card));
        if (strcmp(card->use, "researcher") != 0 || card->signing_key.len != KEY_BYTES)
            return usage_fail(cx, args, "--with: %.200s is no researcher's card", cards[i]);
        bool known = false;
        for (size_t k = 0; k < p->n_researchers; k++)
            known = known ||
                    bytes_equal(PB_BYTES(p->researchers[k]), PB_BYTES(card->signing_key));
        if (!known)
            p->researchers[p->n_researchers++] = card->signing_key;
    }
    qsort(p->researchers, p->n_researchers, sizeof *p->researchers, by_bytes);
    return FAULT_NONE;
}

static enum fault put_narrower(struct home *home, const struct args *args,
                               Cohortium__Permit *p)
{
    struct cx *cx = home->cx;
    const struct codebook *cb;

    TRY(home_codebook(home, args->words[0], &cb));
    CX_NEW(cx, p->datasets, 1);
    p->datasets[p->n_datasets++] = (char *)args->words[0];
    TRY(split(cx, args, "--variables", &p->variables, &p->n_variables));
    for (size_t i = 0; i < p->n_variables; i++)
        if (codebook_find(cb, p->variables[i]) < 0)
            return usage_fail(cx, args, "--variables: no variable `%.60s` in %.40s%s",
                              p->variables[i], args->words[0],
                              codebook_hint(cx, cb, p->variables[i]));
    TRY(split(cx, args, "--analyses", &p->analyses, &p->n_analyses));
    for (size_t i = 0; i < p->n_analyses; i++)
        if (analysis_find(p->analyses[i]) == NULL)
            return usage_fail(cx, args,
                              "--analyses: no analysis `%.60s`; see `cohortium help`",
                              p->analyses[i]);
    return FAULT_NONE;
}

/* ---- the document ---- */

static enum fault write_permit(struct home *home, const Cohortium__Permit *p,
                               const char *path)
{
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;
    struct bytes body, packed;

    TRY(pb_pack(home->cx, &p->base, &body));
    e.type = (char *)envelope_type(ENVELOPE_PERMIT);
    e.body = PB_DATA(body);
    TRY(pb_pack(home->cx, &e.base, &packed));
    return file_write(home->cx, "permit", path, packed, 0644, FILE_NEW);
}

static void tell(struct cli *cli, const struct home *home, const Cohortium__Permit *p,
                 const char *path)
{
    (void)fprintf(cli->out,
                  "permit %s  \"%s\"\n%s waits for a signature of an officer of each of:",
                  bytes_hex(cli->cx, p->id.data, p->id.len), p->title, path);
    for (size_t i = 0; i < p->n_members; i++)
        (void)fprintf(cli->out, "%s %s", i > 0 ? "," : "",
                      member_name(cli->cx, home->manifest, PB_BYTES(p->members[i])));
    (void)fprintf(
        cli->out,
        "\nnext: hand it to them; each reads (`cohortiumd permit show %s`), signs "
        "(`cohortiumd permit sign`) and, once all have signed, adds it (`cohortiumd "
        "permit add`)\n",
        path);
}

static enum fault draft(struct cli *cli, const struct args *args, struct home *home)
{
    struct cx *cx = home->cx;
    Cohortium__Permit p = COHORTIUM__PERMIT__INIT;
    const char *title = args_get(args, "--title"), *purpose = args_get(args, "--purpose");
    const char *path = args_get(args, "-o");
    uint8_t id[ID_BYTES];
    double days, budget;

    if (title == NULL || purpose == NULL || path == NULL)
        return usage_fail(cx, args, "%s is missing; usage: cohortium permit draft %s",
                          title == NULL     ? "--title"
                          : purpose == NULL ? "--purpose"
                                            : "-o",
                          args->command->usage);
    if (!utf8_is_clean(title, strlen(title)) || strpbrk(title, "\n\t") != NULL ||
        !utf8_is_clean(purpose, strlen(purpose)))
        return usage_fail(cx, args, "--title is one line, and both are clean UTF-8");
    TRY(args_number(cx, args, "--days", 1, DAYS_MAX, 365, &days));
    TRY(args_number(cx, args, "--budget", 0, BUDGET_MAX, 0, &budget));
    randombytes_buf(id, sizeof id);
    p.id = PB_DATA(bytes_of(id, sizeof id));
    p.consortium = PB_DATA(bytes_of(home->manifest->consortium, DIGEST_BYTES));
    p.title = (char *)title;
    p.purpose = (char *)purpose;
    p.by_site = args_has(args, "--by-site");
    p.not_before = (uint64_t)clock_utc_ms();
    p.not_after = p.not_before + (uint64_t)(days * (double)DAY_MS);
    p.budget = (uint64_t)budget;
    TRY(put_researchers(home, args, &p));
    TRY(put_members(home, args, &p));
    TRY(put_narrower(home, args, &p));
    TRY(write_permit(home, &p, path));
    tell(cli, home, &p, path);
    return FAULT_NONE;
}

enum fault run_permit_draft(struct cli *cli, const struct args *args)
{
    struct home home;

    TRY(args_words(cli->cx, args, 1, 1));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = draft(cli, args, &home);
    home_close(&home);
    return fault;
}
