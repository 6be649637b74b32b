/*
 * test_session_clock.c - a clock that was put back gives no life back to what has ended.
 *
 * The day's clock of this process is moved by what is defined here in the place of libc's.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/node/session_case.h"

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };
static int64_t ahead; /* ms */

int clock_gettime(clockid_t id, struct timespec *ret)
{
    long status = syscall(SYS_clock_gettime, id, ret);

    if (status == 0 && id == CLOCK_REALTIME)
        ret->tv_sec += ahead / 1000;
    return (int)status;
}

/* One record in this site's log while the clock stands there; then it is right again. */
static void logged_at(size_t site, int64_t then)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;

    assert_non_null(cx);
    record.kind = (char *)"start";
    record.decision = (char *)"done";
    ahead = then;
    CHECK_OK_("record", cx, vault_log(cx, &t.site[site].v, &record, "by a moved clock"));
    ahead = 0;
}

/* A credential of home's for the researcher that ends then. */
static struct bytes credential_until(struct cx *cx, int64_t until)
{
    Cohortium__Credential *c;
    struct envelope e;
    struct bytes packed;

    CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_CREDENTIAL, t.credential, &e));
    CHECK_OK_("open", cx,
              pb_unpack(cx, &cohortium__credential__descriptor, e.body,
                        envelope_bound(ENVELOPE_CREDENTIAL), &c));
    c->not_after = (uint64_t)until;
    CHECK_OK_(
        "seal", cx,
        envelope_seal(cx, ENVELOPE_CREDENTIAL, &c->base, t.site[HOME].v.signing, &packed));
    return packed;
}

/* What a site's preflight says of the question under these papers: a complaint's code, ""
 * or a fault's name. */
static const char *said(struct cx *cx, size_t site, int64_t permit_ms,
                        int64_t credential_ms)
{
    struct play p;
    uint8_t permit[ID_BYTES];

    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age >= 40");
    vaults_permit(
        &t, &(struct vaults_permit){.researcher = t.researcher, .lasts_ms = permit_ms},
        permit);
    r->permit = PB_DATA(bytes_of(permit, sizeof permit));
    r->credential = PB_DATA(credential_until(cx, clock_utc_ms() + credential_ms));
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    enum fault fault = play_preflight(&p, site);
    const char *words = fault != FAULT_NONE ? fault_name(fault)
                        : play_preflight_of(&p, site)->n_complaints > 0
                            ? play_preflight_of(&p, site)->complaints[0]->code
                            : "";
    words = cx_strdup(cx, words);
    assert_non_null(words);
    play_free(&p);
    return words;
}

static void test_session__a_clock_put_back(void **state)
{
    static const struct {
        const char *what;
        int64_t logged, permit, credential; /* from now */
        const char *victim;                 /* whose log it is */
    } rows[] = {
        {"nothing ends before what was logged", HOUR, 2 * HOUR, 2 * HOUR, ""},
        {"a permit that had ended by then", HOUR, HOUR / 2, 2 * HOUR, "expired_permit"},
        {"a credential that had", HOUR, 2 * HOUR, HOUR / 2, "expired"},
        {"both last for days, and the clock is put back by one", DAY - HOUR, 2 * DAY,
         2 * DAY, ""},
        {"by more: nobody could verify an answer", DAY + HOUR, 9 * DAY, 9 * DAY,
         "not_ready"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

        assert_non_null(cx);
        logged_at(VICTIM, rows[i].logged);
        assert_string_equal(said(cx, VICTIM, rows[i].permit, rows[i].credential),
                            rows[i].victim);
        /* The neighbour, whose log has seen nothing of it. */
        assert_string_equal(said(cx, LIAR, rows[i].permit, rows[i].credential), "");
    }
    CHECK_EQ_("nothing was charged", vaults_count(&t, VICTIM, TABLE_CHARGES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__a_clock_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
