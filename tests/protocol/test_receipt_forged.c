/*
 * A true receipt, changed without a key: every byte, every part, and parts of two receipts
 * put together. Each must be refused, or say exactly what the true one says.
 */
#include <sodium.h>

#include "tests/check.h"
#include "tests/protocol/receipt_draft.h"

static struct cx *cx, *scratch;
static struct consortium c;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 27, CX_NO_DEADLINE);
    scratch = cx_new(1 << 26, CX_NO_DEADLINE);
    if (cx == NULL || scratch == NULL)
        return 1;
    consortium_new(cx, &c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    consortium_free(&c);
    cx_free(&cx);
    cx_free(&scratch);
    return 0;
}

static void hash_release(crypto_hash_sha256_state *h, const Cohortium__Release *r)
{
    struct bytes packed;

    CHECK_OK_("pack", scratch, pb_pack(scratch, &r->base, &packed));
    (void)crypto_hash_sha256_update(h, packed.p, packed.n);
}

/* All that a reader of the facts can learn. */
static void meaning_of(const struct receipt_facts *f, uint8_t ret[32])
{
    crypto_hash_sha256_state h;

    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, f->request.envelope.digest, 32);
    (void)crypto_hash_sha256_update(&h, f->manifest->digest, 32);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)&f->answered_at,
                                    sizeof f->answered_at);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)&f->exact_for_testing, 1);
    if (f->release != NULL)
        hash_release(&h, f->release);
    for (size_t i = 0; f->site_releases != NULL && i < f->n_sites; i++)
        hash_release(&h, f->site_releases[i]);
    for (size_t i = 0; i < f->n_statements; i++)
        (void)crypto_hash_sha256_update(&h, (const uint8_t *)f->statements[i],
                                        strlen(f->statements[i]) + 1);
    (void)crypto_hash_sha256_final(&h, ret);
}

/* What verifying it says; false: it is refused. */
static bool believes(const Cohortium__Receipt *r, uint8_t ret_meaning[32])
{
    struct receipt_facts facts;

    if (receipt_verify(scratch, r, c.manifest->consortium, &facts) != FAULT_NONE)
        return false;
    meaning_of(&facts, ret_meaning);
    return true;
}

static bool believes_bytes(struct bytes packed, uint8_t ret_meaning[32])
{
    Cohortium__Receipt *r;

    return pb_unpack(scratch, &cohortium__receipt__descriptor, packed, RECEIPT_MAX, &r) ==
               FAULT_NONE &&
           believes(r, ret_meaning);
}

enum shape { POOLED, NOT_RELEASED, BY_SITE, REPEAT, SHAPES };

static const char *const shapes[] = {"pooled", "not released", "by site", "repeat"};

static void make(struct draft *d, enum shape shape, const char *analysis)
{
    draft_new(d, cx, &c, shape == BY_SITE);
    d->not_released = shape == NOT_RELEASED;
    d->repeat = shape == REPEAT;
    d->n_accepts = shape == REPEAT ? 0 : CONSORTIUM_SITES;
    d->request->question->analysis = (char *)analysis;
    draft_fill(d);
    draft_seal(d);
}

/* One byte of a receipt changed in each of four ways. */
static size_t change_byte(struct bytes packed, size_t i, int way, uint8_t *p)
{
    memcpy(p, packed.p, packed.n);
    switch (way) {
    case 0:
        p[i] ^= (uint8_t)(1u << i % 8);
        return packed.n;
    case 1:
        p[i] ^= 0xff;
        return packed.n;
    case 2:
        memmove(p + i, packed.p + i + 1, packed.n - i - 1);
        return packed.n - 1;
    default:
        memcpy(p + i + 1, packed.p + i, packed.n - i);
        return packed.n + 1;
    }
}

static void test_forged__every_byte(void **state)
{
    static const char *const ways[] = {"with a flipped bit", "inverted", "missing",
                                       "doubled"};
    static struct draft d;

    (void)state;
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        uint8_t meaning[32], *p;
        struct bytes packed;
        size_t believed = 0;

        make(&d, shape, "count");
        CHECK_OK_("pack", cx, pb_pack(cx, &d.receipt.base, &packed));
        cx_reset(scratch);
        CHECK_(shapes[shape], believes_bytes(packed, meaning));
        p = cx_alloc(cx, packed.n + 1);
        assert_non_null(p);
        for (size_t i = 0; i < packed.n; i++)
            for (int way = 0; way < (int)COUNT(ways); way++) {
                uint8_t got[32];
                size_t n = change_byte(packed, i, way, p);

                cx_reset(scratch);
                if (n == packed.n && memcmp(p, packed.p, n) == 0)
                    continue;
                if (!believes_bytes(bytes_of(p, n), got))
                    continue;
                believed++;
                if (memcmp(got, meaning, 32) != 0)
                    fail_msg("%s: byte %zu %s: believed to say something else",
                             shapes[shape], i, ways[way]);
            }
        CHECK_EQ_(shapes[shape], believed,
                  0); /* this one holds nothing that is not bound */
    }
}

/* ---- parts ---- */

struct list { /* one repeated field of a receipt */
    const char *name;
    size_t *n;
    ProtobufCBinaryData *items; /* or */
    Cohortium__LogProof **proofs;
};

enum { LISTS = 7 };

static void lists_of(Cohortium__Receipt *r, struct list ret[LISTS])
{
    const struct list lists[LISTS] = {
        {"manifest", &r->n_manifests, r->manifests, NULL},
        {"permit", &r->n_permits, r->permits, NULL},
        {"preflight", &r->n_preflights, r->preflights, NULL},
        {"ACCEPT", &r->n_accepts, r->accepts, NULL},
        {"release", &r->n_releases, r->releases, NULL},
        {"proof", &r->n_proofs, NULL, r->proofs},
        {"round", &r->n_rounds, r->rounds, NULL},
    };

    memcpy(ret, lists, sizeof lists);
}

static void list_copy(struct list *to, size_t at, const struct list *from, size_t i)
{
    if (to->items != NULL)
        to->items[at] = from->items[i];
    else
        to->proofs[at] = from->proofs[i];
}

/* A receipt of its own, with room for one more in each list. */
static Cohortium__Receipt *copy_of(const Cohortium__Receipt *r)
{
    Cohortium__Receipt *copy = cx_memdup(cx, r, sizeof *r);
    struct list from[LISTS], to[LISTS];

    assert_non_null(copy);
    copy->manifests = cx_array(cx, 16, sizeof *copy->manifests);
    copy->permits = cx_array(cx, 16, sizeof *copy->permits);
    copy->preflights = cx_array(cx, 16, sizeof *copy->preflights);
    copy->accepts = cx_array(cx, 16, sizeof *copy->accepts);
    copy->releases = cx_array(cx, 16, sizeof *copy->releases);
    copy->rounds = cx_array(cx, 16, sizeof *copy->rounds);
    copy->proofs = cx_array(cx, 16, sizeof *copy->proofs);
    assert_non_null(copy->proofs);
    lists_of((Cohortium__Receipt *)r, from);
    lists_of(copy, to);
    for (size_t k = 0; k < LISTS; k++)
        for (size_t i = 0; i < *from[k].n; i++)
            list_copy(&to[k], i, &from[k], i);
    for (size_t i = 0; i < r->n_proofs; i++) {
        copy->proofs[i] = cx_memdup(cx, r->proofs[i], sizeof **r->proofs);
        assert_non_null(copy->proofs[i]);
    }
    return copy;
}

/* Refused, or the same as `a` or, where given, `b`. */
static bool check_meaning(const char *what, const char *part, const Cohortium__Receipt *r,
                          const uint8_t *a, const uint8_t *b)
{
    uint8_t got[32];

    cx_reset(scratch);
    if (!believes(r, got))
        return false;
    if (memcmp(got, a, 32) != 0 && (b == NULL || memcmp(got, b, 32) != 0))
        fail_msg("%s, %s: believed to say something else", what, part);
    return true;
}

/* Each part missing, doubled, or in its neighbour's place. */
static void test_forged__parts_moved(void **state)
{
    static struct draft d;

    (void)state;
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        uint8_t meaning[32];

        make(&d, shape, "count");
        cx_reset(scratch);
        CHECK_(shapes[shape], believes(&d.receipt, meaning));
        for (size_t k = 0; k < LISTS; k++)
            for (size_t way = 0; way < 3; way++) {
                struct list l[LISTS], old[LISTS];

                lists_of(&d.receipt, old);
                for (size_t i = 0; i < *old[k].n; i++) {
                    Cohortium__Receipt *r = copy_of(&d.receipt);

                    lists_of(r, l);
                    if (way == 0) {
                        for (size_t j = i; j + 1 < *l[k].n; j++)
                            list_copy(&l[k], j, &old[k], j + 1);
                        (*l[k].n)--;
                    } else if (way == 1) {
                        list_copy(&l[k], (*l[k].n)++, &old[k], i);
                    } else {
                        list_copy(&l[k], i, &old[k], (i + 1) % *old[k].n);
                        list_copy(&l[k], (i + 1) % *old[k].n, &old[k], i);
                    }
                    (void)check_meaning(shapes[shape], l[k].name, r, meaning, NULL);
                }
            }
    }
}

static bool list_equal(const struct list *a, const struct list *b)
{
    bool equal = *a->n == *b->n;

    for (size_t i = 0; equal && i < *a->n; i++)
        equal =
            a->items != NULL && bytes_equal(PB_BYTES(a->items[i]), PB_BYTES(b->items[i]));
    return equal;
}

/* Two true receipts of one consortium and one researcher: each part, and each choice of
 * kinds of parts, of the one in the other. */
static void splice(const char *what, struct draft *one, struct draft *two)
{
    uint8_t a[32], b[32];
    struct list from[LISTS], to[LISTS];
    size_t believed = 0, free = 1;

    cx_reset(scratch);
    CHECK_(what, believes(&one->receipt, a) && believes(&two->receipt, b));
    lists_of(&two->receipt, from);
    for (size_t k = 0; k < LISTS; k++)
        for (size_t i = 0; i < *from[k].n; i++) {
            Cohortium__Receipt *r = copy_of(&one->receipt);

            lists_of(r, to);
            if (i >= *to[k].n)
                continue;
            list_copy(&to[k], i, &from[k], i);
            (void)check_meaning(what, to[k].name, r, a, b);
        }
    for (size_t i = 0; i < CONSORTIUM_SITES; i++)
        for (int part = 0; part < 3; part++) { /* of one proof */
            Cohortium__Receipt *r = copy_of(&one->receipt);
            const Cohortium__LogProof *other = two->receipt.proofs[i];

            if (part == 0)
                r->proofs[i]->record = other->record;
            else if (part == 1)
                r->proofs[i]->path = other->path;
            else
                r->proofs[i]->checkpoint = other->checkpoint;
            (void)check_meaning(what, "a part of a proof", r, a, b);
        }
    for (unsigned kinds = 1; kinds < (1u << (LISTS + 1)) - 1; kinds++) {
        Cohortium__Receipt *r = copy_of(&one->receipt);

        lists_of(r, to);
        for (size_t k = 0; k < LISTS; k++)
            if (kinds >> k & 1) {
                *to[k].n = *from[k].n;
                for (size_t i = 0; i < *from[k].n; i++)
                    list_copy(&to[k], i, &from[k], i);
            }
        if (kinds >> LISTS & 1)
            r->request = two->receipt.request;
        believed += check_meaning(what, "kinds of parts", r, a, b);
    }
    /* What is the same in both may be chosen freely; all else must be of one receipt. */
    lists_of(&one->receipt, to);
    for (size_t k = 0; k < LISTS; k++)
        free *= list_equal(&from[k], &to[k]) ? 2 : 1;
    CHECK_EQ_(what, believed, 2 * (free - 1));
}

static void test_forged__spliced(void **state)
{
    static struct draft one, two;

    (void)state;
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        make(&one, shape, "count");
        make(&two, shape, "table");
        splice("two questions", &one, &two);
        make(&two, shape, "count");
        /* Asked twice, the same bytes are the release of both. */
        splice("one question asked twice", &one, &two);
    }
    make(&one, POOLED, "count");
    make(&two, NOT_RELEASED, "count");
    splice("released and not", &one, &two);
    make(&two, BY_SITE, "count");
    splice("pooled and by site", &one, &two);
}

/* Without its newest manifest a receipt would be judged by keys and members that were not
 * in force any more; with one that came later, by those that were not yet. */
static void test_forged__chain_of_its_time(void **state)
{
    static struct draft d;
    struct consortium later = c;
    Cohortium__Manifest body = c.body;
    struct bytes chain[2] = {c.genesis};
    struct receipt_facts facts;

    (void)state;
    body.version = 2;
    body.previous = PB_DATA(bytes_of(c.manifest->consortium, 32));
    chain[1] = consortium_sign_manifest(cx, &body, c.governor, 2);
    CHECK_OK_("chain", cx, manifest_load(cx, chain, 2, NULL, &later.manifest));
    for (int part = 0; part < 4; part++) { /* which says that it was made under version 2 */
        draft_new(&d, cx, &later, false);
        d.request->stamp->manifest_version = part == 1 ? 2 : 1;
        draft_fill(&d);
        for (int i = 0; i < CONSORTIUM_SITES; i++) {
            d.preflights[i].stamp->manifest_version = part == 2 ? 2 : 1;
            d.accepts[i].stamp->manifest_version = part == 3 ? 2 : 1;
        }
        draft_seal(&d);
        d.manifests[1] = PB_DATA(chain[1]);
        d.receipt.n_manifests = 2;
        CHECK_OK_("the whole chain", cx,
                  receipt_verify(cx, &d.receipt, c.manifest->consortium, &facts));
        d.receipt.n_manifests = 1;
        CHECK_EQ_("its newest version taken off",
                  receipt_verify(cx, &d.receipt, c.manifest->consortium, &facts),
                  part == 0 ? FAULT_NONE : FAULT_DENIED);
    }
    body.issued_at = (uint64_t)c.now + 3600 * 1000;
    chain[1] = consortium_sign_manifest(cx, &body, c.governor, 2);
    make(&d, POOLED, "count");
    d.manifests[1] = PB_DATA(chain[1]);
    d.receipt.n_manifests = 2;
    CHECK_EQ_("a version of an hour later",
              receipt_verify(cx, &d.receipt, c.manifest->consortium, &facts), FAULT_DENIED);
    CHECK_("says why", strstr(cx_message(cx), "issued after") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged__every_byte),
        cmocka_unit_test(test_forged__parts_moved),
        cmocka_unit_test(test_forged__spliced),
        cmocka_unit_test(test_forged__chain_of_its_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
