/*
 * test_withdraw.c - patients who withdraw, and files that change few patients: who compares
 * answers from before and after learns about nobody, and no new sum holds a row of theirs.
 */
#include <inttypes.h>

#include "tests/node/session_case.h"

/* Withdraws those of a site's patients for whom `who` holds, up to n. */
static size_t withdraw(size_t site, bool (*who)(const struct vault_row *r), size_t n)
{
    static const char *const words[] = {"lung", "they asked for it"};
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct buffer b = buffer_new(cx, 1 << 20);
    size_t found = 0;

    assert_non_null(cx);
    for (size_t i = 0; i < t.site[site].n && found < n; i++)
        if (who(&t.site[site].rows[i])) {
            buffer_printf(&b, " %zu \r\n", i + 1);
            found++;
        }
    struct bytes list = bytes_of(b.p, b.n);

    (void)vaults_desk(&t, cx, site, "data withdraw", words, COUNT(words), &list, 0);
    return found;
}

static bool anybody(const struct vault_row *r)
{
    return r->age > 0;
}

static bool is_old(const struct vault_row *r)
{
    return r->age >= 40;
}

static bool is_given(const char *analysis, const char *formula, const char *cohort)
{
    struct play p;

    play_ask(&p, &t, analysis, formula, cohort);
    play_whole(&p);
    bool given = play_release(&p, HOME)->released;
    play_free(&p);
    return given;
}

static bool counted(const char *cohort)
{
    return is_given("count", NULL, cohort);
}

/* The answer to a count; digest: of all that is released. */
static double count_of(const char *cohort, uint8_t digest[32])
{
    struct play p;
    struct bytes packed;

    ask(&p, cohort);
    play_whole(&p);
    const Cohortium__Release *r = play_release(&p, HOME);

    CHECK_("released", r->released);
    double n = value(r, "patients", 0);
    CHECK_OK_("pack", p.cx, pb_pack(p.cx, &r->result->base, &packed));
    digest_of(packed, digest);
    play_free(&p);
    return n;
}

/* Of all sites, but for the first of the victim's. */
static size_t of_sex(double sex, size_t but_first)
{
    size_t n = 0;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = s == VICTIM ? but_first : 0; i < t.site[s].n; i++)
            n += t.site[s].rows[i].sex == sex;
    return n;
}

static double rounded(size_t n)
{
    return 5 * (double)((2 * n + 5) / 10);
}

static void version_of(size_t site, uint8_t ret[16])
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    AUTO_DATASET struct dataset *d = NULL;

    assert_non_null(cx);
    CHECK_OK_("current", cx, store_current(cx, t.site[site].v.store, "lung", &d));
    memcpy(ret, d->version, 16);
}

/* ---- withdrawn ---- */

static void test_withdraw__out_of_new_sums_at_once(void **state)
{
    uint8_t digest[32];
    (void)state;

    CHECK_EQ_("some of a site", withdraw(VICTIM, anybody, 8), 8);
    vaults_import(&t, VICTIM); /* the same file, where they still stand */
    CHECK_("210 patients less 8, to the next 5", count_of(NULL, digest) == 200);
    CHECK_("of a part", count_of("sex == 'male'", digest) == rounded(of_sex(1, 8)));
    vaults_reopen(&t, VICTIM);
    CHECK_("after a restart", count_of("sex == 'female'", digest) == rounded(of_sex(0, 8)));
    CHECK_("which the eight would change", rounded(of_sex(0, 8)) != rounded(of_sex(0, 0)) ||
                                               rounded(of_sex(1, 8)) != rounded(of_sex(1, 0)));
}

static void test_withdraw__answers_from_before_stay(void **state)
{
    uint8_t before[32], after[32], old[16], now[16];
    (void)state;

    double n = count_of("age >= 40", before);
    CHECK_("a part", counted("age >= 40 and sex == 'male'"));
    version_of(VICTIM, old);
    CHECK_EQ_("few", withdraw(VICTIM, is_old, 3), 3);
    CHECK_("the same number", count_of("age >= 40", after) == n);
    assert_memory_equal(before, after, 32);
    CHECK_("what would tell", !counted("age >= 40 and sex == 'female'"));
    CHECK_("what would not", counted("age < 40"));
    version_of(VICTIM, now);
    assert_memory_equal(old, now, 16);
}

static void test_withdraw__many_end_a_version(void **state)
{
    uint8_t before[32], after[32], old[16], now[16];
    (void)state;

    double n = count_of("age >= 40", before);
    version_of(VICTIM, old);
    CHECK_EQ_("nine", withdraw(VICTIM, is_old, 9), 9);
    version_of(VICTIM, now);
    assert_memory_equal(old, now, 16);
    CHECK_EQ_("and one of them again, and two more", withdraw(VICTIM, is_old, 11), 11);
    version_of(VICTIM, now);
    CHECK_("another version", memcmp(old, now, 16) != 0);
    CHECK_("another answer", n - count_of("age >= 40", after) == 10);
    vaults_reopen(&t, VICTIM);
    CHECK_("the same after a restart", n - count_of("age >= 40", before) == 10);
    assert_memory_equal(before, after, 32);
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    AUTO_DATASET struct dataset *d = NULL;
    CHECK_OK_("current", cx, store_current(cx, t.site[VICTIM].v.store, "lung", &d));
    CHECK_EQ_("their rows are in no file of it", d->rows, t.site[VICTIM].n - 11);
}

/* Left out, and not there at all: the same sums to the last bit. */
static void test_withdraw__left_out_is_not_there(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    uint8_t hashes[20][16], version[16], digest[3][32];
    double n[3];
    struct store *store = t.site[HOME].v.store;
    AUTO_DATASET struct dataset *d = NULL;
    struct play p;
    struct bytes packed;
    (void)state;

    assert_non_null(cx);
    CHECK_OK_("current", cx, store_current(cx, store, "lung", &d));
    for (size_t i = 0; i < 20; i++)
        memcpy(hashes[i], d->patients.hashes[3 * i], 16);
    for (int stage = 0; stage < 3; stage++) {
        if (stage == 1)
            CHECK_OK_("leave out", cx,
                      store_leave_out(cx, store, "patient", (const uint8_t(*)[16])hashes, 20,
                                      NULL, NULL));
        if (stage == 2)
            CHECK_OK_("cut", cx, store_cut(cx, store, "lung", NULL, NULL, version));
        /* Another question after the first: its answer would be given again. */
        play_ask(&p, &t, "lm", stage == 0 ? "score ~ age" : "score ~ age + sex", NULL);
        play_whole(&p);
        const Cohortium__Release *r = play_release(&p, HOME);
        CHECK_("released", r->released);
        CHECK_OK_("pack", p.cx, pb_pack(p.cx, &r->result->base, &packed));
        n[stage] = value(r, "n", 0);
        digest_of(packed, digest[stage]);
        play_free(&p);
    }
    CHECK_("20 fewer, but for missing scores", n[0] - n[1] > 10 && n[0] - n[1] <= 20);
    assert_memory_equal(digest[1], digest[2], 32);
}

static void test_withdraw__what_is_no_list(void **state)
{
    static const char *const words[] = {"lung", "they asked for it"};
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct bytes nothing = bytes_of(" \n\r\n", 4), stranger = bytes_of("nobody's", 8);
    const char *other[] = {"colon", "they asked for it"};
    (void)state;

    assert_non_null(cx);
    (void)vaults_desk(&t, cx, HOME, "data withdraw", words, COUNT(words), &nothing, 2);
    (void)vaults_desk(&t, cx, HOME, "data withdraw", words, 1, &stranger, 2);
    (void)vaults_desk(&t, cx, HOME, "data withdraw", other, COUNT(other), &stranger, 1);
    CHECK_("nothing is logged", vaults_newest(&t, cx, HOME, "withdraw") == NULL);
    const Cohortium__AdminReply *r =
        vaults_desk(&t, cx, HOME, "data withdraw", words, COUNT(words), &stranger, 0);
    CHECK_("who is not here", strstr(r->text, "1 identifiers, 0 of them patients") != NULL);
    const struct audit_entry *entry = vaults_newest(&t, cx, HOME, "withdraw");
    CHECK_("why is logged", strstr(entry->details, "they asked for it") != NULL);
    CHECK_("and not who", strstr(entry->details, "nobody's") == NULL);
}

/* ---- a file that changes few ---- */

static void change(size_t site, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t.site[site].rows[i].status = 1 - t.site[site].rows[i].status;
}

static void publish(size_t site, unsigned want, const char *says)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    const Cohortium__AdminReply *r = vaults_publish(&t, cx, site, want);
    if (strstr(r->text, says) == NULL)
        fail_msg("\"%s\", expected \"%s\"", r->text, says);
}

static void test_refresh__few_are_refused(void **state)
{
    uint8_t old[16], now[16];
    (void)state;

    change(VICTIM, 3);
    publish(VICTIM, 0, "3 have other values"); /* nobody has asked yet */
    CHECK_("asked", counted("age >= 40"));
    publish(VICTIM, 0, "0 patients came, 0 went, 0 have other values");
    version_of(VICTIM, old);
    change(VICTIM, 9);
    publish(VICTIM, 3, "9 have other values: too few");
    version_of(VICTIM, now);
    assert_memory_equal(old, now, 16);
    change(VICTIM, 9);
    t.site[VICTIM].n -= 4;
    publish(VICTIM, 3, "0 patients came, 4 went, 0 have other values: too few");
    change(VICTIM, 6);
    publish(VICTIM, 0, "0 patients came, 4 went, 6 have other values");
    t.site[VICTIM].n += 4;
    publish(VICTIM, 3, "4 patients came, 0 went, 0 have other values: too few");
    CHECK_("it answers", counted("age >= 60"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_withdraw__out_of_new_sums_at_once),
        UNDER(cautious, test_withdraw__answers_from_before_stay),
        UNDER(cautious, test_withdraw__many_end_a_version),
        UNDER(testing, test_withdraw__left_out_is_not_there),
        UNDER(cautious, test_withdraw__what_is_no_list),
        UNDER(cautious, test_refresh__few_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
