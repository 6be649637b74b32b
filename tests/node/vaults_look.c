/* vaults_look.c - a request to the vaults, and what they remember of it. */
#include "analyses/cohort.h"
#include "analyses/formula.h"
#include "tests/node/vaults_private.h"

/* ---- questions ---- */

static void set_cohort(struct vaults *t, struct cx *cx, const char *cohort,
                       Cohortium__Question *q)
{
    struct ast *parsed, *canonical;

    CHECK_OK_("cohort", cx, cohort_parse(cx, t->cb, cohort, &parsed));
    CHECK_OK_("cohort", cx, ast_canonical(cx, t->cb, parsed, &canonical));
    CHECK_OK_("cohort", cx, ast_to_pb(cx, t->cb, canonical, &q->cohort));
}

static void set_params(struct vaults *t, struct cx *cx, const char *formula,
                       Cohortium__Question *q)
{
    const char **names;

    q->params = fresh(cx, sizeof *q->params);
    cohortium__params__init(q->params);
    if (strcmp(q->analysis, "table") == 0) {
        CHECK_OK_(
            "variables", cx,
            formula_parse_variables(cx, t->cb, formula, &names, &q->params->n_variables));
        q->params->variables = (char **)names;
    } else {
        CHECK_OK_("formula", cx, formula_parse(cx, t->cb, formula, &q->params->model));
    }
}

Cohortium__Request *vaults_request(struct vaults *t, struct cx *cx, const char *analysis,
                                   const char *formula, const char *cohort)
{
    Cohortium__Request *r = fresh(cx, sizeof *r);
    Cohortium__Question *q = fresh(cx, sizeof *q);
    uint8_t subject[DIGEST_BYTES];

    cohortium__request__init(r);
    cohortium__question__init(q);
    r->stamp = fresh(cx, sizeof *r->stamp);
    cohortium__stamp__init(r->stamp);
    digest_of(bytes_of(keys_signing_public(t->researcher), KEY_BYTES), subject);
    CHECK_OK_("stamp", cx,
              stamp_fill(cx, r->stamp, t->manifest, subject, NULL, 15 * 60 * 1000));
    r->stamp->audience = fresh(cx, VAULTS * sizeof *r->stamp->audience);
    q->sites = fresh(cx, VAULTS * sizeof *q->sites);
    for (size_t i = 0; i < VAULTS; i++)
        r->stamp->audience[i] = q->sites[i] =
            data(cx, t->site[i].v.self->node_id.data, DIGEST_BYTES);
    r->stamp->n_audience = q->n_sites = VAULTS;
    r->home = q->sites[0];
    r->credential = PB_DATA(t->credential);
    r->permit = PB_DATA(bytes_of(t->permit, ID_BYTES));
    r->question = q;
    q->dataset = TEXT("lung");
    q->codebook = data(cx, t->cb->digest, DIGEST_BYTES);
    q->analysis = TEXT(analysis);
    q->analysis_version = analysis_find(analysis)->version;
    if (formula != NULL)
        set_params(t, cx, formula, q);
    if (cohort != NULL)
        set_cohort(t, cx, cohort, q);
    return r;
}

struct bytes vaults_seal(struct cx *cx, const Cohortium__Request *r,
                         const struct keys *keys)
{
    struct bytes packed;

    CHECK_OK_("request", cx, envelope_seal(cx, ENVELOPE_REQUEST, &r->base, keys, &packed));
    return packed;
}

/* ---- what a vault remembers ---- */

struct look {
    const char *text, *kind;
    uint64_t count;
    struct audit_entry *list;
    size_t n;
};

static enum fault count_rows(struct cx *cx, sqlite3 *sql, void *user)
{
    struct look *l = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row;

    TRY(db_prepare(cx, sql, &stmt, l->text, ""));
    TRY(db_step(cx, sql, stmt, &row));
    l->count = (uint64_t)sqlite3_column_int64(stmt, 0);
    return FAULT_NONE;
}

uint64_t vaults_count(struct vaults *t, size_t site, enum vaults_table table)
{
    static const char *const texts[] = {
        [TABLE_LEDGER] = "SELECT count(*) FROM ledger",
        [TABLE_ANSWERS] = "SELECT count(*) FROM answer",
        [TABLE_CHARGES] = "SELECT count(*) FROM permit_charge",
        [TABLE_LOG] = "SELECT count(*) FROM log",
    };
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct look l = {.text = texts[table]};

    assert_non_null(cx);
    CHECK_OK_("count", cx, db_read(cx, t->site[site].v.db, count_rows, &l));
    return l.count;
}

static enum fault delete_rows(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct look *l = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, l->text, ""));
    return db_run(cx, sql, stmt);
}

void vaults_lose(struct vaults *t, size_t site, enum vaults_table table)
{
    static const char *const texts[] = {
        [TABLE_LEDGER] = "DELETE FROM ledger",
        [TABLE_ANSWERS] = "DELETE FROM answer",
        [TABLE_CHARGES] = "DELETE FROM permit_charge",
        [TABLE_LOG] = "DELETE FROM log",
    };
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct look l = {.text = texts[table]};

    assert_non_null(cx);
    CHECK_OK_("lose", cx, db_write(cx, t->site[site].v.db, delete_rows, &l));
}

static enum fault list_log(struct cx *cx, sqlite3 *sql, void *user)
{
    struct look *l = user;

    return audit_list(cx, sql, l->kind, 1, &l->list, &l->n);
}

const struct audit_entry *vaults_newest(struct vaults *t, struct cx *cx, size_t site,
                                        const char *kind)
{
    struct look l = {.kind = kind};

    CHECK_OK_("log", cx, db_read(cx, t->site[site].v.db, list_log, &l));
    return l.n > 0 ? &l.list[0] : NULL;
}
