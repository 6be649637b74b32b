/* The ledger holds each region once, in a chain that says in one digest what it holds. */
#include "node/vault/audit.h"
#include "node/vault/ledger.h"

#include <sodium.h>

#include "tests/node/scratch.h"

struct fixture {
    struct scratch scratch;
    struct cx *cx;
    struct db *db;
    struct codebook *cb;
    struct ast *male, *old; /* two regions */
};

static Cohortium__Variable *variable(struct cx *cx, const char *name,
                                     Cohortium__VarType type, Cohortium__Role role)
{
    static char *levels[] = {(char *)"male", (char *)"female"};
    Cohortium__Variable *v = cx_alloc(cx, sizeof *v);

    assert_non_null(v);
    cohortium__variable__init(v);
    v->name = (char *)name;
    v->type = type;
    v->role = role;
    if (type == COHORTIUM__VAR_TYPE__CATEGORICAL) {
        v->levels = levels;
        v->n_levels = 2;
    } else if (role != COHORTIUM__ROLE__DIRECT_IDENTIFIER) {
        v->bounded = true;
        v->lower = 18;
        v->upper = 100;
    }
    return v;
}

static void set_up(struct fixture *f)
{
    Cohortium__Codebook body = COHORTIUM__CODEBOOK__INIT;
    Cohortium__Variable *list[3];

    scratch_new(&f->scratch);
    f->cx = cx_new(16 * 1024 * 1024, CX_NO_DEADLINE);
    f->db = NULL;
    list[0] = variable(f->cx, "id", COHORTIUM__VAR_TYPE__INTEGER,
                       COHORTIUM__ROLE__DIRECT_IDENTIFIER);
    list[1] = variable(f->cx, "sex", COHORTIUM__VAR_TYPE__CATEGORICAL,
                       COHORTIUM__ROLE__QUASI_IDENTIFIER);
    list[2] = variable(f->cx, "age", COHORTIUM__VAR_TYPE__INTEGER,
                       COHORTIUM__ROLE__QUASI_IDENTIFIER);
    body.name = (char *)"lung";
    body.title = (char *)"lung";
    body.count_unit = (char *)"id";
    body.patient_namespace = (char *)"patient";
    body.variables = list;
    body.n_variables = 3;
    CHECK_OK_("codebook", f->cx, codebook_from_body(f->cx, &body, &f->cb));
    f->male = ast_is_level(f->cx, f->cb, 1, 0);
    f->old = ast_is_level(f->cx, f->cb, 1, 1);
    assert_non_null(f->male);
    assert_non_null(f->old);
    CHECK_OK_("open", f->cx, db_open(f->cx, f->scratch.db, &f->db));
}

static void tear_down(struct fixture *f)
{
    db_close(&f->db);
    cx_free(&f->cx);
    scratch_free(&f->scratch);
}

struct adding {
    struct fixture *f;
    struct ast *list[2];
    size_t n;
    int columns[1];
    size_t n_columns;
    uint64_t *bitmaps[2];
    const bool *leave_out;
    const char *name_space; /* looked at afterwards */
    uint8_t head[32];
    uint64_t rows;
};

static enum fault add(struct cx *cx, sqlite3 *sql, void *user)
{
    static const uint8_t version[16] = {1}, question[32] = {2};
    struct adding *a = user;
    struct regions r = {.n = a->n, .list = a->list};

    return ledger_add(cx, sql, a->f->cb, version, question, &r, a->leave_out,
                      a->bitmaps[0] != NULL ? a->bitmaps : NULL, 70, a->columns,
                      a->n_columns);
}

static enum fault head(struct cx *cx, sqlite3 *sql, void *user)
{
    struct adding *a = user;

    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const char *name = a->name_space != NULL ? a->name_space : "patient";
    bool row;

    TRY(db_prepare(cx, sql, &stmt, "SELECT count(*) FROM ledger WHERE namespace=?", "t",
                   name));
    TRY(db_step(cx, sql, stmt, &row));
    a->rows = (uint64_t)sqlite3_column_int64(stmt, 0);
    return ledger_head(cx, sql, name, a->head);
}

static void add_and_look(const char *what, struct adding *a, uint64_t rows)
{
    CHECK_OK_(what, a->f->cx, db_write(a->f->cx, a->f->db, add, a));
    CHECK_OK_(what, a->f->cx, db_read(a->f->cx, a->f->db, head, a));
    CHECK_EQ_(what, a->rows, rows);
}

static void test_ledger__a_region_enters_once(void **state)
{
    static const uint8_t zero[32];
    struct fixture f;
    uint8_t before[32];

    (void)state;
    set_up(&f);
    struct adding a = {.f = &f, .columns = {2}};

    static const bool both[] = {true, true};

    add_and_look("nothing", &a, 0);
    CHECK_("empty head", memcmp(a.head, zero, 32) == 0);
    a.list[0] = f.male;
    a.n = 1;
    a.leave_out = both;
    add_and_look("one that is not given", &a, 0);
    a.leave_out = NULL;
    add_and_look("one", &a, 1);
    CHECK_("a head", memcmp(a.head, zero, 32) != 0);
    memcpy(before, a.head, 32);
    add_and_look("the same again", &a, 1);
    CHECK_("the same head", memcmp(a.head, before, 32) == 0);
    a.list[1] = f.old;
    a.n = 2;
    add_and_look("another", &a, 2);
    CHECK_("another head", memcmp(a.head, before, 32) != 0);
    a.n_columns = 1;
    add_and_look("a covariate over both", &a, 4);
    add_and_look("the same again", &a, 4);
    a.n = 0;
    add_and_look("a covariate over everybody", &a, 5);
    a.name_space = "household";
    CHECK_OK_("another namespace", f.cx, db_read(f.cx, f.db, head, &a));
    CHECK_EQ_("it is empty", a.rows, 0);
    tear_down(&f);
}

/* Same regions in the same order: same head, at any vault, whoever lies in them. */
static void test_ledger__the_head_says_what_is_held(void **state)
{
    uint64_t one[2] = {5, 1}, two[2] = {6, 2};
    struct fixture f, g;
    struct adding a = {.f = &f}, b = {.f = &g}, c;

    (void)state;
    set_up(&f);
    set_up(&g);
    a.list[0] = f.male;
    a.list[1] = f.old;
    b.list[0] = g.male;
    b.list[1] = g.old;
    a.n = b.n = 2;
    a.bitmaps[0] = a.bitmaps[1] = one;
    b.bitmaps[0] = b.bitmaps[1] = two;
    add_and_look("a", &a, 2);
    add_and_look("b", &b, 2);
    CHECK_("alike", memcmp(a.head, b.head, 32) == 0);
    tear_down(&g);
    set_up(&g);
    c = (struct adding){.f = &g, .list = {g.old, g.male}, .n = 2};
    add_and_look("c", &c, 2);
    CHECK_("another order is another chain", memcmp(a.head, c.head, 32) != 0);
    tear_down(&g);
    tear_down(&f);
}

static enum fault check_chain(struct cx *cx, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    uint8_t last[32] = {0}, joined[64], want[32];
    size_t *n = user;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT prev, digest, head, bitmap, patients FROM ledger ORDER BY row",
                   ""));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        CHECK_("prev", memcmp(sqlite3_column_blob(stmt, 0), last, 32) == 0);
        memcpy(joined, last, 32);
        memcpy(joined + 32, sqlite3_column_blob(stmt, 1), 32);
        (void)crypto_hash_sha256(want, joined, sizeof joined);
        CHECK_("head", memcmp(sqlite3_column_blob(stmt, 2), want, 32) == 0);
        CHECK_EQ_("70 patients in two words", sqlite3_column_bytes(stmt, 3), 16);
        CHECK_EQ_("patients", sqlite3_column_int64(stmt, 4), 70);
        CHECK_EQ_("little endian", *(const uint8_t *)sqlite3_column_blob(stmt, 3), 5);
        memcpy(last, want, 32);
        (*n)++;
    }
}

static void test_ledger__rows_are_chained_and_hold_their_patients(void **state)
{
    uint64_t bits[2] = {5, 1};
    struct fixture f;
    size_t n = 0;

    (void)state;
    set_up(&f);
    struct adding a = {.f = &f, .list = {f.male, f.old}, .n = 2, .bitmaps = {bits, bits}};

    add_and_look("two", &a, 2);
    CHECK_OK_("chain", f.cx, db_read(f.cx, f.db, check_chain, &n));
    CHECK_EQ_("rows", n, 2);
    db_close(&f.db);
    CHECK_OK_("after a restart", f.cx, db_open(f.cx, f.scratch.db, &f.db));
    uint8_t before[32];

    memcpy(before, a.head, 32);
    CHECK_OK_("head", f.cx, db_read(f.cx, f.db, head, &a));
    CHECK_("the same head", memcmp(before, a.head, 32) == 0);
    tear_down(&f);
}

/* ---- verified ---- */

struct bending {
    const char *what, *text; /* one statement */
    enum fault want;
};

static enum fault bend(struct cx *cx, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, ((const struct bending *)user)->text, ""));
    return db_run(cx, sql, stmt);
}

static enum fault verify(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)user;
    return ledger_verify(cx, sql);
}

static uint64_t newest;

static enum fault verify_newest(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)user;
    return ledger_verify_newest(cx, sql, newest);
}

/* A decision, with the head of the ledger then. */
static enum fault decide(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct adding *a = user;
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint64_t index;

    record.kind = (char *)"question";
    record.ledger = PB_DATA(bytes_of(a->head, sizeof a->head));
    return audit_append(cx, sql, &record, "", &index);
}

static void test_ledger__a_row_less_or_changed_is_found(void **state)
{
    static struct bending rows[] = {
        {"as it was", "UPDATE ledger SET patients = patients", FAULT_NONE},
        {"the first row is gone", "DELETE FROM ledger WHERE row = 1", FAULT_CONFLICT},
        {"the last row is gone", "DELETE FROM ledger WHERE row = 2", FAULT_CONFLICT},
        {"all are gone", "DELETE FROM ledger", FAULT_CONFLICT},
        {"another region", "UPDATE ledger SET expression = x'00' WHERE row = 1",
         FAULT_CONFLICT},
        {"another dataset", "UPDATE ledger SET dataset = 'colon'", FAULT_CONFLICT},
        {"another namespace", "UPDATE ledger SET namespace = 'x' WHERE row = 2",
         FAULT_CONFLICT},
        {"another head", "UPDATE ledger SET head = prev WHERE row = 2", FAULT_CONFLICT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        struct adding a = {.f = &f, .n = 2};

        set_up(&f);
        a.list[0] = f.male;
        a.list[1] = f.old;
        add_and_look(rows[i].what, &a, 2);
        CHECK_OK_(rows[i].what, f.cx, db_write(f.cx, f.db, decide, &a));
        CHECK_OK_(rows[i].what, f.cx, db_read(f.cx, f.db, verify, NULL));
        CHECK_OK_(rows[i].what, f.cx, db_write(f.cx, f.db, bend, &rows[i]));
        CHECK_EQ_(rows[i].what, db_read(f.cx, f.db, verify, NULL), rows[i].want);
        tear_down(&f);
    }
}

static enum fault append_other(struct cx *cx, sqlite3 *sql, void *user)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint64_t index;

    (void)user;
    record.kind = (char *)"permit";
    return audit_append(cx, sql, &record, "", &index);
}

/* A start looks at the log's newest records alone, and finds what they tell. */
static void test_ledger__against_the_newest_records(void **state)
{
    static struct bending cut = {"cut", "DELETE FROM ledger WHERE row = 2", FAULT_NONE};
    struct fixture f;
    struct adding a = {.f = &f, .n = 2};

    (void)state;
    set_up(&f);
    a.list[0] = f.male;
    a.list[1] = f.old;
    newest = 2;
    CHECK_OK_("nothing", f.cx, db_read(f.cx, f.db, verify_newest, NULL));
    add_and_look("two", &a, 2);
    CHECK_OK_("decided", f.cx, db_write(f.cx, f.db, decide, &a));
    CHECK_OK_("another record", f.cx, db_write(f.cx, f.db, append_other, NULL));
    CHECK_OK_("whole", f.cx, db_read(f.cx, f.db, verify_newest, NULL));
    CHECK_OK_("cut", f.cx, db_write(f.cx, f.db, bend, &cut));
    CHECK_EQ_("seen", db_read(f.cx, f.db, verify_newest, NULL), FAULT_CONFLICT);
    newest = 1;
    CHECK_OK_("too far back", f.cx, db_read(f.cx, f.db, verify_newest, NULL));
    CHECK_EQ_("but not for all of it", db_read(f.cx, f.db, verify, NULL), FAULT_CONFLICT);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__a_region_enters_once),
        cmocka_unit_test(test_ledger__the_head_says_what_is_held),
        cmocka_unit_test(test_ledger__a_row_less_or_changed_is_found),
        cmocka_unit_test(test_ledger__against_the_newest_records),
        cmocka_unit_test(test_ledger__rows_are_chained_and_hold_their_patients),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
