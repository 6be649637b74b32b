/*
 * test_revocation.c - permits and credentials taken back by a signed paper: which is obeyed
 * and which is only shown, which is refused and why, and what a session makes of it.
 */
#include "node/vault/papers_store.h"
#include "node/vault/revocations.h"
#include "protocol/base/clock.h"
#include "tests/node/session_case.h"

static struct vault *vault(size_t site)
{
    return &t.site[site].v;
}

static struct bytes permit_of(struct cx *cx, const uint8_t id[16])
{
    struct bytes packed;

    CHECK_OK_("permit", cx, vault_find_permit(cx, vault(HOME), id, &packed));
    return packed;
}

/* A paper of this site about the permit; the caller changes what its test is about. */
static Cohortium__Revocation of_permit(struct cx *cx, const uint8_t id[16], size_t site)
{
    Cohortium__Revocation r = COHORTIUM__REVOCATION__INIT;
    Cohortium__Permit *p;
    struct envelope e;

    CHECK_OK_("permit", cx, envelope_open(cx, ENVELOPE_PERMIT, permit_of(cx, id), &e));
    CHECK_OK_("permit", cx,
              pb_unpack(cx, &cohortium__permit__descriptor, e.body,
                        envelope_bound(ENVELOPE_PERMIT), &p));
    r.consortium = p->consortium;
    r.what = (char *)"permit";
    r.target = PB_DATA(bytes_of(cx_memdup(cx, e.digest, DIGEST_BYTES), DIGEST_BYTES));
    r.id = p->id;
    r.issuer = p->issuer;
    r.member = vault(site)->self->node_id;
    r.title = p->title;
    r.reason = (char *)"the vote ended";
    r.issued_at = (uint64_t)clock_utc_ms();
    r.until = p->not_after;
    return r;
}

static Cohortium__Revocation of_credential(struct cx *cx, size_t site)
{
    Cohortium__Revocation r = COHORTIUM__REVOCATION__INIT;
    struct credential c;

    CHECK_OK_("credential", cx,
              credential_verify(cx, t.manifest, t.credential, clock_utc_ms(), &c));
    r.consortium = PB_DATA(bytes_of(t.manifest->consortium, DIGEST_BYTES));
    r.what = (char *)"credential";
    r.target =
        PB_DATA(bytes_of(cx_memdup(cx, c.envelope.digest, DIGEST_BYTES), DIGEST_BYTES));
    r.id = c.body->serial;
    r.issuer = c.home->node_id;
    r.member = vault(site)->self->node_id;
    r.title = c.body->name;
    r.reason = (char *)"left the hospital";
    r.issued_at = (uint64_t)clock_utc_ms();
    r.until = c.body->not_after;
    return r;
}

static struct bytes seal(struct cx *cx, const Cohortium__Revocation *r,
                         const struct keys *keys)
{
    struct bytes packed;

    CHECK_OK_("seal", cx, envelope_seal(cx, ENVELOPE_REVOCATION, &r->base, keys, &packed));
    return packed;
}

static struct bytes by_officer(struct cx *cx, Cohortium__Revocation r, size_t site)
{
    return seal(cx, &r, t.site[site].officer);
}

/* As a member's net would bring it. */
static enum fault told(struct cx *cx, size_t site, struct bytes packed)
{
    Cohortium__RevocationsCall call = COHORTIUM__REVOCATIONS_CALL__INIT;
    ProtobufCBinaryData one = PB_DATA(packed);
    struct bytes body;

    call.revocations = &one;
    call.n_revocations = 1;
    CHECK_OK_("call", cx, pb_pack(cx, &call.base, &body));
    return vault_revocations(cx, vault(site), body);
}

static void check_complaint(const char *what, size_t site, const char *code)
{
    struct play p;

    ask(&p, "age >= 60");
    CHECK_OK_(what, p.cx, play_preflight(&p, site));
    const Cohortium__Preflight *reply = play_preflight_of(&p, site);
    CHECK_EQ_(what, reply->n_complaints, code != NULL);
    if (code != NULL)
        assert_string_equal(reply->complaints[0]->code, code);
    play_free(&p);
}

/* ---- permits ---- */

static void test_revocation__a_permit_is_taken_back(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct play p;

    (void)state;
    assert_non_null(cx);
    struct bytes paper = by_officer(cx, of_permit(cx, t.permit, VICTIM), VICTIM);
    struct bytes permit = permit_of(cx, t.permit);
    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    (void)vaults_desk(&t, cx, VICTIM, "permit revoke", NULL, 0, NULL, 2);
    (void)vaults_desk(&t, cx, VICTIM, "permit revoke", NULL, 0, &paper, 0);
    const struct audit_entry *log = vaults_newest(&t, cx, VICTIM, "revocation");
    CHECK_("logged with the reason", strstr(log->details, "the vote ended") != NULL);
    CHECK_("and by whom", strstr(log->details, "officer") != NULL &&
                              strstr(log->details, vault(VICTIM)->self->name) != NULL);
    CHECK_EQ_("under the permit", log->record->permit.len, ID_BYTES);
    CHECK_OK_("home goes on", cx, play_propose(&p, NULL));
    CHECK_EQ_("the site does not", play_step(&p, VICTIM, NULL), FAULT_DENIED);
    CHECK_("says so", strstr(p.message, "revoked") != NULL);
    play_forget(&p);
    check_count(TABLE_ANSWERS, 0);
    CHECK_OK_("others hear of it", cx, told(cx, LIAR, paper));
    CHECK_("as information",
           strcmp(vaults_newest(&t, cx, LIAR, "revocation")->record->decision, "noted") ==
               0);
    for (int restarted = 0; restarted < 2; restarted++) {
        check_complaint("next request", VICTIM, "revoked_permit");
        check_complaint("elsewhere", LIAR, NULL);
        (void)vaults_desk(&t, cx, VICTIM, "permit add", NULL, 0, &permit, 1);
        vaults_reopen(&t, VICTIM);
    }
    play_free(&p);
    cx_free(&cx);
}

static void test_revocation__the_issuers_binds_all(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);

    (void)state;
    assert_non_null(cx);
    vaults_permit(
        &t,
        &(struct vaults_permit){.researcher = t.researcher, .issuer = vault(LIAR)->self},
        t.permit);
    struct bytes victims = by_officer(cx, of_permit(cx, t.permit, VICTIM), VICTIM);
    CHECK_OK_("of neither", cx, told(cx, HOME, victims));
    check_complaint("nothing", HOME, NULL);
    struct bytes paper = by_officer(cx, of_permit(cx, t.permit, LIAR), LIAR);
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_OK_("told", cx, told(cx, i, paper));
        check_complaint("it binds", i, "revoked_permit");
    }
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    CHECK_OK_("told again", cx, told(cx, HOME, paper));
    CHECK_EQ_("nothing is written twice", vaults_count(&t, HOME, TABLE_LOG), log);
    cx_free(&cx);
}

/* A paper may be faster than what it revokes. */
static void test_revocation__before_the_permit(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);

    (void)state;
    assert_non_null(cx);
    struct bytes permit = permit_of(cx, t.permit);
    struct envelope e;
    Cohortium__Permit *p;
    CHECK_OK_("permit", cx, envelope_open(cx, ENVELOPE_PERMIT, permit, &e));
    CHECK_OK_("permit", cx,
              pb_unpack(cx, &cohortium__permit__descriptor, e.body,
                        envelope_bound(ENVELOPE_PERMIT), &p));
    uint8_t ids[2][ID_BYTES] = {{1}, {2}};
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct bytes fresh;

        p->id = PB_DATA(bytes_of(ids[i], ID_BYTES));
        CHECK_OK_(
            "seal", cx,
            envelope_seal(cx, ENVELOPE_PERMIT, &p->base, t.site[VICTIM].officer, &fresh));
        CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_PERMIT, fresh, &e));
        Cohortium__Revocation r = of_permit(cx, t.permit, i == 0 ? VICTIM : LIAR);
        r.target = PB_DATA(bytes_of(e.digest, DIGEST_BYTES));
        r.id = p->id;
        r.issuer = r.member; /* as it claims */
        CHECK_OK_("told", cx, told(cx, VICTIM, by_officer(cx, r, i == 0 ? VICTIM : LIAR)));
        (void)vaults_desk(&t, cx, VICTIM, "permit add", NULL, 0, &fresh, i == 0);
    }
    cx_free(&cx);
}

/* ---- papers that are refused ---- */

struct bent {
    const char *what;
    void (*bend)(Cohortium__Revocation *r);
    enum fault want;
    const char *says;
};

static uint8_t other[32] = {7};

static void as_it_is(Cohortium__Revocation *r)
{
    r->reason = (char *)"as it is";
}

static void old(Cohortium__Revocation *r)
{
    r->issued_at = (uint64_t)clock_utc_ms() - 2000;
    r->until = (uint64_t)clock_utc_ms() - 1000;
}

static void early(Cohortium__Revocation *r)
{
    r->issued_at = (uint64_t)clock_utc_ms() + 3600 * 1000;
}

static void elsewhere(Cohortium__Revocation *r)
{
    r->consortium = PB_DATA(bytes_of(other, sizeof other));
}

static void of_nobody(Cohortium__Revocation *r)
{
    r->member = PB_DATA(bytes_of(other, sizeof other));
}

static void of_home(Cohortium__Revocation *r)
{
    r->member = vault(HOME)->self->node_id;
}

static void of_another_permit(Cohortium__Revocation *r)
{
    r->target = PB_DATA(bytes_of(other, sizeof other));
}

static void silent(Cohortium__Revocation *r)
{
    r->reason = (char *)"  ";
}

static void two_lines(Cohortium__Revocation *r)
{
    r->reason = (char *)"ended\nreleased: everything";
}

static void of_what(Cohortium__Revocation *r)
{
    r->what = (char *)"policy";
}

static void test_revocation__what_is_refused(void **state)
{
    static const struct bent rows[] = {
        {"old", old, FAULT_EXPIRED, "it is old"},
        {"dated in the future", early, FAULT_EXPIRED, "compare the clocks"},
        {"of another consortium", elsewhere, FAULT_DENIED, "another consortium"},
        {"of no member", of_nobody, FAULT_DENIED, "no member"},
        {"signed by another's officer", of_home, FAULT_DENIED, "valid signature"},
        {"of another document", of_another_permit, FAULT_CONFLICT, "another permit"},
        {"without a reason", silent, FAULT_FORMAT, "reason"},
        {"of two lines", two_lines, FAULT_FORMAT, "one line"},
        {"of a policy", of_what, FAULT_FORMAT, "permit or credential"},
        {"as it is", as_it_is, FAULT_NONE, ""},
        {"replayed", as_it_is, FAULT_REPLAY, "taken here before"},
    };
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct revocation_taken taken;
    struct bytes packed = {0};

    (void)state;
    assert_non_null(cx);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Revocation r = of_permit(cx, t.permit, VICTIM);

        if (rows[i].want != FAULT_REPLAY) { /* else the one before, byte by byte */
            rows[i].bend(&r);
            packed = seal(cx, &r, t.site[VICTIM].officer);
        }
        CHECK_EQ_(rows[i].what, revocation_take(cx, vault(VICTIM), packed, true, &taken),
                  rows[i].want);
        CHECK_(rows[i].what,
               rows[i].want == FAULT_NONE || strstr(cx_message(cx), rows[i].says) != NULL);
        if (rows[i].want != FAULT_NONE && rows[i].want != FAULT_REPLAY)
            check_complaint(rows[i].what, VICTIM, NULL);
    }
    Cohortium__Revocation again = of_permit(cx, t.permit, VICTIM);
    again.reason = (char *)"once more";
    CHECK_EQ_(
        "revoked already",
        revocation_take(cx, vault(VICTIM), by_officer(cx, again, VICTIM), true, &taken),
        FAULT_CONFLICT);
    cx_free(&cx);
}

/* A member's clock is behind, or the officer's ahead, when a paper comes, once a link: it
 * binds all the same, at once and after a restart. What had ended before it does not come
 * to life. */
static void test_revocation__heard_by_a_clock_behind(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);

    (void)state;
    assert_non_null(cx);
    Cohortium__Revocation r = of_permit(cx, t.permit, VICTIM);
    old(&r);
    CHECK_OK_("had its time", cx, told(cx, VICTIM, by_officer(cx, r, VICTIM)));
    check_complaint("nothing", VICTIM, NULL);
    r = of_permit(cx, t.permit, VICTIM);
    early(&r);
    struct bytes paper = by_officer(cx, r, VICTIM);
    for (int again = 0; again < 2; again++) {
        CHECK_OK_("told", cx, told(cx, VICTIM, paper));
        check_complaint("it binds", VICTIM, "revoked_permit");
        vaults_reopen(&t, VICTIM);
    }
    check_complaint("after a restart", VICTIM, "revoked_permit");
    cx_free(&cx);
}

static void test_revocation__a_flipped_bit(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct revocation_taken taken;

    (void)state;
    assert_non_null(cx);
    struct bytes packed = by_officer(cx, of_permit(cx, t.permit, VICTIM), VICTIM);
    struct bytes strangers = by_officer(cx, of_permit(cx, t.permit, VICTIM), LIAR);
    uint8_t *bent = cx_memdup(cx, packed.p, packed.n);
    assert_non_null(bent);
    for (size_t i = 0; i < packed.n; i += 3) {
        bent[i] ^= 1;
        CHECK_("refused", revocation_take(cx, vault(VICTIM), bytes_of(bent, packed.n), true,
                                          &taken) != FAULT_NONE);
        bent[i] ^= 1;
    }
    CHECK_EQ_("another's officer",
              revocation_take(cx, vault(VICTIM), strangers, true, &taken), FAULT_DENIED);
    check_complaint("it stands", VICTIM, NULL);
    CHECK_OK_("whole", cx, revocation_take(cx, vault(VICTIM), packed, true, &taken));
    cx_free(&cx);
}

/* ---- credentials ---- */

static uint8_t ended[DIGEST_BYTES];
static size_t n_ended, n_told;

static void hear(void *user, struct cx *cx, enum ipc_kind kind, struct bytes body)
{
    (void)user;
    (void)cx;
    n_told += kind == IPC_REVOCATIONS;
    if (kind != IPC_REVOKED)
        return;
    n_ended++;
    memcpy(ended, body.p, DIGEST_BYTES);
}

static void test_revocation__a_credential(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct play p;

    (void)state;
    assert_non_null(cx);
    n_ended = n_told = 0;
    vault(HOME)->to_net = hear;
    Cohortium__Revocation r = of_credential(cx, LIAR);
    CHECK_EQ_("a node that did not issue it does not sign",
              told(cx, HOME, seal(cx, &r, vault(LIAR)->signing)), FAULT_DENIED);
    CHECK_OK_("another's officer", cx, told(cx, HOME, by_officer(cx, r, LIAR)));
    check_complaint("binds nobody else", HOME, NULL);
    CHECK_EQ_("no link ends", n_ended, 0);
    CHECK_OK_("at his own site", cx, told(cx, LIAR, by_officer(cx, r, LIAR)));
    ask(&p, "age >= 61");
    CHECK_EQ_("it is refused", play_preflight(&p, LIAR), FAULT_DENIED);
    play_free(&p);
    ask(&p, "age >= 62");
    r = of_credential(cx, HOME);
    struct bytes homes = seal(cx, &r, vault(HOME)->signing);
    CHECK_OK_("the node's own paper", cx, told(cx, VICTIM, homes));
    CHECK_EQ_("holds at another site", play_preflight(&p, VICTIM), FAULT_DENIED);
    play_free(&p);
    CHECK_OK_("and at home", cx, told(cx, HOME, homes));
    CHECK_EQ_("whose links end", n_ended, 1);
    CHECK_EQ_("and all are told", n_told, 2);
    ask(&p, "age >= 63");
    CHECK_EQ_("home refuses", play_preflight(&p, HOME), FAULT_DENIED);
    play_free(&p);
    vault(HOME)->to_net = NULL;
    t.credential = vaults_credential(&t, t.cx, HOME, t.researcher);
    for (size_t i = 0; i < VAULTS; i++)
        check_complaint("a new one serves", i, NULL);
    cx_free(&cx);
}

/* One member cannot fill everybody's disk. */
static void test_revocation__bounded(void **state)
{
    struct cx *cx = cx_new(512 << 20, CX_NO_DEADLINE);
    uint8_t target[DIGEST_BYTES] = {0}, id[ID_BYTES] = {0};
    enum fault fault = FAULT_NONE;
    size_t n = 0;

    (void)state;
    assert_non_null(cx);
    for (; fault == FAULT_NONE && n <= REVOCATIONS_OF_ONE_MAX; n++) {
        Cohortium__Revocation r = of_permit(cx, t.permit, LIAR);

        memcpy(target, &n, sizeof n);
        memcpy(id, &n, sizeof n);
        r.target = PB_DATA(bytes_of(target, sizeof target));
        r.id = PB_DATA(bytes_of(id, sizeof id));
        fault = told(cx, VICTIM, by_officer(cx, r, LIAR));
    }
    CHECK_EQ_("the last is too much", fault, FAULT_BOUND);
    CHECK_EQ_("so many", n, REVOCATIONS_OF_ONE_MAX + 1);
    CHECK_OK_("another member has room", cx,
              told(cx, VICTIM, by_officer(cx, of_permit(cx, t.permit, VICTIM), VICTIM)));
    check_complaint("it holds", VICTIM, "revoked_permit");
    cx_free(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_revocation__a_permit_is_taken_back),
        UNDER(cautious, test_revocation__the_issuers_binds_all),
        UNDER(cautious, test_revocation__before_the_permit),
        UNDER(cautious, test_revocation__what_is_refused),
        UNDER(cautious, test_revocation__heard_by_a_clock_behind),
        UNDER(cautious, test_revocation__a_flipped_bit),
        UNDER(cautious, test_revocation__a_credential),
        UNDER(cautious, test_revocation__bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
