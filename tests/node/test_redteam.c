/*
 * test_redteam.c - attacks on a site's own rows: all are withstood at the standard policy,
 * all that are tried succeed where nothing is withheld, and nothing of it is kept or
 * leaves.
 */
#include <stdlib.h>

#include "node/data/policy_yaml.h"
#include "node/vault/redteam.h"
#include "node/vault/redteam_victims.h"
#include "protocol/checkpoint.h"
#include "tests/node/session_case.h"

enum { FILE_MAX = 16 << 20 };

static struct bytes policy_blob(struct cx *cx, const char *yaml)
{
    Cohortium__Policy *body;
    struct bytes packed;

    CHECK_OK_("yaml", cx, policy_from_yaml(cx, "new", yaml, strlen(yaml), true, &body));
    CHECK_OK_("pack", cx, pb_pack(cx, &body->base, &packed));
    return packed;
}

static struct redteam attack(struct cx *cx, const char *yaml)
{
    Cohortium__Policy *body;
    struct policy p;
    struct redteam r;

    CHECK_OK_("unpack", cx,
              pb_unpack(cx, &cohortium__policy__descriptor, policy_blob(cx, yaml), 1 << 20,
                        &body));
    CHECK_OK_("open", cx, policy_open(cx, body, true, &p));
    CHECK_OK_("redteam", cx, redteam(cx, &t.site[0].v, &p, t.cb->body->name, &r));
    return r;
}

/* One patient of each site in a cell of its own, with the secret. */
static void plant(void)
{
    for (size_t s = 0; s < VAULTS; s++) {
        size_t left = 2;

        for (size_t i = 0; i < t.site[s].n; i++) {
            struct vault_row *r = &t.site[s].rows[i];

            if (r->age >= 80)
                r->age = 45;
            if (left > 0 && i % 7 == 3) {
                left--;
                *r = (struct vault_row){
                    .age = 85, .sex = (double)left, .status = 1, .score = 3 + (double)left};
            }
        }
        vaults_import(&t, s);
    }
}

static void test_redteam__all_is_withstood_at_the_standard_policy(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    (void)state;

    plant();
    struct redteam r = attack(cx, CAUTIOUS);
    CHECK_EQ_("victims", r.victims, 2);
    CHECK_("an ordinary count is answered", r.honest);
    CHECK_EQ_("failed", r.counts[REDTEAM_FAIL], 0);
    CHECK_EQ_("tried", r.counts[REDTEAM_PASS], r.n);
    CHECK_("most of the list", r.n >= 13);
}

static void test_redteam__each_attack_succeeds_where_nothing_is_withheld(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    (void)state;

    plant();
    struct redteam r = attack(cx, TESTING);
    for (size_t i = 0; i < r.n; i++) {
        CHECK_EQ_(r.list[i].name, r.list[i].verdict, REDTEAM_FAIL);
        CHECK_EQ_(r.list[i].name, r.list[i].right, r.list[i].victims);
    }
}

static void test_redteam__nobody_alone_is_nothing_shown(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    (void)state;

    for (size_t s = 0; s < VAULTS; s++) {
        for (size_t i = 0; i < t.site[s].n; i++)
            t.site[s].rows[i].age = 45;
        vaults_import(&t, s);
    }
    struct redteam r = attack(cx, CAUTIOUS);
    CHECK_EQ_("victims", r.victims, 0);
    CHECK_EQ_("not tried", r.counts[REDTEAM_NOT_TRIED], r.n);
}

/* ---- the sheet ---- */

static const Cohortium__AdminReply *sheet_of(struct cx *cx, const char *yaml)
{
    const char *words[] = {t.cb->body->name};
    struct bytes blob = policy_blob(cx, yaml);

    return vaults_desk(&t, cx, 0, "policy redteam", words, 1, &blob, 0);
}

static void test_redteam__the_sheet_is_signed_and_names_nobody(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    const struct vault *v = &t.site[0].v;
    (void)state;

    plant();
    const Cohortium__AdminReply *r = sheet_of(cx, CAUTIOUS);
    CHECK_("pass", strstr(r->text, "\nresult: pass (") != NULL);
    CHECK_("one sheet", r->n_blobs == 1);
    CHECK_("no cut", strstr(r->text, ">=") == NULL && strstr(r->text, "age ") == NULL);
    CHECK_OK_("signed", cx,
              sheet_verify(cx, r->text, v->origin, v->self->signing_key.data));
    CHECK_EQ_("by nobody else",
              sheet_verify(cx, r->text, v->origin, t.site[1].v.self->signing_key.data),
              FAULT_DENIED);
    char *other = cx_strdup(cx, r->text);
    assert_non_null(other);
    *strstr(other, "pass") = 'P';
    CHECK_EQ_("another word", sheet_verify(cx, other, v->origin, v->self->signing_key.data),
              FAULT_DENIED);
    CHECK_("in the log", vaults_newest(&t, cx, 0, "redteam") != NULL);
    r = sheet_of(cx, TESTING);
    CHECK_("fail", strstr(r->text, "\nresult: FAIL (") != NULL);
    CHECK_("as JSON", strstr(r->json, "\"result\":\"FAIL\"") != NULL);
}

/* ---- nothing is kept ---- */

static struct bytes read_whole(struct cx *cx, const char *name)
{
    const char *path = cx_printf(cx, "%s/%s", t.site[0].folder, name);
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

static void test_redteam__touches_nothing(void **state)
{
    static const char *const files[] = {"vault.db", "vault.db-wal"};
    AUTO_CX struct cx *cx = cx_new((size_t)512 << 20, CX_NO_DEADLINE);
    struct bytes before[COUNT(files)];
    struct memory *m;
    struct play p;
    uint8_t head[32];
    (void)state;

    plant();
    ask(&p, "age >= 40");
    play_whole(&p);
    play_free(&p);
    CHECK_OK_("memory", cx,
              memory_open(cx, &t.site[0].v.memories, t.site[0].v.db, t.cb, &m));
    uint64_t held = memory_length(m, head);
    for (size_t i = 0; i < COUNT(files); i++)
        before[i] = read_whole(cx, files[i]);
    CHECK_("the database is there", before[0].n + before[1].n > 4096);
    (void)attack(cx, TESTING);
    (void)attack(cx, CAUTIOUS);
    CHECK_EQ_("nothing is remembered", memory_length(m, head), held);
    for (size_t i = 0; i < COUNT(files); i++)
        CHECK_(files[i], bytes_equal(before[i], read_whole(cx, files[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_redteam__all_is_withstood_at_the_standard_policy),
        UNDER(cautious, test_redteam__each_attack_succeeds_where_nothing_is_withheld),
        UNDER(cautious, test_redteam__nobody_alone_is_nothing_shown),
        UNDER(cautious, test_redteam__the_sheet_is_signed_and_names_nobody),
        UNDER(cautious, test_redteam__touches_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
