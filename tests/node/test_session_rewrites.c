/*
 * test_session_rewrites.c - one cohort, however it is written: the same canonical form to
 * the byte, the same signed answer to the byte, and nothing charged or remembered for it
 * (A12).
 *
 * 100 cohorts from a seed, conditions on age, sex, status and score each once under and, or
 * and not, and REWRITES ways to write each of them (an environment variable; 10 when it is
 * not set, so 1,000 in all, through three vaults).
 */
#include "analyses/cohort.h"
#include "tests/node/session_case.h"

enum { COHORTS = 100, LEAVES = 4, TEXT_ROOM = 4096 };

static uint64_t random_state = 88172645463325252ULL;

static uint64_t below(uint64_t n) /* xorshift64: the same cases in every run */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % n;
}

static size_t rewrites(void)
{
    const char *set = getenv("REWRITES");

    return set != NULL ? strtoull(set, NULL, 10) : 10;
}

/* ---- cohorts, and how they are written ---- */

enum kind { AGE, SEX, STATUS, SCORE, AND, OR };

struct node {
    enum kind kind;
    bool high;   /* AGE, SCORE: at and above `at`; SEX: male; STATUS: 1 */
    unsigned at; /* of three cut points */
    size_t n;    /* AND, OR */
    struct node *part[LEAVES];
};

static struct node nodes[4 * LEAVES];
static size_t n_nodes;

static struct node *node_new(enum kind kind)
{
    struct node *a = &nodes[n_nodes++];

    *a = (struct node){.kind = kind, .high = below(2), .at = (unsigned)below(3)};
    return a;
}

/* Of these n variables, each once. */
static struct node *draw_node(const enum kind *kinds, size_t n, bool is_and)
{
    struct node *a;
    size_t at = 0;

    if (n == 1)
        return node_new(kinds[0]);
    a = node_new(is_and ? AND : OR);
    while (at < n) {
        size_t take = 1 + below(at == 0 ? n - 1 : n - at);

        a->part[a->n++] = draw_node(kinds + at, take, !is_and);
        at += take;
    }
    return a;
}

static struct node *draw_cohort(void)
{
    enum kind kinds[LEAVES] = {AGE, SEX, STATUS, SCORE};

    n_nodes = 0;
    for (size_t i = LEAVES; i > 1; i--) {
        size_t k = below(i);
        enum kind swap = kinds[i - 1];

        kinds[i - 1] = kinds[k];
        kinds[k] = swap;
    }
    return draw_node(kinds, 1 + below(LEAVES), below(2));
}

/* `x >= c` (or its contrary) of a number, in one of several ways; whole numbers have more.
 */
static void write_cut(struct buffer *b, const char *x, double c, bool whole, bool high)
{
    double lower = whole ? 0 : -10, upper = whole ? 120 : 10;

    switch (below(whole ? 7 : 4)) {
    case 0:
        buffer_printf(b, "%s %s %g", x, high ? ">=" : "<", c);
        return;
    case 1:
        buffer_printf(b, "%g %s %s", c, high ? "<=" : ">", x);
        return;
    case 2:
        buffer_printf(b, "not (%s %s %g)", x, high ? "<" : ">=", c);
        return;
    case 3:
        if (high)
            buffer_printf(b, "%s between %g and %g", x, c, upper);
        else
            buffer_printf(b, "(%s < %g and %s >= %g)", x, c, x, lower);
        return;
    case 4:
        buffer_printf(b, "%s %s %g", x, high ? ">" : "<=", c - 1);
        return;
    case 5:
        buffer_printf(b, "(%s %s %g and %s %s %g)", x, high ? ">=" : "<", c, x,
                      high ? ">=" : "<=", high ? lower : upper);
        return;
    default:
        if (high)
            buffer_printf(b, "(%s == %g or %s > %g)", x, c, x, c);
        else
            buffer_printf(b, "%s between %g and %g", x, lower, c - 1);
    }
}

static void write_sex(struct buffer *b, bool male)
{
    const char *is = male ? "male" : "female", *other = male ? "female" : "male";

    switch (below(4)) {
    case 0:
        buffer_printf(b, "sex == \"%s\"", is);
        return;
    case 1:
        buffer_printf(b, "sex != '%s'", other);
        return;
    case 2:
        buffer_printf(b, "sex in ('%s')", is);
        return;
    default:
        buffer_printf(b, "not (sex in ('%s', '%s'))", other, other);
    }
}

static void write_status(struct buffer *b, bool one)
{
    switch (below(4)) {
    case 0:
        buffer_printf(b, "status == %d", one);
        return;
    case 1:
        buffer_printf(b, "status != %d", !one);
        return;
    case 2:
        buffer_printf(b, "status %s", one ? "> 0" : "< 1");
        return;
    default:
        buffer_printf(b, "not (status in (%d))", !one);
    }
}

static void write_leaf(struct buffer *b, const struct node *a, bool negated)
{
    static const double ages[] = {40, 60, 80}, scores[] = {-1.5, 0, 2.25};
    bool high = a->high != negated;

    if (a->kind == AGE)
        write_cut(b, "age", ages[a->at], true, high);
    else if (a->kind == SCORE)
        write_cut(b, "score", scores[a->at], false, high);
    else if (a->kind == SEX)
        write_sex(b, high);
    else
        write_status(b, high);
}

static void write_node(struct buffer *b, const struct node *a, bool negated);

/* In another order, one of them twice now and then, nested now and then. */
static void write_parts(struct buffer *b, const struct node *a, bool negated)
{
    const char *joined = (a->kind == AND) != negated ? " and " : " or ";
    size_t order[LEAVES + 1], n = a->n, open = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = below(i + 1);

        order[i] = order[k];
        order[k] = i;
    }
    if (below(4) == 0)
        order[n++] = below(a->n);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buffer_text(b, joined);
        if (i + 2 <= n && below(3) == 0) {
            buffer_text(b, "(");
            open++;
        }
        write_node(b, a->part[order[i]], negated);
    }
    for (; open > 0; open--)
        buffer_text(b, ")");
}

static void write_node(struct buffer *b, const struct node *a, bool negated)
{
    bool around = below(3) == 0;

    buffer_text(b, around ? "not (" : "(");
    if (a->n == 0)
        write_leaf(b, a, negated != around);
    else
        write_parts(b, a, negated != around);
    buffer_text(b, ")");
}

static const char *written(struct cx *cx, const struct node *a)
{
    struct buffer b = buffer_new(cx, TEXT_ROOM);
    const char *text;

    write_node(&b, a, false);
    text = buffer_string(&b);
    assert_non_null(text);
    return text;
}

/* ---- one form ---- */

struct form {
    const char *text;
    struct bytes wire;
};

static struct form form_of(struct cx *cx, const char *text)
{
    struct ast *parsed, *canonical;
    Cohortium__Ast *pb;
    struct form f;

    CHECK_OK_(text, cx, cohort_parse(cx, t.cb, text, &parsed));
    CHECK_OK_(text, cx, ast_canonical(cx, t.cb, parsed, &canonical));
    CHECK_OK_(text, cx, ast_to_pb(cx, t.cb, canonical, &pb));
    CHECK_OK_(text, cx, pb_pack(cx, &pb->base, &f.wire));
    f.text = ast_text(cx, t.cb, canonical);
    return f;
}

/* What is another cohort: one condition the other way round. */
static void check_neighbour(struct cx *cx, const struct node *a, const struct form *f)
{
    size_t i = 0;

    while (nodes[i].n > 0)
        i++;
    nodes[i].high = !nodes[i].high;
    if (bytes_equal(form_of(cx, written(cx, a)).wire, f->wire))
        fail_msg("another cohort has the form of %s", f->text);
    nodes[i].high = !nodes[i].high;
}

static void test_session__A12_a_thousand_rewrites_have_one_form(void **state)
{
    size_t spellings = 0;
    (void)state;

    for (size_t c = 0; c < COHORTS; c++) {
        AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
        struct node *a = draw_cohort();
        const char *first = written(cx, a);
        struct form f = form_of(cx, first);

        for (size_t i = 0; i < rewrites(); i++) {
            const char *text = written(cx, a);
            struct form other = form_of(cx, text);

            if (!bytes_equal(other.wire, f.wire) || strcmp(other.text, f.text) != 0)
                fail_msg("%s | %s: %s | %s", first, text, f.text, other.text);
            spellings += strcmp(text, first) != 0;
        }
        check_neighbour(cx, a, &f);
    }
    printf("# %zu of %zu were written otherwise\n", spellings, COHORTS * rewrites());
    CHECK_("they are other words", 10 * spellings > 9 * COHORTS * rewrites());
}

/* ---- one answer ---- */

static void put(struct buffer *b, struct bytes x)
{
    buffer_u64(b, x.n);
    buffer_put(b, x.p, x.n);
}

/* The signed body of every site, one after the other. */
static struct bytes answer_of(struct cx *cx, const char *cohort, bool *ret_released)
{
    struct buffer b = buffer_new(cx, 1 << 20);
    struct play p;

    ask(&p, cohort);
    play_whole(&p);
    *ret_released = play_release(&p, HOME)->released;
    for (size_t i = 0; i < VAULTS; i++)
        put(&b, play_body(&p, i));
    play_free(&p);
    CHECK_EQ_("room", b.fault, FAULT_NONE);
    return bytes_of(b.p, b.n);
}

static void test_session__A12_a_thousand_rewrites_have_one_answer(void **state)
{
    size_t released = 0;
    (void)state;

    for (size_t c = 0; c < COHORTS; c++) {
        AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
        struct node *a = draw_cohort();
        const char *text = written(cx, a);
        bool given, again;
        struct bytes answer = answer_of(cx, text, &given);
        uint64_t charges = vaults_count(&t, HOME, TABLE_CHARGES),
                 ledger = vaults_count(&t, HOME, TABLE_LEDGER);

        released += given;
        for (size_t i = 0; i < rewrites(); i++) {
            text = written(cx, a);
            if (!bytes_equal(answer_of(cx, text, &again), answer))
                fail_msg("another answer: %s", text);
        }
        CHECK_EQ_("charges", vaults_count(&t, HOME, TABLE_CHARGES), charges);
        CHECK_EQ_("ledger", vaults_count(&t, HOME, TABLE_LEDGER), ledger);
    }
    printf("# %zu of %d cohorts had an answer, the others none, to the byte alike\n",
           released, COHORTS);
    CHECK_("some of each", released > 0 && released < COHORTS);
}

/* A client of one's own that leaves the cohort as it was written is told so, and no more.
 */
static void test_session__A12_another_form_is_refused(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age >= 40");
    struct ast *parsed;
    struct play p;
    (void)state;

    CHECK_OK_("parse", cx, cohort_parse(cx, t.cb, "not (age < 40)", &parsed));
    CHECK_OK_("as written", cx, ast_to_pb(cx, t.cb, parsed, &r->question->cohort));
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
    const Cohortium__Preflight *said = play_preflight_of(&p, HOME);
    CHECK_EQ_("complaints", said->n_complaints, 1);
    assert_string_equal(said->complaints[0]->code, "cohort_form");
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_session__A12_a_thousand_rewrites_have_one_form),
        UNDER(cautious, test_session__A12_a_thousand_rewrites_have_one_answer),
        UNDER(cautious, test_session__A12_another_form_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
