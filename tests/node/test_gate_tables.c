/*
 * test_gate_tables.c - what tables promise: from all that is given, a brute-force attacker
 * who may be a patient cannot exclude one of the numbers below k for any withheld cell or
 * total.
 *
 * TABLE_COUNT tables of each number of variables, of all kinds of random_table.h: 500 when
 * it is not set, so 1,000 of two and three variables. TABLE_SEED: others.
 */
#include "node/vault/gate_private.h"
#include "tests/node/random_table.h"

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *set = getenv(name);

    return set != NULL ? strtoull(set, NULL, 10) : otherwise;
}

static size_t tables(void)
{
    return (size_t)from_environment("TABLE_COUNT", 500);
}

static uint64_t seed_of(const char *name)
{
    uint64_t seed = from_environment("TABLE_SEED", 20240229);

    for (; *name != '\0'; name++)
        seed = seed * 1099511628211u + (unsigned char)*name;
    return seed | 1;
}

static void print_table(const struct published *p)
{
    for (size_t i = 0; i < p->n; i++)
        fprintf(stderr, "%s%llu%s", i % p->size[p->n_dims - 1] ? " " : "\n",
                (unsigned long long)p->cell[i], p->cell_given[i] ? "" : "*");
    fprintf(stderr, "\ntotals:");
    for (size_t s = 0; s < p->n_sums; s++)
        fprintf(stderr, " %llu%s", (unsigned long long)p->sum[s],
                p->sum_given[s] ? "" : "*");
    fprintf(stderr, "\nk %llu\n", (unsigned long long)p->k);
}

static void expect_safe(const struct published *p, size_t number)
{
    struct breach b = attack(p);

    if (!b.found && b.unknown == 0)
        return;
    print_table(p);
    fail_msg("table %zu: %s %zu cannot be %llu (helper %zd); %zu searches given up", number,
             b.is_sum ? "total" : "cell", b.at, (unsigned long long)b.not_possible,
             (ssize_t)b.helper, b.unknown);
}

static void check_random(const char *name, size_t n_dims, size_t levels_max)
{
    uint64_t seed = seed_of(name);
    size_t cells = 0, given = 0;

    for (size_t i = 0; i < tables(); i++) {
        struct published p;

        table_make(&seed, (enum table_kind)(i % TABLE_KINDS), n_dims, levels_max, &p);
        table_publish(&p);
        expect_safe(&p, i);
        for (size_t k = 0; k < p.n; k++) {
            cells += p.cell[k] >= p.k;
            given += p.cell_given[k] && p.cell[k] >= p.k;
        }
    }
    printf("# %s: %zu of %zu cells of k or more are given\n", name, given, cells);
    CHECK_("a gate that gives nothing is safe, but no use", 10 * given > cells);
}

static void test_gate_tables__R25_two_variables(void **state)
{
    (void)state;
    check_random("two variables", 2, 5);
}

static void test_gate_tables__R25_three_variables(void **state)
{
    (void)state;
    check_random("three variables", 3, 3);
}

static void test_gate_tables__R25_one_and_four_variables(void **state)
{
    (void)state;
    check_random("one variable", 1, 8);
    check_random("four variables", 4, 2);
}

/* The attacker must find what R25 alone keeps: without it, and with one cell of it given.
 */
static void test_gate_tables__R25_the_attacker_finds_what_is_cut(void **state)
{
    uint64_t seed = seed_of("cut");
    size_t without = 0, tried = 0, cut = 0, found = 0;

    (void)state;
    for (size_t i = 0; i < tables(); i++) {
        struct published p, bare;

        table_make(&seed, TABLE_PLAIN, 2 + i % 2, 3, &p);
        table_publish(&p);
        bare = p;
        for (size_t k = 0; k < p.n; k++)
            bare.cell_given[k] = p.cell[k] >= p.k;
        for (size_t s = 0; s < p.n_sums; s++)
            bare.sum_given[s] = p.sum[s] >= p.k;
        if (memcmp(&bare, &p, sizeof p) != 0) {
            tried++;
            without += attack(&bare).found;
        }
        for (size_t k = 0; k < p.n; k++)
            if (!p.cell_given[k] && p.cell[k] >= p.k) {
                struct published one = p;

                one.cell_given[k] = true;
                cut++;
                found += attack(&one).found;
            }
    }
    printf("# found: %zu of %zu without R25; %zu of %zu where one cell of it is given\n",
           without, tried, found, cut);
    CHECK_("there was something to keep", tried > tables() / 2 && cut > tables());
    CHECK_("without R25", 10 * without > 9 * tried);
    CHECK_("one cell of it", 10 * found > 8 * cut);
}

/* R3: where nearly all of a class have one level of a sensitive variable, its cells are
 * withheld, and the largest may be less than that share. */
static void test_gate_tables__R3_a_withheld_class_does_not_follow(void **state)
{
    uint64_t seed = seed_of("class");
    size_t classes = 0;

    (void)state;
    for (size_t i = 0; i < tables() / 2; i++) {
        struct published p;

        table_make(&seed, TABLE_PLAIN, 2, 4, &p);
        for (size_t r = 0; r < p.size[0];
             r++) /* the first column's largest has nearly all */
            p.cell[r * p.size[1]] = r == 0 ? 30 * p.k + table_random(&seed, 90)
                                           : table_random(&seed, i % 2 ? 2 : p.k / 2 + 1);
        p.k = 10;
        published_sum(&p);
        table_publish_of(&p, true);
        expect_safe(&p, i);
        for (size_t c = 0; c < p.size[1]; c++) {
            uint64_t sum = 0, top = 0;
            size_t largest = 0;
            bool may = false;

            for (size_t r = 0; r < p.size[0]; r++) {
                sum += p.cell[r * p.size[1] + c];
                if (p.cell[r * p.size[1] + c] > top)
                    top = p.cell[largest = r * p.size[1] + c];
            }
            if ((double)top < 0.95 * (double)sum || sum == 0)
                continue;
            classes++;
            for (size_t r = 0; r < p.size[0]; r++)
                CHECK_("withheld whole", !p.cell_given[r * p.size[1] + c]);
            for (uint64_t v = top; v-- > 0 && !may;)
                may =
                    (double)v < 0.95 * (double)sum && attack_may_hold(&p, largest, v) == 1;
            CHECK_("the largest may be below the share", may || top < p.k);
        }
    }
    CHECK_("there were classes", classes > tables() / 8);
}

/* What another rule has withheld before is kept as well, however large. */
static void test_gate_tables__R25_keeps_what_was_withheld_before(void **state)
{
    uint64_t seed = seed_of("before");

    (void)state;
    for (size_t i = 0; i < tables() / 2; i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
        uint8_t states[ATTACK_CELLS] = {0}, totals[ATTACK_CELLS] = {0};
        struct withheld withheld = {0};
        struct published p;
        struct policy policy;
        size_t cell, range = 0;

        table_make(&seed, TABLE_PLAIN, 1 + i % 3, 3, &p);
        p.k = 10;
        cell = table_random(&seed, p.n);
        p.cell[cell] = 40 + table_random(&seed, 20);
        published_sum(&p);
        policy_cautious(&policy);
        states[cell] = CELL_WITHHELD;
        struct item item = {.name = "counts",
                            .kind = COHORTIUM__ITEM_KIND__COUNTS,
                            .rows = p.size[0],
                            .columns = p.n / p.size[0],
                            .support = p.cell,
                            .shape.n_dims = p.n_dims};

        memcpy(item.shape.size, p.size, sizeof item.shape.size);
        CHECK_OK_("judge", cx,
                  table_judge_totals(cx, &policy, &item, states, totals, &withheld));
        CHECK_EQ_("it stays", states[cell], CELL_WITHHELD);
        for (size_t k = 0; k < p.n; k++)
            p.cell_given[k] = states[k] == CELL_GIVEN;
        for (size_t s = 0; s < p.n_sums; s++)
            p.sum_given[s] = totals[s] == CELL_GIVEN;
        expect_safe(&p, i);
        for (uint64_t v = 20; v < 80; v++)
            range += attack_may_hold(&p, cell, v) == 1;
        CHECK_("as many numbers as below the threshold", range >= p.k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_tables__R25_two_variables),
        cmocka_unit_test(test_gate_tables__R25_three_variables),
        cmocka_unit_test(test_gate_tables__R25_one_and_four_variables),
        cmocka_unit_test(test_gate_tables__R3_a_withheld_class_does_not_follow),
        cmocka_unit_test(test_gate_tables__R25_keeps_what_was_withheld_before),
        cmocka_unit_test(test_gate_tables__R25_the_attacker_finds_what_is_cut),
    };

    return cmocka_run_group_tests_name("gate_tables", tests, NULL, NULL);
}
