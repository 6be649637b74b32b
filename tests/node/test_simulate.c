/*
 * test_simulate.c - past questions under another policy: what would be released, refused or
 * changed, judged as the node judged it then, and nothing of it is kept.
 */
#include <stdlib.h>

#include "node/data/policy_yaml.h"
#include "node/vault/simulate.h"
#include "tests/node/session_case.h"

enum { FILE_MAX = 16 << 20 };

static struct bytes policy_blob(struct cx *cx, const char *yaml)
{
    Cohortium__Policy *body;
    struct bytes packed;

    CHECK_OK_("yaml", cx,
              policy_from_yaml(cx, "new", yaml, strlen(yaml), true, &body));
    CHECK_OK_("pack", cx, pb_pack(cx, &body->base, &packed));
    return packed;
}

static void open_yaml(struct cx *cx, const char *yaml, struct policy *ret)
{
    Cohortium__Policy *body;

    CHECK_OK_("unpack", cx,
              pb_unpack(cx, &cohortium__policy__descriptor, policy_blob(cx, yaml),
                        1 << 20, &body));
    CHECK_OK_("open", cx, policy_open(cx, body, true, ret));
}

static struct simulation try_policy(struct cx *cx, size_t site, const char *in_force,
                                    const char *other)
{
    struct policy a, b;
    struct simulation s = {0};

    open_yaml(cx, in_force, &a);
    open_yaml(cx, other, &b);
    CHECK_OK_("simulate", cx, simulate(cx, &t.site[site].v, &a, &b, &s));
    return s;
}

/* The one of this cohort, by how its words end. */
static const struct simulated *of(const struct simulation *s, const char *words)
{
    for (size_t i = 0; i < s->n; i++)
        if (strstr(s->list[i].words, words) != NULL)
            return &s->list[i];
    fail_msg("no question with `%s`", words);
    return NULL;
}

static void pooled(const char *analysis, const char *formula, const char *cohort)
{
    struct play p;

    play_ask(&p, &t, analysis, formula, cohort);
    play_whole(&p);
    play_free(&p);
}

static void each(const char *cohort)
{
    struct play p;

    ask_each(&p, "count", NULL, cohort);
    answer_each(&p);
    play_free(&p);
}

/* ---- answers by site: the whole judgement ---- */

static void test_simulate__as_the_node_judged_then(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    (void)state;

    permit_by_site(0);
    each("age >= 40");
    each("age >= 80");
    each("age >= 40 and age < 80"); /* by 3 from the first: the leverages refuse it */
    each("age >= 60");
    for (size_t site = 0; site < VAULTS; site++) {
        struct simulation s = try_policy(cx, site, BY_SITE, BY_SITE);

        CHECK_EQ_("questions", s.n, 4);
        CHECK_EQ_("same", s.counts[SIMULATED_SAME], 4);
        for (size_t i = 0; i < s.n; i++) {
            CHECK_("known", s.list[i].in_force.known);
            CHECK_EQ_(s.list[i].words, s.list[i].in_force.released,
                      s.list[i].released);
            CHECK_EQ_("its own", s.list[i].in_force.basis, SIMULATED_OWN);
        }
        CHECK_("a reference", strlen(of(&s, "age >= 80")->reference) == 16);
        CHECK_("why", strstr(of(&s, "age < 80")->in_force.why, "R23") != NULL);
    }
}

static void test_simulate__looser_and_stricter(void **state)
{
    static const struct {
        const char *what, *yaml, *cohort;
        enum simulated_outcome want;
        const char *why;
    } rows[] = {
        {"three are enough now", "minimum_frequency_threshold: 3\n", "age >= 80",
         SIMULATED_RELEASED, "whole"},
        {"they are not", "minimum_frequency_threshold: 4\n", "age >= 80", SIMULATED_SAME, ""},
        {"many are too few now", "minimum_frequency_threshold: 55\n", "age >= 40",
         SIMULATED_REFUSED, "R1"},
        {"rounded more coarsely", "rounding_base: 10\n", "age >= 40", SIMULATED_SAME, ""},
        {"not rounded", "rounding_base: 0\n", "age >= 40", SIMULATED_CHANGED, "whole"},
        {"an analysis that it leaves out", "allowed_statistics: [table]\n", "age >= 40",
         SIMULATED_REFUSED, "count"},
    };
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    (void)state;

    permit_by_site(0);
    each("age >= 40");
    each("age >= 80");
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *yaml = cx_printf(cx, "%s%s", BY_SITE, rows[i].yaml);
        struct simulation s = try_policy(cx, 0, BY_SITE, yaml);
        const struct simulated *q = of(&s, rows[i].cohort);

        if (strcmp(rows[i].what, "rounded more coarsely") != 0) /* by chance the same */
            CHECK_EQ_(rows[i].what, q->outcome, rows[i].want);
        if (strstr(q->other.why, rows[i].why) == NULL)
            fail_msg("%s: %s", rows[i].what, q->other.why);
    }
}

/* ---- pooled: this site's part ---- */

static void test_simulate__of_pooled_questions_its_own_part(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    struct simulation s;
    (void)state;

    pooled("count", NULL, "age >= 60");
    pooled("count", NULL, "age >= 60");
    pooled("table", "~ sex", NULL);
    s = try_policy(cx, 0, CAUTIOUS, CAUTIOUS);
    CHECK_EQ_("each once", s.n, 2);
    CHECK_EQ_("asked twice", of(&s, "age >= 60")->times, 2);
    CHECK_EQ_("part", of(&s, "age >= 60")->other.basis, SIMULATED_PART);
    s = try_policy(cx, 0, CAUTIOUS,
                   "class: cautious\nresponse_quantum_ms: 0\nlocal_minimum: 50\n");
    CHECK_EQ_("fewer here", of(&s, "age >= 60")->outcome, SIMULATED_REFUSED);
    CHECK_EQ_("that is certain", of(&s, "age >= 60")->other.basis, SIMULATED_OWN);
    CHECK_("why", strstr(of(&s, "age >= 60")->other.why, "local_minimum") != NULL);
    s = try_policy(cx, 0, CAUTIOUS,
                   "class: cautious\nresponse_quantum_ms: 0\nmin_sites: 4\n");
    CHECK_EQ_("too few sites", of(&s, "age >= 60")->outcome, SIMULATED_REFUSED);
    CHECK_EQ_("its form says so", of(&s, "age >= 60")->other.basis, SIMULATED_FORM);
}

/* What was refused without data has no answer, and is judged all the same. */
static void test_simulate__what_was_refused_without_data(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    static const char narrow[] =
        "class: cautious\nresponse_quantum_ms: 0\nallowed_statistics: [count]\n";
    struct play p;
    (void)state;

    vaults_policy(&t, 1, narrow);
    play_ask(&p, &t, "table", "~ sex", NULL);
    CHECK_EQ_("preflight", play_preflight(&p, 1), FAULT_NONE);
    CHECK_EQ_("refused", play_preflight_of(&p, 1)->n_complaints, 1);
    play_free(&p);
    struct simulation s = try_policy(cx, 1, narrow, CAUTIOUS);
    CHECK_EQ_("it is there", s.n, 1);
    CHECK_EQ_("not then", s.list[0].released, false);
    CHECK_EQ_("now", s.list[0].outcome, SIMULATED_RELEASED);
    CHECK_EQ_("nothing is lost", s.lost, 0);
    s = try_policy(cx, 1, narrow, narrow);
    CHECK_EQ_("nor now", s.list[0].other.released, false);
}

/* 3 here, 9 in all: refused by this site's own under both, and by the pool under one. */
static void test_simulate__leaves_to_the_pool_what_it_decides(void **state)
{
    static const struct {
        const char *what, *yaml, *cohort;
        enum simulated_outcome want;
    } rows[] = {
        {"the pool would have enough", "minimum_frequency_threshold: 8\n", "age >= 80",
         SIMULATED_POOL},
        {"the same policy", "", "age >= 80", SIMULATED_SAME},
        {"enough here", "minimum_frequency_threshold: 3\n", "age >= 80",
         SIMULATED_RELEASED},
        {"given then, by its form not now", "min_sites: 4\n", "age < 40", SIMULATED_REFUSED},
        {"given then, too few here", "minimum_frequency_threshold: 11\n", "age < 40",
         SIMULATED_POOL},
    };
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    (void)state;

    for (size_t s = 0; s < VAULTS; s++) { /* 5 of them here, 15 in all */
        size_t left = 5;

        for (size_t i = 0; i < t.site[s].n; i++)
            if (t.site[s].rows[i].age < 40 && t.site[s].rows[i].sex == 0 &&
                (left == 0 || left-- == 0))
                t.site[s].rows[i].age = 50;
        vaults_import(&t, s);
    }
    pooled("count", NULL, "age >= 80");
    pooled("count", NULL, "age < 40 and sex == 'female'");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct simulation s =
            try_policy(cx, 0, CAUTIOUS, cx_printf(cx, "%s%s", CAUTIOUS, rows[i].yaml));

        CHECK_EQ_(rows[i].what, of(&s, "age < 40")->released, true);
        CHECK_EQ_(rows[i].what, of(&s, rows[i].cohort)->outcome, rows[i].want);
    }
}

/* ---- nothing is kept ---- */

static struct bytes read_whole(struct cx *cx, size_t site, const char *name)
{
    const char *path = cx_printf(cx, "%s/%s", t.site[site].folder, name);
    uint8_t *p = cx_alloc(cx, FILE_MAX);
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(p);
    if (f == NULL)
        return bytes_of(p, 0);
    n = fread(p, 1, FILE_MAX, f);
    CHECK_("all of it", n < FILE_MAX && feof(f));
    (void)fclose(f);
    return bytes_of(p, n);
}

static uint64_t columns(struct cx *cx, size_t site)
{
    struct memory *m;
    uint8_t head[32];

    CHECK_OK_("memory", cx,
              memory_open(cx, &t.site[site].v.memories, t.site[site].v.db, t.cb, &m));
    return memory_length(m, head);
}

static void test_simulate__touches_nothing(void **state)
{
    static const char *const files[] = {"vault.db", "vault.db-wal"};
    static const char loose[] =
        "class: cautious\nresponse_quantum_ms: 0\nminimum_frequency_threshold: 3\n";
    AUTO_CX struct cx *cx = cx_new((size_t)512 << 20, CX_NO_DEADLINE);
    struct bytes before[COUNT(files)], blob;
    size_t bytes = 0;
    (void)state;

    pooled("count", NULL, "age >= 60");
    pooled("count", NULL, "age >= 80");
    uint64_t held = columns(cx, 1);
    for (size_t i = 0; i < COUNT(files); i++) {
        before[i] = read_whole(cx, 1, files[i]);
        bytes += before[i].n;
    }
    CHECK_("the database is there", bytes > 4096);
    blob = policy_blob(cx, loose);
    const Cohortium__AdminReply *r =
        vaults_desk(&t, cx, 1, "policy simulate", NULL, 0, &blob, 0);
    CHECK_("newly released", strstr(r->text, "newly released   1\n") != NULL);
    CHECK_("says what it is not", strstr(r->text, "POOLED") != NULL);
    CHECK_("as JSON", strstr(r->json, "\"newly_released\":1") != NULL);
    CHECK_EQ_("nothing is remembered", columns(cx, 1), held);
    for (size_t i = 0; i < COUNT(files); i++)
        CHECK_(files[i], bytes_equal(before[i], read_whole(cx, 1, files[i])));
    /* The neighbour: a question does change these files. */
    pooled("count", NULL, "age >= 40");
    bool changed = false;
    for (size_t i = 0; i < COUNT(files); i++)
        changed |= !bytes_equal(before[i], read_whole(cx, 1, files[i]));
    CHECK_("as a question does", changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(by_site, test_simulate__as_the_node_judged_then),
        UNDER(by_site, test_simulate__looser_and_stricter),
        UNDER(cautious, test_simulate__of_pooled_questions_its_own_part),
        UNDER(cautious, test_simulate__leaves_to_the_pool_what_it_decides),
        UNDER(cautious, test_simulate__what_was_refused_without_data),
        UNDER(cautious, test_simulate__touches_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
