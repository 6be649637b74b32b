/*
 * test_bent_papers.c - what people and governors sign, each field bent: manifest,
 * credential, permit, request.
 *
 * Under the true signatures, and signed again by one who may not alone: never believed.
 * Signed again by all who may, it is another paper of theirs: taken or refused, and over no
 * bound.
 */
#include "protocol/review.h"
#include "protocol/revocation.h"
#include "tests/check.h"
#include "tests/protocol/bend.h"
#include "tests/protocol/consortium.h"

enum { LARGE = 5000 };
enum signer { NOBODY, TOO_FEW, ALL, SIGNERS };

struct paper {
    const char *name;
    const ProtobufCMessageDescriptor *d;
    enum envelope_kind kind;
    struct bytes packed;
    struct keys *const *few, *const *all; /* one key; n_all keys */
    size_t n_all;
    enum fault (*verify)(struct cx *cx, struct bytes packed);
};

static struct consortium c;
static struct cx *all_cx;

static enum fault verify_manifest(struct cx *cx, struct bytes packed)
{
    struct manifest *longer;

    return manifest_extend(cx, c.manifest, packed, &longer);
}

static enum fault verify_credential(struct cx *cx, struct bytes packed)
{
    struct credential who;

    return credential_verify(cx, c.manifest, packed, c.now, &who);
}

static enum fault verify_permit(struct cx *cx, struct bytes packed)
{
    struct permit permit;

    return permit_verify(cx, c.manifest, packed, &permit);
}

static enum fault verify_request(struct cx *cx, struct bytes packed)
{
    struct request request;

    return request_verify(cx, c.manifest, packed, c.id[1], c.now, &request);
}

static enum fault verify_revocation(struct cx *cx, struct bytes packed)
{
    struct revocation revocation;

    return revocation_verify(cx, c.manifest, packed, c.now, &revocation);
}

static enum fault verify_review(struct cx *cx, struct bytes packed)
{
    struct review review;

    return review_verify(cx, c.manifest, packed, c.now, &review);
}

/* ---- bending ---- */

struct reading {
    const struct paper *p;
    enum signer signer;
    struct bend_count count;
};

/* What a question asks is judged with its codebook, by analyses. */
static bool is_oversize_list(const struct bend *b)
{
    return b->how == BEND_OVERSIZED && strcmp(b->what, "thousands") == 0 &&
           strncmp(b->field, "question.params", 15) != 0;
}

static void told(void *user, const struct bend *b, struct bytes body)
{
    struct reading *r = user;
    const struct paper *p = r->p;
    const char *name = bend_name(p->name, b);
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    r->count.tried[b->how]++;
    struct bytes packed = r->signer == NOBODY ? bend_rewrap(cx, p->packed, body)
                          : r->signer == ALL
                              ? bend_sign(cx, p->kind, body, p->all, p->n_all)
                              : bend_sign(cx, p->kind, body, p->few, 1);
    enum fault fault = p->verify(cx, packed);
    if (fault == FAULT_NONE && r->signer != ALL)
        fail_msg("%s: believed without the signatures that it needs", name);
    if (fault == FAULT_NONE && is_oversize_list(b))
        fail_msg("%s: believed", name);
    if (fault == FAULT_INTERNAL || fault == FAULT_MEMORY ||
        (fault != FAULT_NONE && cx_message(cx)[0] == '\0'))
        fail_msg("%s: %s: %s", name, fault_name(fault), cx_message(cx));
    fault != FAULT_NONE ? r->count.found++ : r->count.excused++;
}

static void told_wire(void *user, const struct bend *b, struct bytes body)
{
    struct reading *r = user;
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    r->count.tried[b->how]++;
    CHECK_EQ_(bend_name(r->p->name, b),
              r->p->verify(cx, bend_sign(cx, r->p->kind, body, r->p->all, r->p->n_all)) ==
                  FAULT_NONE,
              false);
    r->count.found++;
}

/* The envelope: never believed but for what it needs not: a signature beyond those. */
static void told_envelope(void *user, const struct bend *b, struct bytes packed)
{
    struct reading *r = user;
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    r->count.tried[b->how]++;
    enum fault fault = r->p->verify(cx, packed);
    bool beyond = b->how == BEND_REORDERED || b->how == BEND_REPEATED;
    if (fault == FAULT_NONE && !(beyond && strcmp(b->field, "signatures") == 0))
        fail_msg("%s: believed", bend_name(r->p->name, b));
    fault != FAULT_NONE ? r->count.found++ : r->count.excused++;
}

static void play(const struct paper *p)
{
    static const char *const words[SIGNERS] = {"believed", "believed",
                                               "another paper of who may sign it"};
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct envelope e;

    assert_non_null(cx);
    CHECK_OK_(p->name, cx, p->verify(cx, p->packed));
    CHECK_OK_(p->name, cx, envelope_open(cx, p->kind, p->packed, &e));
    for (int signer = 0; signer < SIGNERS; signer++) {
        struct reading r = {.p = p, .signer = signer};

        bend_fields(p->d, e.body, LARGE, told, &r);
        bend_print(p->name, &r.count, words[signer]);
        CHECK_(p->name, r.count.found > 0);
    }
    struct reading r = {.p = p};
    bend_wire(p->d, e.body, told_wire, &r);
    bend_wire(&cohortium__envelope__descriptor, p->packed, told_envelope, &r);
    bend_fields(&cohortium__envelope__descriptor, p->packed, LARGE, told_envelope, &r);
    bend_print(p->name, &r.count, "believed: its signatures in another order");
}

static void test_bent__manifest(void **state)
{
    Cohortium__Manifest next = c.body;
    struct paper p = {.name = "manifest",
                      .d = &cohortium__manifest__descriptor,
                      .kind = ENVELOPE_MANIFEST,
                      .few = c.governor,
                      .all = c.governor,
                      .n_all = 2,
                      .verify = verify_manifest};
    (void)state;

    next.version = 2;
    next.previous = PB_DATA(bytes_of(c.manifest->digest, DIGEST_BYTES));
    next.reason = (char *)"a test";
    p.packed = consortium_sign_manifest(all_cx, &next, c.governor, 2);
    play(&p);
}

static void test_bent__credential(void **state)
{
    struct paper p = {.name = "credential",
                      .d = &cohortium__credential__descriptor,
                      .kind = ENVELOPE_CREDENTIAL,
                      .packed = c.credential,
                      .few = &c.node[1],
                      .all = &c.node[0],
                      .n_all = 1,
                      .verify = verify_credential};
    (void)state;

    play(&p);
}

static void test_bent__permit(void **state)
{
    struct paper p = {.name = "permit",
                      .d = &cohortium__permit__descriptor,
                      .kind = ENVELOPE_PERMIT,
                      .packed = c.permit,
                      .few = &c.officer[1],
                      .all = c.officer,
                      .n_all = CONSORTIUM_SITES,
                      .verify = verify_permit};
    (void)state;

    play(&p);
}

static void test_bent__request(void **state)
{
    struct paper p = {.name = "request",
                      .d = &cohortium__request__descriptor,
                      .kind = ENVELOPE_REQUEST,
                      .few = &c.officer[0],
                      .all = &c.researcher,
                      .n_all = 1,
                      .verify = verify_request};
    (void)state;

    p.packed = consortium_seal(all_cx, ENVELOPE_REQUEST,
                               &consortium_request(all_cx, &c)->base, &c.researcher, 1);
    play(&p);
}

static void test_bent__review(void **state)
{
    Cohortium__Review r = COHORTIUM__REVIEW__INIT;
    struct paper p = {.name = "review",
                      .d = &cohortium__review__descriptor,
                      .kind = ENVELOPE_REVIEW,
                      .few = &c.officer[1],
                      .all = c.officer,
                      .n_all = 1,
                      .verify = verify_review};
    (void)state;

    r.consortium = PB_DATA(bytes_of(c.manifest->consortium, DIGEST_BYTES));
    r.member = PB_DATA(bytes_of(c.id[0], DIGEST_BYTES));
    r.question = PB_DATA(bytes_of(c.codebook, DIGEST_BYTES));
    r.release = PB_DATA(bytes_of(c.codebook, DIGEST_BYTES));
    r.decision = (char *)"round";
    r.multiple = 50;
    r.reason = (char *)"a test";
    r.issued_at = (uint64_t)c.now - 1000;
    p.packed = consortium_seal(all_cx, ENVELOPE_REVIEW, &r.base, c.officer, 1);
    play(&p);
}

/* By an officer of another member than it names: never believed. */
static void test_bent__revocation(void **state)
{
    Cohortium__Revocation r = COHORTIUM__REVOCATION__INIT;
    struct paper p = {.name = "revocation",
                      .d = &cohortium__revocation__descriptor,
                      .kind = ENVELOPE_REVOCATION,
                      .few = &c.officer[1],
                      .all = c.officer,
                      .n_all = 1,
                      .verify = verify_revocation};
    (void)state;

    r.consortium = PB_DATA(bytes_of(c.manifest->consortium, DIGEST_BYTES));
    r.what = (char *)"permit";
    r.target = PB_DATA(bytes_of(c.codebook, DIGEST_BYTES));
    r.id = PB_DATA(bytes_of(c.permit_id, ID_BYTES));
    r.member = PB_DATA(bytes_of(c.id[0], DIGEST_BYTES));
    r.title = (char *)"study one";
    r.reason = (char *)"a test";
    r.issued_at = (uint64_t)c.now - 1000;
    r.until = (uint64_t)c.now + 3600 * 1000;
    p.packed = consortium_seal(all_cx, ENVELOPE_REVOCATION, &r.base, c.officer, 1);
    play(&p);
}

/* ---- an old manifest, a forked one, one signed by too few ---- */

static void test_bent__manifests_of_the_past(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct manifest *two, *three;
    Cohortium__Manifest next = c.body;
    uint64_t version;
    (void)state;

    assert_non_null(cx);
    next.version = 2;
    next.previous = PB_DATA(bytes_of(c.manifest->digest, DIGEST_BYTES));
    struct bytes second = consortium_sign_manifest(cx, &next, c.governor, 2);
    CHECK_OK_("the next", cx, manifest_extend(cx, c.manifest, second, &two));
    CHECK_EQ_("again", manifest_extend(cx, two, second, &three), FAULT_DENIED);
    CHECK_EQ_("the genesis once more", manifest_extend(cx, two, c.genesis, &three),
              FAULT_DENIED);
    next.reason = (char *)"another of the same number";
    struct bytes fork = consortium_sign_manifest(cx, &next, c.governor, 2);
    CHECK_EQ_("a fork", manifest_extend(cx, two, fork, &three), FAULT_DENIED);
    CHECK_OK_("is proof", cx, manifest_fork(cx, two, fork, &version));
    CHECK_EQ_("of what", version, 2);
    struct bytes few = consortium_sign_manifest(cx, &next, c.governor, 1);
    CHECK_EQ_("signed by one", manifest_extend(cx, c.manifest, few, &three), FAULT_DENIED);
    CHECK_EQ_("and proves nothing", manifest_fork(cx, two, few, &version), FAULT_DENIED);
    struct bytes same = consortium_seal(cx, ENVELOPE_MANIFEST, &next.base, c.governor, 1);
    CHECK_OK_("by one, twice", cx,
              envelope_cosign(cx, ENVELOPE_MANIFEST, same, c.governor[0], &same));
    CHECK_EQ_("is by one", manifest_extend(cx, c.manifest, same, &three), FAULT_DENIED);
}

static int make(void **state)
{
    (void)state;
    all_cx = cx_new(64 << 20, CX_NO_DEADLINE);
    assert_non_null(all_cx);
    consortium_new(all_cx, &c);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    consortium_free(&c);
    cx_free(&all_cx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bent__manifest),
        cmocka_unit_test(test_bent__credential),
        cmocka_unit_test(test_bent__permit),
        cmocka_unit_test(test_bent__request),
        cmocka_unit_test(test_bent__review),
        cmocka_unit_test(test_bent__revocation),
        cmocka_unit_test(test_bent__manifests_of_the_past),
    };

    return cmocka_run_group_tests(tests, make, unmake);
}
