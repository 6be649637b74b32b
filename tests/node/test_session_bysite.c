/*
 * test_session_bysite.c - one answer a site: each from its own rows, by its own gate, when
 * all have said that they give it.
 */
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "protocol/receipt.h"
#include "tests/node/session_case.h"

static void check_receipt(struct play *p)
{
    struct receipt_facts facts;

    CHECK_OK_("receipt", p->cx, receipt_verify(p->cx, play_receipt(p), t.genesis, &facts));
    CHECK_EQ_("sites", facts.n_sites, VAULTS);
    CHECK_("by site", facts.release == NULL);
    for (size_t i = 0; i < VAULTS; i++) {
        const Cohortium__Release *r = facts.site_releases[i];

        CHECK_EQ_("alone in it", r->n_participants, 1);
        CHECK_("in order", bytes_equal(PB_BYTES(r->participants[0]),
                                       PB_BYTES(t.site[i].v.self->node_id)));
        (void)vaults_desk(&t, p->cx, i, "audit verify", NULL, 0, NULL, 0);
    }
}

static double patients_from(size_t site, double age)
{
    double n = 0;

    for (size_t i = 0; i < t.site[site].n; i++)
        n += t.site[site].rows[i].age >= age;
    return n;
}

/* ---- honest ---- */

static void test_session__each_site_counts_its_own(void **state)
{
    struct play p, q;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const Cohortium__Release *r = play_release(&p, i);
        const struct audit_entry *e = vaults_newest(&t, p.cx, i, "question");

        CHECK_("released", r->released && r->exact_for_testing);
        CHECK_EQ_("patients", value(r, "patients", 0), patients_from(i, 60));
        assert_non_null(e);
        CHECK_("the log says so", strstr(e->details, "by site") != NULL);
    }
    check_receipt(&p);
    check_count(TABLE_CHARGES, 1);

    /* Again, also where the coordinator wants it run anew: the same bytes, no charge. */
    ask_each(&q, "count", NULL, "age >= 60");
    answer_each(&q);
    check_receipt(&q);
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_("the same", bytes_equal(play_body(&p, i), play_body(&q, i)));
        assert_string_equal(vaults_newest(&t, q.cx, i, "repeat")->record->decision,
                            "answered_before");
    }
    play_free(&q);
    ask_each(&q, "count", NULL, "age >= 60");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("anew", play_begin(&q, i, true), FAULT_NONE);
    play_finish(&q);
    check_receipt(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same", bytes_equal(play_body(&p, i), play_body(&q, i)));
    check_count(TABLE_CHARGES, 1);
    check_count(TABLE_ANSWERS, 1);
    play_free(&q);
    play_free(&p);
}

/* One has lost its answer: all run anew, and nobody signs other bytes than before. */
static void test_session__one_site_has_lost_its_answer(void **state)
{
    struct play p, q;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    vaults_lose(&t, LIAR, TABLE_ANSWERS);
    ask_each(&q, "count", NULL, "age >= 60");
    answer_each(&q);
    check_receipt(&q);
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_("an ACCEPT of all", q.accept[i].n > 0);
        CHECK_("the same", bytes_equal(play_body(&p, i), play_body(&q, i)));
    }
    check_count(TABLE_CHARGES, 1);
    play_free(&q);
    play_free(&p);
}

static void test_session__each_site_fits_its_own_line(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "lm", "score ~ age", NULL);
    answer_each(&p);
    for (size_t s = 0; s < VAULTS; s++) {
        double n = (double)t.site[s].n, x = 0, y = 0, xx = 0, xy = 0;

        for (size_t i = 0; i < t.site[s].n; i++) {
            const struct vault_row *r = &t.site[s].rows[i];

            x += r->age;
            y += r->score;
            xx += r->age * r->age;
            xy += r->age * r->score;
        }
        double slope = (xy - x * y / n) / (xx - x * x / n);
        /* 1e-10: the plain loop loses four digits to cancellation. */
        CHECK_("slope",
               fabs(value(play_release(&p, s), "coef", 1) - slope) < 1e-10 * fabs(slope));
    }
    check_receipt(&p);
    play_free(&p);
}

/* An age that no import lets in, in the place where a disk would put it. */
static void damage_age(size_t site)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    AUTO_DATASET struct dataset *d = NULL;
    struct vault *v = &t.site[site].v;
    char folder[DATASET_FOLDER];
    const uint8_t age = 255;
    const size_t at_age = 1; /* its place in the codebook */

    assert_non_null(cx);
    CHECK_OK_("data", cx, store_current(cx, v->store, "lung", &d));
    CHECK_EQ_("a byte each", d->columns[at_age].type, COLUMN_U8);
    dataset_folder(d->version, folder);
    const char *path = cx_printf(cx, "%s/age.col", folder);
    assert_non_null(path);
    assert_int_equal(fchmodat(v->data_fd, path, 0600, 0), 0);
    int fd = openat(v->data_fd, path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t at = (const uint8_t *)d->columns[at_age].values -
               (const uint8_t *)d->columns[at_age].map;
    CHECK_EQ_("write", pwrite(fd, &age, 1, at), 1);
    (void)close(fd);
}

static bool says_numbers(struct play *p, size_t site)
{
    return strstr(vaults_newest(&t, p->cx, site, "question")->details, "numbers: ") != NULL;
}

/* Numbers that fail are a refusal like any other: no fault tells a peer of the rows. */
static void test_session__numbers_fail_at_one_site(void **state)
{
    struct play p, pooled;
    (void)state;

    damage_age(VICTIM);
    permit_by_site(0);
    ask_each(&p, "lm", "score ~ age", NULL);
    answer_each(&p);
    check_receipt(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_("by site", !play_release(&p, i)->released);
        CHECK_EQ_("only there it is known", says_numbers(&p, i), i == VICTIM);
    }
    play_free(&p);
    play_ask(&pooled, &t, "lm", "score ~ age", NULL);
    play_whole(&pooled);
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_("pooled", !play_release(&pooled, i)->released);
        CHECK_EQ_("only there it is known", says_numbers(&pooled, i), i == VICTIM);
    }
    play_free(&pooled);
}

/* A site alone may answer by site; pooled it may not. */
static void test_session__home_alone(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    permit_by_site(0);
    Cohortium__Request *r = each_request(cx, "count", NULL, "age >= 60");
    r->question->n_sites = r->stamp->n_audience = 1;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("who is not asked", play_preflight(&p, VICTIM), FAULT_DENIED);
    CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
    CHECK_EQ_("begin", play_begin(&p, HOME, false), FAULT_NONE);
    CHECK_("released", play_release(&p, HOME)->released);
    play_free(&p);
    r->question->by_site = false;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("another request of that id", play_preflight(&p, HOME), FAULT_REPLAY);
    play_free(&p);
    uint8_t id[ID_BYTES] = {7};
    r->stamp->request_id = PB_DATA(bytes_of(id, sizeof id));
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
    CHECK_EQ_("begin", play_begin(&p, HOME, false), FAULT_INVALID);
    play_free(&p);
}

static enum fault run_sql(struct cx *cx, sqlite3 *sql, void *user)
{
    return sqlite3_exec(sql, user, NULL, NULL, NULL) == SQLITE_OK
               ? FAULT_NONE
               : cx_fail(cx, FAULT_STORAGE, "%s", sqlite3_errmsg(sql));
}

/* Charge, regions, record and answer of a site alone are one commit; where that fails
 * nothing is told, but rows were looked at: the charge is there all the same. */
static void test_session__home_alone_is_charged_whatever_comes_of_it(void **state)
{
    static const uint8_t id[ID_BYTES] = {9};
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct db *db = t.site[HOME].v.db;
    struct play p;
    (void)state;

    assert_non_null(cx);
    permit_by_site(0);
    Cohortium__Request *r = each_request(cx, "count", NULL, "age >= 60");
    r->question->n_sites = r->stamp->n_audience = 1;
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    CHECK_OK_("hinder", cx,
              db_write(cx, db, run_sql,
                       (void *)"CREATE TRIGGER hinder BEFORE INSERT ON answer"
                               " BEGIN SELECT RAISE(ABORT, 'hindered'); END"));
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
    CHECK_("begin", play_begin(&p, HOME, false) != FAULT_NONE);
    CHECK_EQ_("charged", vaults_count(&t, HOME, TABLE_CHARGES), 1);
    CHECK_EQ_("no region", vaults_count(&t, HOME, TABLE_LEDGER), 0);
    CHECK_EQ_("no answer", vaults_count(&t, HOME, TABLE_ANSWERS), 0);
    CHECK_EQ_("no record", vaults_count(&t, HOME, TABLE_LOG), log);
    play_free(&p);
    CHECK_OK_("again", cx, db_write(cx, db, run_sql, (void *)"DROP TRIGGER hinder"));
    r->stamp->request_id = PB_DATA(bytes_of(id, sizeof id));
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
    CHECK_EQ_("begin", play_begin(&p, HOME, false), FAULT_NONE);
    CHECK_EQ_("charged once", vaults_count(&t, HOME, TABLE_CHARGES), 1);
    CHECK_("a region", vaults_count(&t, HOME, TABLE_LEDGER) > 0);
    CHECK_EQ_("an answer", vaults_count(&t, HOME, TABLE_ANSWERS), 1);
    CHECK_EQ_("a record", vaults_count(&t, HOME, TABLE_LOG), log + 1);
    play_free(&p);
}

static void test_session__by_site_under_a_budget(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(1);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    play_free(&p);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    play_free(&p);
    play_ask(&p, &t, "count", NULL, "age >= 60"); /* pooled: another question */
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
        assert_string_equal(play_preflight_of(&p, i)->complaints[0]->code,
                            "permit_used_up");
    }
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&p, i, true), FAULT_INVALID);
    play_free(&p);
    check_count(TABLE_CHARGES, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__each_site_counts_its_own),
        UNDER(testing, test_session__each_site_fits_its_own_line),
        UNDER(testing, test_session__one_site_has_lost_its_answer),
        UNDER(testing, test_session__numbers_fail_at_one_site),
        UNDER(by_site, test_session__home_alone),
        UNDER(by_site, test_session__home_alone_is_charged_whatever_comes_of_it),
        UNDER(by_site, test_session__by_site_under_a_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
