/*
 * test_trackers.c - trackers against what is remembered (DISCLOSURE.md 0.2 to 0.4, R23).
 *
 * Each of TRACKERS cases (an environment variable; 500 when it is not set, 10,000 are the
 * goal) draws a population of three sites, a victim whom five quasi-identifiers single out
 * among a few, and 2 to 21 counts from which the victim's secret follows. They are asked
 * twice, the secret being no and yes, as a session asks: regions and their sizes
 * (regions.h, gate_regions), products pooled over the sites, every site's word
 * (leverage.h), then the release (gate_release).
 *
 * No word may depend on the secret; of no patient may the released counts hold more than
 * 2/k, by Gram and Schmidt; no tracker of fewer than k/2 patients may be solved. What is
 * left is printed: how often one who knows all other patients' secrets could tell the
 * victim's, because a count of many is given otherwise, and how often least squares guess
 * it right.
 *
 * With rules on each count alone many are solved: all but those of a complement (R2) and of
 * a part that only the secret adds (R3).
 */
#include "analyses/cohort.h"
#include "analyses/regions.h"
#include "node/vault/leverage.h"
#include "tests/node/gate_case.h"

#include <math.h>

enum { SITES = 3, PEOPLE_MAX = 1500, ASKED_MAX = 24, TEXT_ROOM = 1 << 15, K = 10 };
enum { V_PATIENT, V_AGE, V_SEX, V_REGION, V_JOB, V_ORIGIN, V_STATUS, V_ALL };
enum { QUASI = V_STATUS };

static uint64_t random_state = 88172645463325252ULL;

static uint64_t below(uint64_t n) /* xorshift64: the same cases in every run */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % n;
}

static size_t cases(void)
{
    const char *set = getenv("TRACKERS");

    return set != NULL ? strtoull(set, NULL, 10) : 500;
}

/* ---- the codebook and the people ---- */

static char *const levels[V_ALL][4] = {
    [V_SEX] = {(char *)"female", (char *)"male"},
    [V_REGION] = {(char *)"north", (char *)"south", (char *)"east", (char *)"west"},
    [V_JOB] = {(char *)"manual", (char *)"office", (char *)"own", (char *)"none"},
    [V_ORIGIN] = {(char *)"here", (char *)"near", (char *)"far"},
};
static const size_t n_levels[V_ALL] = {
    [V_AGE] = 4, [V_SEX] = 2, [V_REGION] = 4, [V_JOB] = 4, [V_ORIGIN] = 3};
static const char *const names[V_ALL] = {"patient", "age",    "sex",   "region",
                                         "job",     "origin", "status"};
static double ages[] = {40, 60, 80};

static struct codebook *codebook_new(struct cx *cx)
{
    static Cohortium__Variable v[V_ALL];
    static Cohortium__Variable *list[V_ALL];
    static Cohortium__Codebook body;
    struct codebook *cb;

    cohortium__codebook__init(&body);
    body.name = body.title = (char *)"trackers";
    body.count_unit = body.patient_namespace = (char *)"patient";
    body.variables = list;
    body.n_variables = V_ALL;
    for (size_t i = 0; i < V_ALL; i++) {
        cohortium__variable__init(&v[i]);
        v[i].name = (char *)names[i];
        v[i].type = i == V_PATIENT || i == V_AGE ? COHORTIUM__VAR_TYPE__INTEGER
                    : i == V_STATUS              ? COHORTIUM__VAR_TYPE__BINARY
                                                 : COHORTIUM__VAR_TYPE__CATEGORICAL;
        v[i].role = i == V_PATIENT  ? COHORTIUM__ROLE__DIRECT_IDENTIFIER
                    : i == V_STATUS ? COHORTIUM__ROLE__SENSITIVE
                                    : COHORTIUM__ROLE__QUASI_IDENTIFIER;
        if (v[i].type == COHORTIUM__VAR_TYPE__CATEGORICAL) {
            v[i].levels = (char **)levels[i];
            v[i].n_levels = n_levels[i];
        }
        list[i] = &v[i];
    }
    v[V_AGE].bounded = true;
    v[V_AGE].upper = 120;
    v[V_AGE].grid = ages;
    v[V_AGE].n_grid = COUNT(ages);
    CHECK_OK_("codebook", cx, codebook_from_body(cx, &body, &cb));
    return cb;
}

/* Of an age its group counts: 20, 40, 60, 80 years and over. */
struct people {
    size_t n, victim, alike; /* how many have the victim's quasi-identifiers */
    unsigned level[PEOPLE_MAX][V_ALL];
};

static struct people p;

static bool are_alike(size_t a, size_t b)
{
    return memcmp(p.level[a], p.level[b], QUASI * sizeof p.level[0][0]) == 0;
}

static void draw_people(void)
{
    p.n = 300 + below(PEOPLE_MAX - 300);
    for (size_t i = 0; i < p.n; i++) {
        for (size_t v = V_AGE; v < QUASI; v++) /* the last levels are rarer */
            p.level[i][v] =
                (unsigned)(below(2) ? below(n_levels[v]) : below(n_levels[v] / 2 + 1));
        p.level[i][V_STATUS] = below(10) < 3;
    }
    do {
        p.victim = below(p.n);
        p.alike = 0;
        for (size_t i = 0; i < p.n; i++)
            p.alike += are_alike(i, p.victim);
    } while (p.alike >= K);
}

/* ---- sets of people, as an attacker writes them ---- */

static void put_level(struct buffer *b, size_t v, unsigned level)
{
    if (v != V_AGE)
        buffer_printf(b, "%s == '%s'", names[v], levels[v][level]);
    else if (level == 0)
        buffer_printf(b, "age < 40");
    else if (level == COUNT(ages))
        buffer_printf(b, "age >= 80");
    else
        buffer_printf(b, "age >= %g and age < %g", ages[level - 1], ages[level]);
}

static const char *text_of(struct buffer *b)
{
    const char *text = buffer_string(b);

    assert_non_null(text);
    return text;
}

static const char *victim_text(struct cx *cx)
{
    struct buffer b = buffer_new(cx, TEXT_ROOM);

    for (size_t v = V_AGE; v < QUASI; v++) {
        buffer_text(&b, v > V_AGE ? " and " : "(");
        put_level(&b, v, p.level[p.victim][v]);
    }
    buffer_text(&b, ")");
    return text_of(&b);
}

/* Parts of everybody that exclude each other, in random order; none of the victim. */
struct parts {
    size_t n;
    const char *text[32];
};

static void draw_parts(struct cx *cx, const char *victim, struct parts *ret)
{
    size_t a = V_AGE + below(QUASI - V_AGE), b = V_AGE + below(QUASI - V_AGE);
    size_t c = V_AGE + below(QUASI - V_AGE), at[3];

    ret->n = 0;
    if (a == b || b == c || a == c || n_levels[a] * n_levels[b] * n_levels[c] > 32)
        c = V_ALL;
    for (at[0] = 0; at[0] < n_levels[a]; at[0]++)
        for (at[1] = 0; at[1] < (a == b ? 1 : n_levels[b]); at[1]++)
            for (at[2] = 0; at[2] < (c == V_ALL ? 1 : n_levels[c]); at[2]++) {
                struct buffer t = buffer_new(cx, TEXT_ROOM);

                buffer_text(&t, "(");
                put_level(&t, a, (unsigned)at[0]);
                if (a != b) {
                    buffer_text(&t, " and ");
                    put_level(&t, b, (unsigned)at[1]);
                }
                if (c != V_ALL) {
                    buffer_text(&t, " and ");
                    put_level(&t, c, (unsigned)at[2]);
                }
                buffer_printf(&t, " and not %s)", victim);
                ret->text[ret->n++] = text_of(&t);
            }
    for (size_t i = ret->n; i > 1; i--) {
        size_t k = below(i);
        const char *swap = ret->text[i - 1];

        ret->text[i - 1] = ret->text[k];
        ret->text[k] = swap;
    }
}

static const char *either(struct cx *cx, const char *a, const char *b)
{
    const char *text = cx_printf(cx, "(%s or %s)", a, b);

    assert_non_null(text);
    return text;
}

static const char *both(struct cx *cx, const char *a, const char *b)
{
    const char *text = cx_printf(cx, "(%s and %s)", a, b);

    assert_non_null(text);
    return text;
}

static const char * not(struct cx * cx, const char *a)
{
    const char *text = cx_printf(cx, "not %s", a);

    assert_non_null(text);
    return text;
}

/* ---- trackers ---- */

enum tracker {
    PAIRWISE,    /* c and c without the victim */
    COMPLEMENT,  /* everybody and everybody without the victim */
    GENERAL,     /* t or k, t or not k, k, not k */
    INCLUSION,   /* t or each of m parts, and all of it */
    CHAIN,       /* t or p1, p1 or p2, ..., pm */
    SYSTEM,      /* more random unions than parts */
    SECRET_PART, /* a, and a or the victim if the secret is yes */
    TRACKER_KINDS
};

struct attack {
    size_t n;
    const char *set[ASKED_MAX]; /* NULL: everybody */
    bool whole[ASKED_MAX];      /* set is the whole cohort, else "and the secret is yes" */
};

static void ask_for(struct attack *a, const char *set)
{
    assert_true(a->n < ASKED_MAX);
    a->set[a->n++] = set;
}

static void draw_system(struct cx *cx, const char *t, const struct parts *parts, size_t m,
                        struct attack *a)
{
    for (size_t i = 0; i < m + 2; i++) {
        const char *set = below(2) ? t : NULL;

        for (size_t k = 0; k < m; k++)
            if (below(2))
                set = set == NULL ? parts->text[k] : either(cx, set, parts->text[k]);
        if (set != NULL)
            ask_for(a, set);
    }
}

static void draw_attack(struct cx *cx, enum tracker kind, struct attack *a)
{
    const char *t = victim_text(cx), *all = NULL;
    struct parts parts;
    size_t m;

    *a = (struct attack){0};
    draw_parts(cx, t, &parts);
    m = 2 + below(parts.n > 20 ? 18 : parts.n - 1);
    for (size_t i = 0; i < m; i++)
        all = all == NULL ? parts.text[0] : either(cx, all, parts.text[i]);
    switch (kind) {
    case PAIRWISE:
        ask_for(a, either(cx, all, t));
        ask_for(a, all);
        break;
    case COMPLEMENT:
        ask_for(a, NULL);
        ask_for(a, not(cx, t));
        break;
    case GENERAL:
        ask_for(a, either(cx, t, all));
        ask_for(a, either(cx, t, not(cx, all)));
        ask_for(a, all);
        ask_for(a, not(cx, all));
        break;
    case INCLUSION:
        for (size_t i = 0; i < m; i++)
            ask_for(a, either(cx, parts.text[i], t));
        ask_for(a, either(cx, all, t));
        break;
    case CHAIN:
        ask_for(a, either(cx, t, parts.text[0]));
        for (size_t i = 0; i + 1 < m; i++)
            ask_for(a, either(cx, parts.text[i], parts.text[i + 1]));
        ask_for(a, parts.text[m - 1]);
        break;
    case SYSTEM:
        draw_system(cx, t, &parts, m, a);
        break;
    default:
        ask_for(a, all);
        ask_for(a, either(cx, all, both(cx, t, "status == 1")));
        a->whole[0] = a->whole[1] = true;
    }
    for (size_t i = a->n; i > 1; i--) {
        size_t k = below(i);
        const char *set = a->set[i - 1];
        bool whole = a->whole[i - 1];

        a->set[i - 1] = a->set[k];
        a->whole[i - 1] = a->whole[k];
        a->set[k] = set;
        a->whole[k] = whole;
    }
}

/* ---- who is in a cohort, by an evaluator of our own; nothing is missing ---- */

static bool holds(const struct ast *a, size_t i);

static double number(const struct ast *a, size_t i)
{
    static const double years[] = {20, 50, 70, 90};

    if (a->op != COHORTIUM__AST_OP__AST_VARIABLE)
        return a->number;
    return a->variable == V_AGE ? years[p.level[i][V_AGE]] : p.level[i][a->variable];
}

static bool holds_leaf(const struct ast *a, size_t i)
{
    double x = number(a->args[0], i), y = number(a->args[1], i);

    switch (a->op) {
    case COHORTIUM__AST_OP__AST_LT:
        return x < y;
    case COHORTIUM__AST_OP__AST_LE:
        return x <= y;
    case COHORTIUM__AST_OP__AST_GT:
        return x > y;
    case COHORTIUM__AST_OP__AST_GE:
        return x >= y;
    case COHORTIUM__AST_OP__AST_EQ:
        return x == y;
    case COHORTIUM__AST_OP__AST_NE:
        return x != y;
    case COHORTIUM__AST_OP__AST_IN:
        for (size_t k = 1; k < a->n; k++)
            if (x == a->args[k]->number)
                return true;
        return false;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        return x >= y && x <= number(a->args[2], i);
    default:
        fail_msg("an operator that no tracker writes");
        return false;
    }
}

static bool holds(const struct ast *a, size_t i)
{
    switch (a->op) {
    case COHORTIUM__AST_OP__AST_TRUE:
        return true;
    case COHORTIUM__AST_OP__AST_FALSE:
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        return false;
    case COHORTIUM__AST_OP__AST_NOT:
        return !holds(a->args[0], i);
    case COHORTIUM__AST_OP__AST_AND:
        for (size_t k = 0; k < a->n; k++)
            if (!holds(a->args[k], i))
                return false;
        return true;
    case COHORTIUM__AST_OP__AST_OR:
        for (size_t k = 0; k < a->n; k++)
            if (holds(a->args[k], i))
                return true;
        return false;
    default:
        return holds_leaf(a, i);
    }
}

/* ---- the sites: words on a question's regions, as a session has them ---- */

struct sites {
    struct leverage *l[SITES]; /* patient i is place i / SITES of site i % SITES */
    bool defended;
};

static size_t people_of(size_t site)
{
    return p.n / SITES + (site < p.n % SITES);
}

static struct leverage_column column_of(struct cx *cx, const struct ast *region,
                                        size_t site)
{
    uint64_t *set = cx_array(cx, (people_of(site) + 63) / 64, sizeof *set);

    assert_non_null(set);
    for (size_t i = site, at = 0; i < p.n; i += SITES, at++)
        if (region == NULL || holds(region, i))
            set[at / 64] |= (uint64_t)1 << (at % 64);
    return (struct leverage_column){.set = set};
}

/* Everybody and the regions; true, and remembered, where every site bears them all. */
static bool bears(struct cx *cx, struct sites *s, const struct regions *r, double limit)
{
    struct leverage_column columns[SITES][REGIONS_A_CELL_MAX + 1];
    size_t n = r->n + 1, size = leverage_products_size(s->l[0], n);
    uint64_t *pooled = cx_array(cx, size, sizeof *pooled),
             *own = cx_array(cx, size, sizeof *own);
    bool all = true, kept[REGIONS_A_CELL_MAX + 1], basis[REGIONS_A_CELL_MAX + 1];

    assert_true(pooled != NULL && own != NULL && n <= COUNT(kept));
    for (size_t k = 0; k < SITES; k++) {
        for (size_t i = 0; i < n; i++)
            columns[k][i] = column_of(cx, i == 0 ? NULL : r->list[i - 1], k);
        CHECK_OK_("products", cx, leverage_products(cx, s->l[k], columns[k], n, own));
        for (size_t i = 0; i < size; i++)
            pooled[i] += own[i];
    }
    for (size_t k = 0; k < SITES; k++) {
        memset(kept, true, sizeof kept);
        CHECK_OK_("judge", cx,
                  leverage_judge(cx, s->l[k], columns[k], n, pooled, limit, NULL, kept));
        for (size_t i = 0; i < n; i++)
            all = all && kept[i];
    }
    memset(kept, true, sizeof kept);
    for (size_t k = 0; k < SITES && all; k++)
        CHECK_OK_("add", cx, leverage_add(cx, s->l[k], columns[k], n, pooled, kept, basis));
    return all;
}

struct seen {                   /* of one count */
    bool released, given, fits; /* fits: region sizes alone */
    struct bytes body;          /* what leaves, to the byte */
    struct ast *cohort;
    double count;
};

static void release_count(struct cx *cx, struct gate_case *g, const struct pool *pool,
                          bool released, struct seen *ret)
{
    uint64_t n = 0;
    double count;

    for (size_t i = 0; i < p.n; i++)
        n += ret->cohort == NULL || holds(ret->cohort, i);
    ret->count = count = (double)n;
    g->pool = pool;
    g->asked.cohort = ret->cohort;
    CHECK_OK_("result", g->cx, result_new(g->cx, &g->result));
    assert_non_null(
        result_put(g->result, "patients", COHORTIUM__ITEM_KIND__COUNTS, 1, 1, &count, &n));
    gate_case_release(g, !released);
    struct bytes body = release_body(g->release);

    ret->body = bytes_of(cx_memdup(cx, body.p, body.n), body.n);
    assert_non_null(ret->body.p);
    ret->given = released && gate_case_state(g, "patients", 0) == 0;
}

static void ask_count(struct cx *cx, struct codebook *cb, struct sites *s, const char *text,
                      struct seen *ret)
{
    struct complaints c = complaints_new(cx);
    struct ast *parsed;
    struct regions r;
    struct gate_case g;
    uint64_t sizes[REGIONS_A_CELL_MAX];
    const char *why;

    *ret = (struct seen){0};
    gate_case_new(&g, false);
    g.asked.cb = cb;
    if (text != NULL) {
        CHECK_OK_(text, cx, cohort_parse(cx, cb, text, &parsed));
        CHECK_OK_(text, cx, ast_canonical(cx, cb, parsed, &ret->cohort));
        ast_complain_closed(&c, cx, cb, ret->cohort);
    }
    CHECK_OK_("regions", cx, regions_make(cx, cb, &ret->cohort, NULL, 1, &c, &r));
    CHECK_EQ_("complaints", c.n, 0);
    for (size_t i = 0; i < r.n; i++) {
        sizes[i] = 0;
        for (size_t k = 0; k < p.n; k++)
            sizes[i] += holds(r.list[i], k);
    }
    CHECK_OK_("sizes", cx, gate_regions(cx, &g.policy, &r, sizes, p.n, NULL, &why));
    ret->fits = why == NULL;
    ret->released =
        ret->fits &&
        (!s->defended ||
         bears(cx, s, &r, 2 / g.policy.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD]));
    struct pool pool = {.regions = &r, .sizes = sizes, .population = p.n};

    release_count(cx, &g, &pool, ret->released, ret);
    gate_case_free(&g);
}

static void play(struct cx *cx, struct codebook *cb, const struct attack *a, bool defended,
                 struct seen *ret)
{
    struct sites s = {.defended = defended};

    for (size_t k = 0; k < SITES; k++)
        CHECK_OK_("new", cx, leverage_new(cx, people_of(k), &s.l[k]));
    for (size_t i = 0; i < a->n; i++) {
        const char *set = a->set[i] == NULL ? "status == 1"
                          : a->whole[i]     ? a->set[i]
                                            : both(cx, a->set[i], "status == 1");

        ask_count(cx, cb, &s, set, &ret[i]);
    }
    for (size_t k = 0; k < SITES; k++)
        leverage_free(&s.l[k]);
}

/* ---- what the attacker makes of it: Gram and Schmidt in long double ---- */

/* The region of a count, whatever the secret is. */
static bool in_region(const struct ast *cohort, size_t i)
{
    unsigned status = p.level[i][V_STATUS];
    bool in;

    p.level[i][V_STATUS] = 1;
    in = cohort == NULL || holds(cohort, i);
    p.level[i][V_STATUS] = status;
    return in;
}

struct insight {
    long double most;   /* the highest leverage of anybody */
    long double victim; /* the victim's */
    bool solved;        /* the victim and who is alike follow by themselves */
    long double guess;  /* least squares of the victim's secret, less the share of all */
};

static struct insight look(struct cx *cx, const struct attack *a, const struct seen *seen)
{
    struct insight r = {0};
    long double *basis[ASKED_MAX + 1], *h = cx_array(cx, p.n, sizeof *h);
    size_t rank = 0;

    assert_non_null(h);
    for (size_t c = 0; c < a->n; c++) {
        long double *v = cx_array(cx, p.n, sizeof *v), length = 0, y = seen[c].count;

        assert_non_null(v);
        if (!seen[c].given)
            continue;
        for (size_t i = 0; i < p.n; i++) {
            v[i] = in_region(seen[c].cohort, i);
            y -= 0.3L * v[i]; /* as many have the secret */
        }
        for (int twice = 0; twice < 2; twice++)
            for (size_t b = 0; b < rank; b++) {
                long double dot = 0;

                for (size_t i = 0; i < p.n; i++)
                    dot += v[i] * basis[b][i];
                for (size_t i = 0; i < p.n; i++)
                    v[i] -= dot * basis[b][i];
                y -= dot * basis[b][p.n];
            }
        for (size_t i = 0; i < p.n; i++)
            length += v[i] * v[i];
        if (length < 1e-9L)
            continue;
        basis[rank] = cx_array(cx, p.n + 1, sizeof **basis);
        assert_non_null(basis[rank]);
        for (size_t i = 0; i < p.n; i++) {
            basis[rank][i] = v[i] / sqrtl(length);
            h[i] += basis[rank][i] * basis[rank][i];
        }
        basis[rank][p.n] = y / sqrtl(length);
        r.guess += basis[rank][p.victim] * basis[rank][p.n];
        rank++;
    }
    for (size_t i = 0; i < p.n; i++)
        r.most = h[i] > r.most ? h[i] : r.most;
    r.victim = h[p.victim];
    r.solved = fabsl(r.victim * (long double)p.alike - 1) < 1e-9L;
    return r;
}

/* ---- both answers to the secret ---- */

struct found {
    size_t cases, solved, solved_few, few, differ, right, guesses, answered, asked;
    long double most;
};

static void count_found(struct cx *cx, const struct attack *a,
                        struct seen seen[2][ASKED_MAX], struct found *f)
{
    bool differ = false;
    struct insight in = {0};

    for (int secret = 0; secret < 2; secret++) {
        p.level[p.victim][V_STATUS] = (unsigned)secret;
        in = look(cx, a, seen[secret]);
        /* the middle between what no and yes make of it */
        f->right += (in.guess > in.victim * 0.2L) == (secret == 1);
        f->guesses++;
        f->most = in.most > f->most ? in.most : f->most;
    }
    for (size_t i = 0; i < a->n; i++) {
        differ = differ || !bytes_equal(seen[0][i].body, seen[1][i].body);
        f->answered += seen[1][i].given;
    }
    f->asked += a->n;
    f->cases++;
    f->differ += differ;
    f->solved += in.solved;
    f->few += 2 * p.alike < K;
    f->solved_few += in.solved && 2 * p.alike < K;
}

static void run(bool defended, struct found *f)
{
    AUTO_CX struct cx *own = cx_new(16 << 20, CX_NO_DEADLINE);
    struct codebook *cb = codebook_new(own);

    random_state = 88172645463325252ULL;
    for (size_t c = 0; c < cases(); c++) {
        AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
        static struct seen seen[2][ASKED_MAX];
        enum tracker kind = (enum tracker)(c % TRACKER_KINDS);
        struct attack a;

        draw_people();
        draw_attack(cx, kind, &a);
        for (unsigned secret = 0; secret < 2; secret++) {
            p.level[p.victim][V_STATUS] = secret;
            play(cx, cb, &a, defended, seen[secret]);
        }
        for (size_t i = 0; i < a.n; i++)
            if (seen[0][i].released != seen[1][i].released)
                fail_msg("case %zu: the word on `%s` depends on the secret", c, a.set[i]);
        count_found(cx, &a, seen, &f[kind]);
    }
}

static void print_found(const char *what, const struct found *list)
{
    static const char *const words[] = {"pairwise", "complement", "general",    "inclusion",
                                        "chain",    "system",     "secret part"};

    for (size_t k = 0; k < TRACKER_KINDS; k++) {
        const struct found *f = &list[k];

        printf("# %s %-11s %5zu cases, %3.0f %% of counts given; solved %zu, of fewer than "
               "k/2 %zu of %zu; the highest leverage %.3Lf; one who knows all others tells "
               "%.1f %%, least squares is right in %.1f %%\n",
               what, words[k], f->cases, 100 * (double)f->answered / (double)f->asked,
               f->solved, f->solved_few, f->few, f->most,
               100 * (double)f->differ / (double)f->cases,
               100 * (double)f->right / (double)f->guesses);
    }
}

static void test_trackers__R23_no_tracker_of_fewer_than_half_the_threshold(void **state)
{
    struct found f[TRACKER_KINDS] = {0};

    (void)state;
    run(true, f);
    print_found("defended", f);
    for (size_t k = 0; k < TRACKER_KINDS; k++) {
        CHECK_("there were some", f[k].few > 0);
        CHECK_EQ_("solved, of fewer than k/2", f[k].solved_few, 0);
        CHECK_("leverage of anybody", f[k].most <= 2.0L / K + 1e-9L);
        CHECK_("something is answered", f[k].answered > 0);
    }
}

/* With what judges each count by itself. */
static void test_trackers__R23_without_memory_they_are_solved(void **state)
{
    struct found f[TRACKER_KINDS] = {0};
    size_t solved = 0, few = 0;

    (void)state;
    run(false, f);
    print_found("without", f);
    for (size_t k = 0; k < TRACKER_KINDS; k++) {
        solved += f[k].solved_few;
        few += f[k].few;
    }
    CHECK_("a third of them", 3 * solved > few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trackers__R23_no_tracker_of_fewer_than_half_the_threshold),
        cmocka_unit_test(test_trackers__R23_without_memory_they_are_solved),
    };

    return cmocka_run_group_tests_name("trackers", tests, NULL, NULL);
}
