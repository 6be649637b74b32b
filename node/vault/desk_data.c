/* desk_data.c - imports are published, datasets listed and dropped. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/vault/desk.h"
#include "protocol/base/clock.h"

/* Hands the importer what it needs: codebook, this node's patient key, a new staging folder. */
enum fault desk_data_begin(struct desk *d)
{
    const char *name;
    struct bytes codebook;
    uint8_t random[ID_BYTES];

    TRY(desk_word(d, 0, "a dataset's name", &name));
    TRY(store_codebook(d->cx, d->v->store, name, NULL, &codebook));
    randombytes_buf(random, sizeof random);
    const char *staging = cx_printf(d->cx, "staging-%s", bytes_hex(d->cx, random, sizeof random));
    if (staging == NULL)
        return FAULT_MEMORY;
    if (mkdirat(d->v->data_fd, staging, 0700) != 0)
        return cx_fail(d->cx, FAULT_STORAGE, "a staging folder could not be made: %s",
                       strerror(errno));
    TRY(desk_give(d, codebook));
    TRY(desk_give(d, bytes_of(keys_seed(d->v->patient), KEY_BYTES)));
    buffer_text(&d->text, staging);
    return FAULT_NONE;
}

enum fault desk_log(struct cx *cx, sqlite3 *sql, void *user)
{
    struct desk_act *a = user;
    uint64_t index;

    return audit_append(cx, sql, &a->record, a->details, &index);
}

struct desk_act desk_act(const char *kind, const char *details)
{
    struct desk_act a = {.record = COHORTIUM__LOG_RECORD__INIT, .details = details};

    a.record.kind = (char *)kind;
    a.record.decision = (char *)"done";
    return a;
}

enum fault desk_data_publish(struct desk *d)
{
    const char *staging, *name;
    uint64_t rows, patients;
    uint8_t version[ID_BYTES];
    struct bytes codebook;

    TRY(desk_word(d, 0, "a staging folder", &staging));
    TRY(desk_word(d, 1, "a dataset's name", &name));
    TRY(desk_count(d, 2, "a number of rows", &rows));
    TRY(desk_count(d, 3, "a number of patients", &patients));
    if (strncmp(staging, "staging-", 8) != 0 || strchr(staging, '/') != NULL)
        return cx_fail(d->cx, FAULT_DENIED, "`%.60s` is no staging folder", staging);
    TRY(store_codebook(d->cx, d->v->store, name, NULL, &codebook));
    TRY(desk_check_refresh(d, staging, name, codebook));
    struct desk_act a =
        desk_act("import", cx_printf(d->cx, "a new version of %s answers", name));

    TRY(store_publish(d->cx, d->v->store, staging, name, codebook, rows, patients, desk_log,
                      &a, version));
    buffer_printf(&d->text, "%s: %llu rows of %llu patients imported, version %s answers now\n",
                  name, (unsigned long long)rows, (unsigned long long)patients,
                  bytes_hex(d->cx, version, 4));
    return FAULT_NONE;
}

enum fault desk_data_list(struct desk *d)
{
    struct store_row *rows;
    size_t n;
    char at[32];

    TRY(store_list(d->cx, d->v->store, true, &rows, &n));
    if (n == 0)
        buffer_text(&d->text, "no dataset yet; import one with `cohortiumd data import`\n");
    for (size_t i = 0; i < n; i++)
        buffer_printf(&d->text, "%-20s %-10s %10llu rows %10llu patients  %s  version %s%s%s\n",
                      rows[i].name, rows[i].state, (unsigned long long)rows[i].rows,
                      (unsigned long long)rows[i].patients,
                      clock_format((int64_t)rows[i].imported_at, at, sizeof at),
                      bytes_hex(d->cx, rows[i].version, 4), rows[i].why[0] ? "  " : "",
                      rows[i].why);
    return FAULT_NONE;
}

enum fault desk_data_drop(struct desk *d)
{
    const char *name, *reason;

    TRY(desk_word(d, 0, "a dataset's name", &name));
    TRY(desk_word(d, 1, "a reason (--reason)", &reason));
    struct desk_act a = desk_act("drop", cx_printf(d->cx, "%s dropped: %s", name, reason));

    TRY(store_drop(d->cx, d->v->store, name, desk_log, &a));
    buffer_printf(&d->text, "%s is dropped; the ledger of its patients stays\n", name);
    return FAULT_NONE;
}
