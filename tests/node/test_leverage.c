/*
 * Leverages over everything released: compared with Gram and Schmidt in long double, which
 * knows nothing of pooled products; trackers of the literature (DISCLOSURE.md 2.1 and 3.4)
 * beside neighbours that must pass.
 */
#include "node/vault/leverage.h"

#include <math.h>

#include "protocol/base/bytes.h"
#include "tests/check.h"

enum { SITES = 3 };

struct fixture {
    struct cx *cx;
    uint64_t n; /* patients in all, dealt to the sites in turn */
    size_t n_sites;
    struct leverage *site[SITES];
    size_t n_columns; /* all that were taken, for the other way to count */
    long double *taken[64];
};

static uint64_t random_state = 88172645463325252ULL;

static uint64_t draw(void) /* xorshift64: the same cases in every run */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t here(const struct fixture *f, size_t site)
{
    return f->n / f->n_sites + (site < f->n % f->n_sites);
}

static void set_up(struct fixture *f, uint64_t n, size_t n_sites)
{
    *f = (struct fixture){.n = n, .n_sites = n_sites};
    f->cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    for (size_t s = 0; s < n_sites; s++)
        CHECK_OK_("new", f->cx, leverage_new(f->cx, here(f, s), &f->site[s]));
}

static void tear_down(struct fixture *f)
{
    for (size_t s = 0; s < f->n_sites; s++)
        leverage_free(&f->site[s]);
    cx_free(&f->cx);
}

/* A column over all patients: 0 or 1 of each, or 0 to 65535 where `numeric`. */
struct whole {
    uint16_t *v;
    bool numeric;
};

static struct whole column(const struct fixture *f, bool numeric)
{
    struct whole w = {cx_array(f->cx, f->n, sizeof *w.v), numeric};

    assert_non_null(w.v);
    return w;
}

/* Everybody with from <= i < to. */
static struct whole range(const struct fixture *f, uint64_t from, uint64_t to)
{
    struct whole w = column(f, false);

    for (uint64_t i = from; i < to; i++)
        w.v[i] = 1;
    return w;
}

static struct leverage_column part(const struct fixture *f, struct whole w, size_t site)
{
    uint64_t n = here(f, site), at = 0;
    uint64_t *set = cx_array(f->cx, (n + 63) / 64, sizeof *set);
    uint16_t *values = cx_array(f->cx, n, sizeof *values);

    assert_true(set != NULL && values != NULL);
    for (uint64_t i = site; i < f->n; i += f->n_sites, at++) {
        values[at] = w.v[i];
        if (w.v[i] != 0)
            set[at / 64] |= (uint64_t)1 << (at % 64);
    }
    return w.numeric ? (struct leverage_column){.values = values}
                     : (struct leverage_column){.set = set};
}

/* Judges at all sites and takes what all bear; kept[i] says which. */
static void ask(struct fixture *f, const struct whole *list, size_t n, double limit,
                bool *kept)
{
    size_t size = leverage_products_size(f->site[0], n);
    uint64_t *pooled = cx_array(f->cx, size, sizeof *pooled);
    uint64_t *own = cx_array(f->cx, size, sizeof *own);
    struct leverage_column columns[SITES][16];
    bool all[16], one[16], basis[SITES][16];

    assert_true(pooled != NULL && own != NULL && n <= 16);
    for (size_t s = 0; s < f->n_sites; s++) {
        for (size_t i = 0; i < n; i++)
            columns[s][i] = part(f, list[i], s);
        CHECK_OK_("products", f->cx,
                  leverage_products(f->cx, f->site[s], columns[s], n, own));
        for (size_t i = 0; i < size; i++)
            pooled[i] += own[i];
    }
    for (size_t i = 0; i < n; i++)
        all[i] = true;
    for (size_t s = 0; s < f->n_sites; s++) {
        double before = leverage_highest(f->site[s]);
        size_t rank = leverage_rank(f->site[s]);

        for (size_t i = 0; i < n; i++)
            one[i] = true;
        CHECK_OK_("judge", f->cx,
                  leverage_judge(f->cx, f->site[s], columns[s], n, pooled, limit, NULL, one));
        assert_true(leverage_highest(f->site[s]) == before);
        assert_int_equal(leverage_rank(f->site[s]), rank);
        for (size_t i = 0; i < n; i++)
            all[i] = all[i] && one[i];
    }
    for (size_t s = 0; s < f->n_sites; s++) {
        CHECK_OK_("add", f->cx,
                  leverage_add(f->cx, f->site[s], columns[s], n, pooled, all, basis[s]));
        assert_memory_equal(basis[s], basis[0], n);
    }
    memcpy(kept, all, n * sizeof *kept);
    for (size_t i = 0; i < n; i++)
        if (all[i]) {
            long double *v = cx_array(f->cx, f->n, sizeof *v);

            assert_true(v != NULL && f->n_columns < 64);
            for (uint64_t p = 0; p < f->n; p++)
                v[p] = (long double)list[i].v[p] / (list[i].numeric ? 65535 : 1);
            f->taken[f->n_columns++] = v;
        }
}

static bool asks(struct fixture *f, struct whole w, double limit)
{
    bool kept;

    ask(f, &w, 1, limit, &kept);
    return kept;
}

/* The leverages of everything taken, by orthogonal columns; *ret_rank. */
static long double *by_gram_schmidt(const struct fixture *f, size_t *ret_rank)
{
    long double *h = cx_array(f->cx, f->n, sizeof *h), *basis[64];
    size_t rank = 0;

    assert_non_null(h);
    for (size_t c = 0; c < f->n_columns; c++) {
        long double *v = cx_memdup(f->cx, f->taken[c], f->n * sizeof *v), length = 0;

        assert_non_null(v);
        for (int twice = 0; twice < 2; twice++)
            for (size_t b = 0; b < rank; b++) {
                long double dot = 0;

                for (uint64_t i = 0; i < f->n; i++)
                    dot += v[i] * basis[b][i];
                for (uint64_t i = 0; i < f->n; i++)
                    v[i] -= dot * basis[b][i];
            }
        for (uint64_t i = 0; i < f->n; i++)
            length += v[i] * v[i];
        if (length < 1e-9L)
            continue;
        for (uint64_t i = 0; i < f->n; i++) {
            v[i] /= sqrtl(length);
            h[i] += v[i] * v[i];
        }
        basis[rank++] = v;
    }
    *ret_rank = rank;
    return h;
}

static void check_leverages(const struct fixture *f, const char *row)
{
    size_t rank;
    const long double *h = by_gram_schmidt(f, &rank);

    for (size_t s = 0; s < f->n_sites; s++) {
        const double *own = leverage_by_patient(f->site[s]);

        CHECK_EQ_(row, leverage_rank(f->site[s]), rank);
        for (uint64_t i = 0; i < here(f, s); i++)
            CHECK_(row, fabsl(own[i] - h[s + i * f->n_sites]) < 1e-9L);
    }
}

/* Random sets and values, over one site and over three: as Gram and Schmidt say. */
static void test_random(void **state)
{
    (void)state;
    for (size_t n_sites = 1; n_sites <= SITES; n_sites += 2) {
        struct fixture f;

        set_up(&f, 203, n_sites);
        for (int c = 0; c < 40; c++) {
            struct whole w = column(&f, c % 5 == 4);
            uint64_t share = 20 + draw() % 60;

            for (uint64_t i = 0; i < f.n; i++)
                w.v[i] = w.numeric ? (uint16_t)(draw() >> 48) : draw() % 100 < share;
            CHECK_("no limit", asks(&f, w, 2));
        }
        check_leverages(&f, n_sites == 1 ? "one site" : "three sites");
        tear_down(&f);
    }
}

/* What follows from what is there changes nothing: unions, complements, the same again. */
static void test_follows(void **state)
{
    struct fixture f;
    bool kept[4];

    (void)state;
    set_up(&f, 120, 3);
    struct whole list[] = {range(&f, 0, 120), range(&f, 0, 40), range(&f, 40, 80),
                           range(&f, 20, 60)};
    ask(&f, list, 4, 0.2, kept);
    assert_true(kept[0] && kept[1] && kept[2] && kept[3]);
    double before = leverage_highest(f.site[0]);
    CHECK_("the rest", asks(&f, range(&f, 80, 120), 0.2));
    CHECK_("both", asks(&f, range(&f, 0, 80), 0.2));
    CHECK_("again", asks(&f, range(&f, 20, 60), 0.2));
    CHECK_("nobody", asks(&f, range(&f, 0, 0), 0.2));
    assert_true(leverage_highest(f.site[0]) == before);
    CHECK_EQ_("rank", leverage_rank(f.site[0]), 4);
    check_leverages(&f, "follows");
    tear_down(&f);
}

/* A pair of sets that differ by d patients: 1/d of their difference is each one's. */
static void test_nested(void **state)
{
    (void)state;
    for (uint64_t d = 1; d <= 8; d++) {
        struct fixture f;

        set_up(&f, 300, 3);
        CHECK_("everybody", asks(&f, range(&f, 0, 300), 0.2));
        CHECK_("a cohort", asks(&f, range(&f, 0, 100), 0.2));
        CHECK_EQ_("differs by d", asks(&f, range(&f, 0, 100 + d), 0.2), d >= 5);
        CHECK_("its neighbour", asks(&f, range(&f, 0, 130), 0.2));
        tear_down(&f);
    }
}

/* Schlörer's and the general tracker, and one whose sets all differ by many patients. */
static void test_trackers(void **state)
{
    struct fixture f;
    bool kept[3];

    (void)state;
    set_up(&f, 200, 3);
    struct whole t = column(&f, false), a = range(&f, 0, 60), b = range(&f, 100, 160);
    struct whole either = column(&f, false), known = range(&f, 50, 150);
    uint64_t target = 90;

    t.v[target] = 1;
    a.v[target] = b.v[target] = 1;
    for (uint64_t i = 0; i < f.n; i++)
        either.v[i] = a.v[i] | b.v[i];
    CHECK_("the target alone", !asks(&f, t, 0.2));
    struct whole list[] = {a, b, either};
    ask(&f, list, 3, 0.2, kept);
    CHECK_("a", kept[0]);
    CHECK_("b", kept[1]);
    CHECK_("a or b: a + b less it is the target", !kept[2]);
    CHECK_("a set of its own", asks(&f, known, 0.2));
    /* q(target) = q(target or known) + q(target or not known) - q(everybody) */
    struct whole with = column(&f, false), without = column(&f, false);
    for (uint64_t i = 0; i < f.n; i++) {
        with.v[i] = known.v[i] | t.v[i];
        without.v[i] = known.v[i] == 0 || t.v[i] != 0;
    }
    CHECK_("everybody", asks(&f, range(&f, 0, 200), 0.2));
    CHECK_("with", asks(&f, with, 0.2));
    CHECK_("without", !asks(&f, without, 0.2));
    check_leverages(&f, "trackers");
    tear_down(&f);
}

/* An indicator hidden under a value's last digits is an indicator. */
static void test_values(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 300, 3);
    struct whole age = column(&f, true), hidden = column(&f, true);
    for (uint64_t i = 0; i < f.n; i++) {
        age.v[i] = (uint16_t)(20000 + draw() % 30000);
        hidden.v[i] = (uint16_t)(age.v[i] + (i == 77 ? 100 : 0));
    }
    CHECK_("everybody", asks(&f, range(&f, 0, 300), 0.2));
    CHECK_("age", asks(&f, age, 0.2));
    CHECK_("hidden", !asks(&f, hidden, 0.2));
    /* one far out: nearly all of what is left of the column is theirs */
    struct whole far = column(&f, true);
    for (uint64_t i = 0; i < f.n; i++)
        far.v[i] = (uint16_t)(draw() % 300 + (i == 11 ? 60000 : 0));
    CHECK_("far out", !asks(&f, far, 0.2));
    check_leverages(&f, "values");
    tear_down(&f);
}

/* Columns that one site cannot bear stay out at all; what it refused does not count. */
static void test_each_site_judges(void **state)
{
    struct fixture f;
    bool kept[3];

    (void)state;
    set_up(&f, 300, 3);
    struct whole list[] = {range(&f, 0, 300), range(&f, 0, 4), range(&f, 0, 40)};
    ask(&f, list, 3, 0.2, kept);
    CHECK_("everybody", kept[0]);
    CHECK_("four patients", !kept[1]);
    CHECK_("forty patients", kept[2]);
    check_leverages(&f, "each site");
    tear_down(&f);
}

/* One patient among many is seen: the sums stay exact. */
static void test_large(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 3000001, 1);
    CHECK_("everybody", asks(&f, range(&f, 0, 3000001), 0.2));
    CHECK_("half", asks(&f, range(&f, 0, 1500000), 0.2));
    CHECK_("a third", asks(&f, range(&f, 1000000, 2000000), 0.2));
    CHECK_("half and one", !asks(&f, range(&f, 0, 1500001), 0.2));
    CHECK_("half and ten", asks(&f, range(&f, 0, 1500010), 0.2));
    CHECK_EQ_("rank", leverage_rank(f.site[0]), 4);
    tear_down(&f);
}

/* Stored and read back: the same bits, now and after the next question. */
static void test_restore(void **state)
{
    struct fixture f;
    struct leverage *again;
    struct whole list[12];
    bool kept[12], take[11], basis[11];
    struct leverage_column own[11];
    uint64_t products[11 * 12 / 2];

    (void)state;
    set_up(&f, 500, 1);
    for (size_t c = 0; c < 12; c++) {
        list[c] = column(&f, c % 4 == 3);
        for (uint64_t i = 0; i < f.n; i++)
            list[c].v[i] = list[c].numeric ? (uint16_t)(draw() >> 48) : draw() % 3 == 0;
    }
    ask(&f, list, 11, 2, kept);
    CHECK_OK_("new", f.cx, leverage_new(f.cx, f.n, &again));
    for (size_t c = 0; c < 11; c++) {
        own[c] = leverage_at(f.site[0], c);
        take[c] = true;
        memcpy(products + c * (c + 1) / 2, leverage_gram(f.site[0], c),
               (c + 1) * sizeof *products);
    }
    CHECK_OK_("again", f.cx, leverage_add(f.cx, again, own, 11, products, take, basis));
    for (size_t c = 0; c < 11; c++)
        CHECK_("joins", basis[c]);
    struct leverage *first = f.site[0];
    CHECK_("one more", asks(&f, list[11], 2));
    f.site[0] = again;
    CHECK_("one more", asks(&f, list[11], 2));
    assert_memory_equal(leverage_by_patient(first), leverage_by_patient(again),
                        f.n * sizeof(double));
    leverage_free(&first);
    tear_down(&f);
}

/* Damaged or impossible numbers are refused, and leave nothing behind. */
static void test_impossible(void **state)
{
    struct fixture f;
    bool kept[1] = {true};

    (void)state;
    set_up(&f, 200, 1);
    CHECK_("a cohort", asks(&f, range(&f, 0, 100), 0.2));
    struct leverage_column c = part(&f, range(&f, 50, 120), 0);
    uint64_t more_than_all[] = {101, 70}; /* 101 of 70 in common */
    CHECK_OK_("judge", f.cx,
              leverage_judge(f.cx, f.site[0], &c, 1, more_than_all, 0.2, NULL, kept));
    CHECK_("impossible", !kept[0]);
    CHECK_EQ_("rank", leverage_rank(f.site[0]), 1);
    check_leverages(&f, "impossible");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),     cmocka_unit_test(test_follows),
        cmocka_unit_test(test_nested),     cmocka_unit_test(test_trackers),
        cmocka_unit_test(test_values),     cmocka_unit_test(test_each_site_judges),
        cmocka_unit_test(test_large),      cmocka_unit_test(test_restore),
        cmocka_unit_test(test_impossible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
