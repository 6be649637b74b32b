/* What envelope.h promises: exact bytes, one type, distinct signers, a bounded window. */
#include "protocol/envelope.h"

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/consortium.h"

static struct cx *cx;
static struct consortium c;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 28, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    consortium_new(cx, &c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    consortium_free(&c);
    cx_free(&cx);
    return 0;
}

/* The bytes of DSSE's protocol.md, for a type and body of ours. */
static void test_envelope__signs_dsse_bytes(void **state)
{
    static const char want[] =
        "DSSEv1 44 application/vnd.cohortium.permit.v1+protobuf 5 hello";
    struct bytes packed;
    struct envelope e;

    (void)state;
    CHECK_OK_("seal", cx,
              envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("hello", 5), c.officer[0],
                                 &packed));
    CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_PERMIT, packed, &e));
    assert_true(bytes_equal(e.signed_bytes, bytes_of(want, strlen(want))));
    assert_true(bytes_equal(e.body, bytes_of("hello", 5)));
    assert_true(signature_is_valid(keys_signing_public(c.officer[0]),
                                   bytes_of(want, strlen(want)),
                                   e.signatures[0]->signature.data));
    assert_true(envelope_is_signed_by(&e, keys_signing_public(c.officer[0])));
    assert_false(envelope_is_signed_by(&e, keys_signing_public(c.officer[1])));
}

static void test_envelope__wrong_type_is_refused(void **state)
{
    struct bytes packed;
    struct envelope e;

    (void)state;
    CHECK_OK_("seal", cx,
              envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("hello", 5), c.officer[0],
                                 &packed));
    for (int kind = 0; kind < ENVELOPE_KINDS; kind++)
        if (kind != ENVELOPE_PERMIT)
            CHECK_EQ_(envelope_type((enum envelope_kind)kind),
                      envelope_open(cx, (enum envelope_kind)kind, packed, &e),
                      FAULT_FORMAT);
}

/* Every single flipped bit is refused, or leaves no valid signature. */
static void test_envelope__flipped_bits(void **state)
{
    struct bytes packed;

    (void)state;
    CHECK_OK_("seal", cx,
              envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("hello", 5), c.officer[0],
                                 &packed));
    uint8_t *copy = cx_memdup(cx, packed.p, packed.n);
    assert_non_null(copy);
    for (size_t bit = 0; bit < 8 * packed.n; bit++) {
        AUTO_CX struct cx *own = cx_new(1 << 20, CX_NO_DEADLINE);
        struct envelope e;

        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (envelope_open(own, ENVELOPE_PERMIT, bytes_of(copy, packed.n), &e) ==
                FAULT_NONE &&
            envelope_is_signed_by(&e, keys_signing_public(c.officer[0])))
            fail_msg("bit %zu flipped, and still signed", bit);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_envelope__counts_signers_once(void **state)
{
    const uint8_t *keys[] = {
        keys_signing_public(c.officer[0]), keys_signing_public(c.officer[1]),
        keys_signing_public(c.officer[0]), keys_signing_public(c.officer[2])};
    struct bytes a, b, both, again, other;
    struct envelope e;

    (void)state;
    CHECK_OK_("a", cx,
              envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("x", 1), c.officer[0], &a));
    CHECK_OK_("b", cx,
              envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("x", 1), c.officer[1], &b));
    CHECK_OK_("join", cx, envelope_join(cx, ENVELOPE_PERMIT, a, b, &both));
    CHECK_OK_("join again", cx, envelope_join(cx, ENVELOPE_PERMIT, both, a, &again));
    assert_true(bytes_equal(both, again));
    CHECK_OK_("cosign", cx, envelope_cosign(cx, ENVELOPE_PERMIT, a, c.officer[1], &again));
    assert_true(bytes_equal(both, again));
    CHECK_OK_("a key signs once", cx,
              envelope_cosign(cx, ENVELOPE_PERMIT, both, c.officer[1], &again));
    assert_true(bytes_equal(both, again));
    CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_PERMIT, both, &e));
    CHECK_EQ_("two signers, one listed twice", envelope_count_signers(&e, keys, 4), 2);
    CHECK_OK_(
        "other", cx,
        envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("y", 1), c.officer[1], &other));
    CHECK_EQ_("another body", envelope_join(cx, ENVELOPE_PERMIT, a, other, &again),
              FAULT_CONFLICT);
}

static void test_envelope__bodies_are_bounded(void **state)
{
    uint8_t *zeros = cx_alloc(cx, 70000);
    struct bytes packed;
    struct envelope e;

    (void)state;
    assert_non_null(zeros);
    CHECK_OK_("64 KiB", cx,
              envelope_seal_body(cx, ENVELOPE_REQUEST, bytes_of(zeros, 65536), c.researcher,
                                 &packed));
    CHECK_OK_("64 KiB", cx, envelope_open(cx, ENVELOPE_REQUEST, packed, &e));
    CHECK_EQ_("a byte more",
              envelope_seal_body(cx, ENVELOPE_REQUEST, bytes_of(zeros, 65537), c.researcher,
                                 &packed),
              FAULT_BOUND);
    Cohortium__Envelope raw = COHORTIUM__ENVELOPE__INIT;
    raw.type = (char *)envelope_type(ENVELOPE_REQUEST);
    raw.body = PB_DATA(bytes_of(zeros, 65537));
    CHECK_OK_("pack", cx, pb_pack(cx, &raw.base, &packed));
    CHECK_EQ_("a byte more, from a peer", envelope_open(cx, ENVELOPE_REQUEST, packed, &e),
              FAULT_BOUND);
    Cohortium__Signature bad = COHORTIUM__SIGNATURE__INIT, *list[] = {&bad};
    raw.body = PB_DATA(bytes_of(zeros, 5));
    raw.signatures = list;
    raw.n_signatures = 1;
    bad.key_id = PB_DATA(bytes_of(zeros, 16));
    bad.signature = PB_DATA(bytes_of(zeros, 63));
    CHECK_OK_("pack", cx, pb_pack(cx, &raw.base, &packed));
    CHECK_EQ_("a short signature", envelope_open(cx, ENVELOPE_REQUEST, packed, &e),
              FAULT_FORMAT);
    bad.signature.len = 64;
    bad.key_id.len = 17;
    CHECK_OK_("pack", cx, pb_pack(cx, &raw.base, &packed));
    CHECK_EQ_("a long key id", envelope_open(cx, ENVELOPE_REQUEST, packed, &e),
              FAULT_FORMAT);
    bad.key_id.len = 16;
    raw.signatures = cx_array(cx, 1025, sizeof *raw.signatures);
    assert_non_null(raw.signatures);
    for (raw.n_signatures = 0; raw.n_signatures < 1025; raw.n_signatures++)
        raw.signatures[raw.n_signatures] = &bad;
    CHECK_OK_("pack", cx, pb_pack(cx, &raw.base, &packed));
    CHECK_EQ_("1025 signatures", envelope_open(cx, ENVELOPE_REQUEST, packed, &e),
              FAULT_BOUND);
}

/* A bad signature costs as much to try as a good one: what one signer says carries one. */
static void test_envelope__signatures_are_bounded(void **state)
{
    static const struct {
        enum envelope_kind kind;
        size_t most;
    } rows[] = {
        {ENVELOPE_MANIFEST, 1024}, {ENVELOPE_CREDENTIAL, 1}, {ENVELOPE_REVOCATION, 1},   {ENVELOPE_REVIEW, 1},
        {ENVELOPE_PERMIT, 1024},   {ENVELOPE_POLICY, 1024},  {ENVELOPE_CODEBOOK, 1024},
        {ENVELOPE_REQUEST, 1},     {ENVELOPE_PREFLIGHT, 1},  {ENVELOPE_ACCEPT, 1},
        {ENVELOPE_PROPOSAL, 1},    {ENVELOPE_VECTOR, 1},     {ENVELOPE_RELEASE, 1024},
    };
    Cohortium__Signature one = COHORTIUM__SIGNATURE__INIT;
    uint8_t zeros[64] = {0};
    struct bytes packed;
    struct envelope e;

    (void)state;
    assert_int_equal(COUNT(rows), ENVELOPE_KINDS);
    one.key_id = PB_DATA(bytes_of(zeros, 16));
    one.signature = PB_DATA(bytes_of(zeros, 64));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *type = envelope_type(rows[i].kind);
        Cohortium__Envelope raw = COHORTIUM__ENVELOPE__INIT;

        raw.type = (char *)type;
        raw.signatures = cx_array(cx, rows[i].most + 1, sizeof *raw.signatures);
        assert_non_null(raw.signatures);
        for (size_t k = 0; k <= rows[i].most; k++)
            raw.signatures[k] = &one;
        raw.n_signatures = rows[i].most;
        CHECK_OK_(type, cx, pb_pack(cx, &raw.base, &packed));
        CHECK_OK_(type, cx, envelope_open(cx, rows[i].kind, packed, &e));
        raw.n_signatures++;
        CHECK_OK_(type, cx, pb_pack(cx, &raw.base, &packed));
        CHECK_EQ_(type, envelope_open(cx, rows[i].kind, packed, &e), FAULT_BOUND);
    }
    CHECK_OK_(
        "a request", cx,
        envelope_seal_body(cx, ENVELOPE_REQUEST, bytes_of("x", 1), c.researcher, &packed));
    CHECK_EQ_("has no second signer",
              envelope_cosign(cx, ENVELOPE_REQUEST, packed, c.node[0], &packed),
              FAULT_BOUND);
}

/* key_id is a hint: it makes nobody a signer, and the wrong one hides a good signature. */
static void test_envelope__a_hint_proves_nothing(void **state)
{
    uint8_t id[32];
    struct bytes packed;
    struct envelope e;

    (void)state;
    CHECK_OK_(
        "seal", cx,
        envelope_seal_body(cx, ENVELOPE_PERMIT, bytes_of("x", 1), c.officer[0], &packed));
    CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_PERMIT, packed, &e));
    assert_true(envelope_is_signed_by(&e, keys_signing_public(c.officer[0])));
    digest_of(bytes_of(keys_signing_public(c.officer[1]), 32), id);
    memcpy(e.signatures[0]->key_id.data, id, 16);
    assert_false(envelope_is_signed_by(&e, keys_signing_public(c.officer[1])));
    assert_false(envelope_is_signed_by(&e, keys_signing_public(c.officer[0])));
}

static void test_envelope__stamps(void **state)
{
    static const struct {
        const char *what;
        int64_t later; /* the receiver's clock against issued_at */
        int change;
        enum fault want;
    } rows[] = {
        {"at once", 0, 0, FAULT_NONE},
        {"a clock 120 s behind", -120000, 0, FAULT_NONE},
        {"a clock 121 s behind", -121000, 0, FAULT_EXPIRED},
        {"just expired, within the skew", 60000 + 120000, 0, FAULT_NONE},
        {"replayed after its window", 60000 + 121000, 0, FAULT_EXPIRED},
        {"another audience", 0, 1, FAULT_DENIED},
        {"another consortium", 0, 2, FAULT_DENIED},
        {"a manifest that we do not hold", 0, 3, FAULT_DENIED},
        {"manifest version 0", 0, 4, FAULT_DENIED},
        {"a window of more than a day", 0, 5, FAULT_FORMAT},
        {"an empty window", 0, 6, FAULT_FORMAT},
        {"a short request id", 0, 7, FAULT_FORMAT},
        {"an unsorted audience", 0, 8, FAULT_FORMAT},
        {"a node twice in the audience", 0, 9, FAULT_FORMAT},
        {"a short issuer", 0, 10, FAULT_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Stamp s = COHORTIUM__STAMP__INIT;
        ProtobufCBinaryData audience[2] = {PB_DATA(bytes_of(c.id[0], 32)),
                                           PB_DATA(bytes_of(c.id[1], 32))};
        uint8_t other[32] = {1};

        CHECK_OK_("fill", cx, stamp_fill(cx, &s, c.manifest, c.id[2], NULL, 60000));
        s.audience = audience;
        s.n_audience = 2;
        switch (rows[i].change) {
        case 1:
            s.n_audience = 1;
            break;
        case 2:
            s.consortium = PB_DATA(bytes_of(other, 32));
            break;
        case 3:
            s.manifest_version = 2;
            break;
        case 4:
            s.manifest_version = 0;
            break;
        case 5:
            s.expires_at = s.issued_at + STAMP_LIFE_MAX_MS + 1;
            break;
        case 6:
            s.expires_at = s.issued_at;
            break;
        case 7:
            s.request_id.len = 15;
            break;
        case 8:
            audience[0] = PB_DATA(bytes_of(c.id[1], 32));
            audience[1] = PB_DATA(bytes_of(c.id[0], 32));
            break;
        case 9:
            audience[0] = audience[1];
            break;
        case 10:
            s.issuer.len = 31;
            break;
        default:
            break;
        }
        CHECK_EQ_(
            rows[i].what,
            stamp_check(cx, &s, c.manifest, c.id[1], (int64_t)s.issued_at + rows[i].later),
            rows[i].want);
    }
    CHECK_EQ_("no stamp", stamp_check(cx, NULL, c.manifest, NULL, c.now), FAULT_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope__signs_dsse_bytes),
        cmocka_unit_test(test_envelope__wrong_type_is_refused),
        cmocka_unit_test(test_envelope__flipped_bits),
        cmocka_unit_test(test_envelope__counts_signers_once),
        cmocka_unit_test(test_envelope__bodies_are_bounded),
        cmocka_unit_test(test_envelope__signatures_are_bounded),
        cmocka_unit_test(test_envelope__a_hint_proves_nothing),
        cmocka_unit_test(test_envelope__stamps),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
