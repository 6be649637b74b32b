/*
 * test_later.c - the vault's drawer of questions for later: whose they are, how many there
 * may be, how long they stay, and when they are tried.
 */
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/node/session_case.h"

static struct cx *cx;

/* Whose it is, or this node itself. */
static struct caller caller_for(const Cohortium__LaterStore *store)
{
    struct caller who = {.role = IPC_RESEARCHER};

    if (strcmp(store->act, "next") == 0 || strcmp(store->act, "end") == 0 ||
        strcmp(store->act, "again") == 0 || strcmp(store->act, "start") == 0)
        return play_caller(&t, HOME, HOME);
    if (store->issuer.len == sizeof who.researcher)
        memcpy(who.researcher, store->issuer.data, sizeof who.researcher);
    return who;
}

static Cohortium__LaterReply *drawer(const Cohortium__LaterStore *store, enum fault want)
{
    struct bytes packed, body;
    Cohortium__LaterReply *reply = NULL;
    struct caller who = caller_for(store);

    CHECK_OK_("store", cx, pb_pack(cx, &store->base, &packed));
    CHECK_EQ_(store->act, vault_later(cx, &t.site[HOME].v, &who, packed, &body), want);
    if (want == FAULT_NONE)
        CHECK_OK_(
            "reply", cx,
            pb_unpack(cx, &cohortium__later_reply__descriptor, body, 1 << 24, &reply));
    return reply;
}

static Cohortium__LaterStore store_of(const char *act, const Cohortium__Request *r)
{
    Cohortium__LaterStore s = COHORTIUM__LATER_STORE__INIT;

    s.act = (char *)act;
    if (r == NULL)
        return s;
    s.issuer = r->stamp->issuer;
    s.id = bytes_hex(cx, r->stamp->request_id.data, ID_BYTES);
    return s;
}

static Cohortium__LaterReply *keep(const Cohortium__Request *r, const struct keys *keys,
                                   enum fault want)
{
    Cohortium__LaterStore s = store_of("keep", r);

    s.request = PB_DATA(vaults_seal(cx, r, keys));
    return drawer(&s, want);
}

static Cohortium__Request *question(void)
{
    return vaults_request(&t, cx, "count", NULL, "age >= 40");
}

static Cohortium__LaterReply *next(bool soon)
{
    Cohortium__LaterStore s = store_of("next", NULL);

    s.soon = soon;
    return drawer(&s, FAULT_NONE);
}

/* What net says of a try: `trouble` NULL is an answer. */
static void tried(const Cohortium__Request *r, const char *act, const char *trouble,
                  bool down)
{
    Cohortium__LaterStore s = store_of(act, r);
    Cohortium__Trouble words = COHORTIUM__TROUBLE__INIT;
    struct bytes packed = bytes_of("receipt", 7);
    struct envelope e;

    CHECK_OK_("envelope", cx,
              envelope_open(cx, ENVELOPE_REQUEST, vaults_seal(cx, r, t.researcher), &e));
    s.id = (char *)"";
    s.request = PB_DATA(bytes_of(e.digest, DIGEST_BYTES));
    s.soon = down;
    if (trouble != NULL) {
        words.fault = (char *)"unavailable";
        words.text = (char *)trouble;
        CHECK_OK_("trouble", cx, pb_pack(cx, &words.base, &packed));
        s.trouble = PB_DATA(packed);
    } else {
        s.receipt = PB_DATA(packed);
    }
    (void)drawer(&s, FAULT_NONE);
}

static Cohortium__LaterReply *take(const Cohortium__Request *r)
{
    Cohortium__LaterStore s = store_of("take", r);

    return drawer(&s, FAULT_NONE);
}

/* Verified as a site would, and for the one who signed it. */
static void test_later__what_is_kept(void **state)
{
    static const struct {
        const char *what;
        enum fault want;
    } rows[] = {
        {"as asked", FAULT_NONE},
        {"for seven days", FAULT_NONE},
        {"for longer", FAULT_FORMAT},
        {"signed by another", FAULT_DENIED},
        {"brought by another", FAULT_DENIED},
        {"a dry run", FAULT_INVALID},
        {"expired", FAULT_EXPIRED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Request *r = question();
        Cohortium__LaterStore s;
        uint8_t other[DIGEST_BYTES] = {1};

        if (i == 1 || i == 2)
            r->stamp->expires_at =
                r->stamp->issued_at + REQUEST_LIFE_MAX_MS + (i == 2 ? 1 : 0);
        r->dry_run = i == 5;
        if (i == 6) {
            r->stamp->issued_at -= 3600 * 1000;
            r->stamp->expires_at = r->stamp->issued_at + 1000;
        }
        s = store_of("keep", r);
        s.request = PB_DATA(vaults_seal(cx, r, i == 3 ? t.stranger : t.researcher));
        if (i == 4)
            s.issuer = PB_DATA(bytes_of(other, sizeof other));
        Cohortium__LaterReply *reply = drawer(&s, rows[i].want);
        CHECK_(rows[i].what,
               reply == NULL ||
                   (reply->n_cards == 1 && strcmp(reply->cards[0]->state, "waiting") == 0));
    }
}

/* Who may not ask any more may leave nothing here either. */
static void test_later__not_of_a_revoked_credential(void **state)
{
    static const char *const words[] = {"ada", "left the institution"};
    Cohortium__Request *r = question();

    (void)state;
    (void)vaults_desk(&t, cx, HOME, "researcher revoke", words, COUNT(words), NULL, 0);
    (void)keep(r, t.researcher, FAULT_DENIED);
}

/* The same request twice is one; its id for another question is none. */
static void test_later__one_id_one_request(void **state)
{
    Cohortium__Request *r = question();
    Cohortium__LaterStore all = store_of("list", r);

    (void)state;
    (void)keep(r, t.researcher, FAULT_NONE);
    (void)keep(r, t.researcher, FAULT_NONE);
    CHECK_EQ_("one", drawer(&all, FAULT_NONE)->n_cards, 1);
    r->note = (char *)"another";
    (void)keep(r, t.researcher, FAULT_REPLAY);
    CHECK_EQ_("still", drawer(&all, FAULT_NONE)->n_cards, 1);
}

static void test_later__nobody_elses(void **state)
{
    Cohortium__Request *r = question();
    Cohortium__LaterStore s;
    uint8_t other[DIGEST_BYTES] = {1};

    (void)state;
    (void)keep(r, t.researcher, FAULT_NONE);
    for (int i = 0; i < 3; i++) {
        static const char *const acts[] = {"list", "take", "drop"};

        s = store_of(acts[i], r);
        s.issuer = PB_DATA(bytes_of(other, sizeof other));
        Cohortium__LaterReply *reply = drawer(&s, FAULT_NONE);
        CHECK_EQ_(acts[i], reply->n_cards, 0);
        CHECK_EQ_(acts[i], reply->request.len, 0);
    }
    s = store_of("take", r);
    s.id[8] = '\0';
    CHECK_EQ_("by its first digits", drawer(&s, FAULT_NONE)->n_cards, 1);
    s.id = (char *)"";
    s.act = (char *)"drop";
    CHECK_EQ_("its issuer", drawer(&s, FAULT_NONE)->n_cards, 1);
    CHECK_EQ_("is gone", take(r)->n_cards, 0);
}

/* Whoever brings it: each act is for its researcher, or for this node alone. */
static void test_later__by_whom(void **state)
{
    static const struct {
        const char *act;
        bool node; /* this node's; else the researcher's */
    } rows[] = {{"keep", false}, {"list", false}, {"take", false}, {"drop", false},
                {"next", true},  {"end", true},   {"again", true}, {"start", true}};
    Cohortium__Request *r = question();
    uint8_t other[DIGEST_BYTES] = {1};

    (void)state;
    (void)keep(r, t.researcher, FAULT_NONE);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__LaterStore s = store_of(rows[i].act, r);
        struct caller issuer = {.role = IPC_RESEARCHER}, another = issuer,
                      self = play_caller(&t, HOME, HOME),
                      member = play_caller(&t, LIAR, HOME);
        struct bytes packed, body;

        memcpy(issuer.researcher, r->stamp->issuer.data, DIGEST_BYTES);
        memcpy(another.researcher, other, DIGEST_BYTES);
        memcpy(member.researcher, r->stamp->issuer.data, DIGEST_BYTES);
        const struct caller *refused[] = {&another, &member,
                                          rows[i].node ? &issuer : &self};
        CHECK_OK_("store", cx, pb_pack(cx, &s.base, &packed));
        for (size_t k = 0; k < COUNT(refused); k++)
            CHECK_EQ_(rows[i].act,
                      vault_later(cx, &t.site[HOME].v, refused[k], packed, &body),
                      FAULT_DENIED);
    }
    CHECK_EQ_("untouched", take(r)->n_cards, 1);
}

/* Sixteen of one researcher; a finished one counts until it is fetched or expires. */
static void test_later__bounded(void **state)
{
    Cohortium__Request *first = question();

    (void)state;
    (void)keep(first, t.researcher, FAULT_NONE);
    for (int i = 1; i < 16; i++)
        (void)keep(question(), t.researcher, FAULT_NONE);
    tried(first, "end", NULL, false);
    (void)keep(question(), t.researcher, FAULT_INVALID);
    Cohortium__LaterStore s = store_of("drop", first);
    CHECK_EQ_("fetched", drawer(&s, FAULT_NONE)->n_cards, 1);
    (void)keep(question(), t.researcher, FAULT_NONE);
}

struct noting {
    const Cohortium__Request *request;
    uint8_t digest[DIGEST_BYTES];
};

static enum fault note(struct cx *c, sqlite3 *sql, void *user)
{
    const struct noting *n = user;
    const Cohortium__Stamp *s = n->request->stamp;

    return replay_note(c, sql, s->issuer.data, s->request_id.data, n->digest, s->expires_at,
                       clock_utc_ms());
}

/* What a charge leaves behind is told when a question that waits is cancelled. */
static void test_later__cancelled_after_a_try_that_was_charged(void **state)
{
    struct noting n = {.request = question()};
    Cohortium__Request *untried = question();
    struct vault *v = &t.site[HOME].v;

    (void)state;
    (void)keep(untried, t.researcher, FAULT_NONE);
    Cohortium__LaterReply *kept = keep(n.request, t.researcher, FAULT_NONE);
    memcpy(n.digest, kept->cards[0]->request.data, DIGEST_BYTES);
    CHECK_OK_("charge", cx, db_write(cx, v->db, note, &n));
    Cohortium__LaterStore s = store_of("drop", untried);
    Cohortium__LaterReply *r = drawer(&s, FAULT_NONE);
    assert_string_equal(r->cards[0]->state, "cancelled");
    CHECK_EQ_("never tried", r->cards[0]->n_charged, 0);
    s = store_of("drop", n.request);
    r = drawer(&s, FAULT_NONE);
    assert_string_equal(r->cards[0]->state, "cancelled");
    CHECK_EQ_("tried", r->cards[0]->n_charged, 1);
    CHECK_("here",
           bytes_equal(PB_BYTES(r->cards[0]->charged[0]), PB_BYTES(v->self->node_id)));
}

/* next hands it out once; what comes of the try decides when it is due again. */
static void test_later__tried_and_tried_again(void **state)
{
    Cohortium__Request *r = question();
    Cohortium__LaterReply *reply;

    (void)state;
    CHECK_EQ_("nothing waits", next(true)->n_cards, 0);
    (void)keep(r, t.researcher, FAULT_NONE);
    reply = next(false);
    CHECK_("is due, with whose it is",
           reply->request.len > 0 && bytes_equal(PB_BYTES(reply->cards[0]->charged[0]),
                                                 PB_BYTES(r->stamp->issuer)));
    reply = next(true);
    CHECK_("is being tried", reply->n_cards == 1 && reply->request.len == 0);
    tried(r, "again", "site_c is down", true);
    CHECK_EQ_("not at once", next(false)->request.len, 0);
    assert_string_equal(take(r)->cards[0]->text, "site_c is down");
    CHECK_("as soon as a link comes up", next(true)->request.len > 0);
    tried(r, "again", "no permit yet", false);
    CHECK_EQ_("what no link mends waits", next(true)->request.len, 0);
    tried(r, "end", NULL, false);
    CHECK_EQ_("done", next(true)->n_cards, 0);
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    reply = take(r);
    CHECK_EQ_("who fetched it is logged", vaults_count(&t, HOME, TABLE_LOG), log + 1);
    const struct audit_entry *entry = vaults_newest(&t, t.cx, HOME, "collect");
    CHECK_("by name and words",
           entry != NULL &&
               bytes_equal(PB_BYTES(entry->record->who), PB_BYTES(r->stamp->issuer)) &&
               strstr(entry->details, "was fetched by collect") != NULL);
    assert_string_equal(reply->cards[0]->state, "done");
    CHECK_("with its receipt",
           bytes_equal(PB_BYTES(reply->receipt), bytes_of("receipt", 7)));
    tried(r, "end", "late news", false);
    assert_string_equal(take(r)->cards[0]->state, "done");
    CHECK_EQ_("once", vaults_count(&t, HOME, TABLE_LOG), log + 1);
}

static enum fault stood_ahead(struct cx *own, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(own, sql, &stmt, "UPDATE later SET try_at = try_at + ?", "i",
                   *(const int64_t *)user));
    return db_run(own, sql, stmt);
}

/* What was put off while the clock stood ahead waits no longer than it would have. */
static void test_later__clock_put_back(void **state)
{
    static const struct {
        const char *what;
        int64_t ahead;
        bool waits; /* long: it is within what a try may be put off */
    } rows[] = {
        {"a quarter of an hour is a proper time to wait", 900 * 1000, true},
        {"an hour and more is not", 3600 * 1000, false},
        {"nor is a day", 24 * 3600 * 1000, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Request *r = question();
        int64_t ahead = rows[i].ahead;

        (void)keep(r, t.researcher, FAULT_NONE);
        CHECK_(rows[i].what, next(false)->request.len > 0);
        tried(r, "again", "no permit yet", false);
        CHECK_OK_(rows[i].what, cx, db_write(cx, t.site[HOME].v.db, stood_ahead, &ahead));
        CHECK_EQ_(rows[i].what, next(false)->request.len, 0); /* soon, not at once */
        (void)usleep(2100 * 1000);
        CHECK_EQ_(rows[i].what, next(false)->request.len == 0, rows[i].waits);
        tried(r, "end", NULL, false);
    }
}

static void test_later__survives_a_restart(void **state)
{
    Cohortium__Request *r = question();

    (void)state;
    (void)keep(r, t.researcher, FAULT_NONE);
    vaults_reopen(&t, HOME);
    CHECK_EQ_("kept", take(r)->n_cards, 1);
    CHECK_("and due", next(false)->request.len > 0);
}

static Cohortium__LaterReply *begin(void)
{
    Cohortium__LaterStore s = store_of("start", NULL);

    return drawer(&s, FAULT_NONE);
}

/* Net begins: what was being tried when the one before died is due at once, and nothing
 * else is sooner for it. */
static void test_later__what_died_amid_a_try(void **state)
{
    Cohortium__Request *r = question(), *other = question();
    Cohortium__LaterReply *reply;

    (void)state;
    (void)keep(other, t.researcher, FAULT_NONE);
    CHECK_("one is handed out", next(false)->request.len > 0);
    tried(other, "again", "no permit yet", false);
    (void)keep(r, t.researcher, FAULT_NONE);
    CHECK_("another", next(false)->request.len > 0);
    (void)take(r); /* who asks for it does not have it tried twice */
    vaults_reopen(&t, HOME);
    CHECK_EQ_("nobody says that the try has ended", next(true)->request.len, 0);
    reply = begin();
    CHECK_("due again",
           reply->request.len > 0 && bytes_equal(PB_BYTES(reply->cards[0]->request_id),
                                                 PB_BYTES(r->stamp->request_id)));
    CHECK_EQ_("what waits for a permit still does", next(false)->request.len, 0);
    CHECK_("and once more", begin()->request.len > 0);
    tried(r, "end", NULL, false);
    CHECK_EQ_("what is done is not", begin()->request.len, 0);
}

static void test_later__what_net_may_not_say(void **state)
{
    Cohortium__LaterStore s = store_of("burn", question());
    static uint8_t large[5 << 20];

    (void)state;
    (void)drawer(&s, FAULT_INVALID);
    s.act = (char *)"list";
    s.issuer.len = 5;
    (void)drawer(&s, FAULT_FORMAT);
    s = store_of("end", question());
    s.receipt = PB_DATA(bytes_of(large, sizeof large - 4096));
    (void)drawer(&s, FAULT_BOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_later__what_is_kept),
        UNDER(testing, test_later__not_of_a_revoked_credential),
        UNDER(testing, test_later__one_id_one_request),
        UNDER(testing, test_later__nobody_elses),
        UNDER(testing, test_later__by_whom),
        UNDER(testing, test_later__bounded),
        UNDER(testing, test_later__cancelled_after_a_try_that_was_charged),
        UNDER(testing, test_later__tried_and_tried_again),
        UNDER(testing, test_later__clock_put_back),
        UNDER(testing, test_later__survives_a_restart),
        UNDER(testing, test_later__what_died_amid_a_try),
        UNDER(testing, test_later__what_net_may_not_say),
    };

    cx = cx_new(1 << 28, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    cx_free(&cx);
    return status;
}
