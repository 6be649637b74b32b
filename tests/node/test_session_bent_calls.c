/*
 * test_session_bent_calls.c - what a coordinator asks of a vault, which nobody signs, each
 * field bent: BeginCall and StepCall.
 *
 * A vault that cannot tell which session is meant leaves all sessions alone; any other bent
 * call ends the session, and none gives an answer.
 */
#include "tests/node/lie.h"
#include "tests/node/session_case.h"
#include "tests/protocol/bend.h"

enum { LARGE = 5000, CALL_MEMORY = 256 << 20 };

typedef enum fault service(struct cx *cx, struct vault *v, const struct caller *who,
                           struct bytes body, struct bytes *ret);

struct calling {
    size_t victim, wanted;
    uint32_t round;
    bool wire;
    struct bend b;
    struct bytes body;
};

static bool bend_it(struct calling *c, const ProtobufCMessageDescriptor *d,
                    struct bytes honest, struct cx *cx)
{
    if (c->wire)
        return bend_encoding(d, honest, c->wanted, cx, &c->b, &c->body);
    return bend_field(d, honest, LARGE, c->wanted, cx, &c->b, &c->body);
}

/* The fault, and its sentence in the play. */
static enum fault ask_vault(struct play *p, service *s, size_t site, struct bytes body,
                            struct bytes *ret)
{
    AUTO_CX struct cx *cx = cx_new(CALL_MEMORY, CX_NO_DEADLINE);
    struct caller who = play_caller(&t, HOME, site);
    struct bytes reply = {0};

    assert_non_null(cx);
    enum fault fault = s(cx, &t.site[site].v, &who, body, &reply);
    (void)snprintf(p->message, sizeof p->message, "%s: %s", fault_name(fault),
                   fault != FAULT_NONE ? cx_message(cx) : "");
    if (fault == FAULT_NONE)
        *ret = bytes_of(cx_memdup(p->cx, reply.p, reply.n), reply.n);
    return fault;
}

static void ask_new(struct play *p)
{
    static size_t k;
    char cohort[80];

    (void)snprintf(cohort, sizeof cohort, "age >= %zu and age < %zu and score < %zu",
                   20 + k % 20, 50 + k / 20 % 50, 3 + k / 1000);
    k++;
    ask(p, cohort);
}

/* ---- begin ---- */

static struct bytes begin_call(struct play *p)
{
    Cohortium__BeginCall c = COHORTIUM__BEGIN_CALL__INIT;
    ProtobufCBinaryData list[VAULTS];
    struct bytes packed;

    for (size_t i = 0; i < VAULTS; i++)
        list[i] = PB_DATA(p->preflight[i]);
    c.request = PB_DATA(p->request);
    c.preflights = list;
    c.n_preflights = VAULTS;
    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &c.base, &packed));
    return packed;
}

static bool tell_begin(struct calling *c, struct bend_count *count)
{
    struct play p;
    struct bytes reply;

    ask_new(&p);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    bool there = bend_it(c, &cohortium__begin_call__descriptor, begin_call(&p), p.cx);
    if (there) {
        const char *name = bend_name("begin", &c->b);
        struct vault *v = &t.site[c->victim].v;
        size_t sessions = sessions_count(v);
        enum fault fault = ask_vault(&p, vault_begin, c->victim, c->body, &reply);

        count->tried[c->b.how]++;
        /* To run anew what is not held is to run it. */
        bool excused = strcmp(c->b.field, "rerun") == 0 && !c->wire;
        CHECK_EQ_(name, fault == FAULT_NONE, excused);
        CHECK_EQ_(name, sessions_count(v), sessions + excused);
        CHECK_EQ_(name, fault == FAULT_INTERNAL || fault == FAULT_MEMORY, false);
        excused ? count->excused++ : count->found++;
    }
    play_forget(&p);
    play_free(&p);
    return there;
}

static void test_bent__begin_calls(void **state)
{
    struct bend_count count = {0};
    (void)state;

    for (struct calling c = {.victim = VICTIM}; tell_begin(&c, &count); c.wanted++)
        ;
    for (struct calling c = {.victim = HOME}; tell_begin(&c, &count); c.wanted++)
        ;
    for (struct calling c = {.victim = VICTIM, .wire = true}; tell_begin(&c, &count);
         c.wanted++)
        ;
    CHECK_EQ_("of no meaning", count.excused, 2);
    CHECK_("some", count.found > 0);
    check_count(TABLE_ANSWERS, 0);
    check_count(TABLE_CHARGES, 0);
    bend_print("begin", &count, "of no meaning");
}

/* ---- step ---- */

static struct bytes step_call(struct play *p)
{
    Cohortium__StepCall c = COHORTIUM__STEP_CALL__INIT;
    ProtobufCBinaryData list[VAULTS], boxes[VAULTS];
    struct bytes packed;

    play_boxes(p, VICTIM, boxes);
    c.request = PB_DATA(bytes_of(p->digest, DIGEST_BYTES));
    c.proposal = PB_DATA(p->proposal);
    for (size_t i = 0; i < VAULTS; i++)
        list[i] = p->round == 0 ? PB_DATA(p->accept[i]) : PB_DATA(p->before[i]);
    if (p->round == 0) {
        c.accepts = list;
        c.n_accepts = VAULTS;
    } else {
        c.vectors = list;
        c.boxes = boxes;
        c.n_vectors = c.n_boxes = VAULTS;
    }
    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &c.base, &packed));
    return packed;
}

static bool tell_step(struct calling *c, struct bend_count *count)
{
    struct play p;
    struct bytes reply;

    ask_new(&p);
    play_start(&p);
    play_to(&p, c->round);
    bool there = bend_it(c, &cohortium__step_call__descriptor, step_call(&p), p.cx);
    if (there) {
        const char *name = bend_name("step", &c->b);
        uint64_t log = vaults_count(&t, VICTIM, TABLE_LOG);
        uint64_t answers = vaults_count(&t, VICTIM, TABLE_ANSWERS);
        enum fault fault = ask_vault(&p, vault_step, VICTIM, c->body, &reply);

        count->tried[c->b.how]++;
        if (fault == FAULT_NONE || fault == FAULT_INTERNAL || fault == FAULT_MEMORY)
            fail_msg("%s: %s", name, p.message);
        CHECK_EQ_(name, vaults_count(&t, VICTIM, TABLE_LOG), log);
        CHECK_EQ_(name, vaults_count(&t, VICTIM, TABLE_ANSWERS), answers);
        /* Which session is meant cannot be told: this one is as it was. */
        bool lives = c->wire || strcmp(c->b.field, "request") == 0;
        CHECK_EQ_(name, play_step(&p, VICTIM, NULL), lives ? FAULT_NONE : FAULT_MISSING);
        count->found++;
    }
    play_forget(&p);
    play_free(&p);
    return there;
}

static void test_bent__step_calls(void **state)
{
    struct bend_count count = {0};
    (void)state;

    for (uint32_t round = REGIONS; round <= COUNT_RELEASE; round++)
        for (struct calling c = {.round = round}; tell_step(&c, &count); c.wanted++)
            ;
    for (struct calling c = {.round = COUNT_SUM, .wire = true}; tell_step(&c, &count);
         c.wanted++)
        ;
    CHECK_("some", count.found > 0);
    bend_print("step", &count, "excused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_bent__begin_calls),
        UNDER(testing, test_bent__step_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
