/* What manifest.h promises: TUF's root rules; each forged manifest is refused, by name. */
#include "protocol/manifest.h"

#include "tests/check.h"
#include "tests/protocol/consortium.h"

static struct cx *cx;
static struct consortium c;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 26, CX_NO_DEADLINE);
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

/* A copy of the genesis body that may be changed. */
static Cohortium__Manifest *copy_of_body(void)
{
    Cohortium__Manifest *b;
    struct bytes packed;

    CHECK_OK_("pack", cx, pb_pack(cx, &c.body.base, &packed));
    CHECK_OK_("copy", cx,
              pb_unpack(cx, &cohortium__manifest__descriptor, packed, 1 << 20, &b));
    return b;
}

static void refused(const char *row, enum fault fault, const char *words)
{
    if (fault != FAULT_DENIED || strstr(cx_message(cx), words) == NULL)
        fail_msg("%s: %s: \"%s\", expected denied and \"%s\"", row, fault_name(fault),
                 cx_message(cx), words);
}

static void test_manifest__genesis_is_pinned(void **state)
{
    struct manifest *m = NULL;
    uint8_t other[32];

    (void)state;
    CHECK_OK_("pinned", cx, manifest_load(cx, &c.genesis, 1, c.manifest->consortium, &m));
    assert_memory_equal(m->consortium, m->digest, 32);
    assert_true(manifest_is_lab(m));
    assert_string_equal(manifest_find(m, c.id[1])->name, "site_b");
    assert_string_equal(manifest_find_name(m, "site_c")->name, "site_c");
    assert_string_equal(manifest_find_noise(m, keys_link_public(c.node[0]))->name,
                        "site_a");
    memcpy(other, c.id[1], 32);
    other[31] ^= 1;
    assert_null(manifest_find(m, other));
    assert_null(manifest_find_name(m, "site_d"));
    assert_null(manifest_find_noise(m, other));
    refused("another genesis", manifest_load(cx, &c.genesis, 1, other, &m), "pinned");
    refused("an empty chain", manifest_load(cx, &c.genesis, 0, NULL, &m), "chain");
    assert_int_equal(strlen(manifest_fingerprint(cx, other)), 29);
}

static void test_manifest__threshold(void **state)
{
    struct manifest *m = NULL;
    struct bytes one = consortium_sign_manifest(cx, &c.body, c.governor, 1);
    struct keys *strangers[] = {c.governor[0], c.officer[0]};
    struct bytes stranger = consortium_sign_manifest(cx, &c.body, strangers, 2);
    struct envelope e;

    (void)state;
    refused("one signature short", manifest_load(cx, &one, 1, NULL, &m), "signed by 1");
    refused("a stranger's signature", manifest_load(cx, &stranger, 1, NULL, &m),
            "signed by 1");

    /* The same signature twice is one signature. */
    CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_MANIFEST, one, &e));
    Cohortium__Envelope raw = COHORTIUM__ENVELOPE__INIT;
    Cohortium__Signature *twice[] = {e.signatures[0], e.signatures[0]};
    raw.type = (char *)envelope_type(ENVELOPE_MANIFEST);
    raw.body = PB_DATA(e.body);
    raw.signatures = twice;
    raw.n_signatures = 2;
    CHECK_OK_("pack", cx, pb_pack(cx, &raw.base, &one));
    refused("a duplicated signature", manifest_load(cx, &one, 1, NULL, &m), "signed by 1");

    /* And so is a key that is listed twice. */
    Cohortium__Manifest *b = copy_of_body();
    b->governance->keys[1] = b->governance->keys[0];
    struct bytes listed = consortium_sign_manifest(cx, b, c.governor, 1);
    refused("a key listed twice", manifest_load(cx, &listed, 1, NULL, &m), "listed twice");
}

static void test_manifest__next_version(void **state)
{
    struct manifest *m = NULL;
    Cohortium__Manifest *b = copy_of_body();
    struct bytes chain[3] = {c.genesis};
    uint8_t previous[32];

    (void)state;
    memcpy(previous, c.manifest->digest, 32);
    b->version = 2;
    b->previous = PB_DATA(bytes_of(previous, 32));
    chain[1] = consortium_sign_manifest(cx, b, c.governor + 1, 2);
    CHECK_OK_("version 2", cx, manifest_load(cx, chain, 2, c.manifest->consortium, &m));
    assert_int_equal(m->body->version, 2);
    assert_memory_equal(m->consortium, c.manifest->consortium, 32);
    assert_memory_not_equal(m->digest, m->consortium, 32);

    refused("version 2 alone", manifest_load(cx, chain + 1, 1, NULL, &m), "begins with");
    chain[2] = chain[1];
    refused("version 2 twice", manifest_load(cx, chain, 3, NULL, &m), "expected version 3");
    b->version = 3;
    chain[1] = consortium_sign_manifest(cx, b, c.governor, 2);
    refused("a version gap", manifest_load(cx, chain, 2, NULL, &m), "expected version 2");
    b->version = 2;
    b->purpose = COHORTIUM__PURPOSE__PRODUCTION;
    chain[1] = consortium_sign_manifest(cx, b, c.governor, 2);
    refused("a changed purpose", manifest_load(cx, chain, 2, NULL, &m), "purpose");
    b->purpose = COHORTIUM__PURPOSE__LAB;
    previous[0] ^= 1;
    chain[1] = consortium_sign_manifest(cx, b, c.governor, 2);
    refused("another past", manifest_load(cx, chain, 2, NULL, &m), "not made from");
    previous[0] ^= 1;

    /* New governors cannot elect themselves, and old ones cannot appoint without consent.
     */
    for (int i = 0; i < 3; i++)
        b->governance->keys[i] = PB_DATA(bytes_of(keys_signing_public(c.officer[i]), 32));
    chain[1] = consortium_sign_manifest(cx, b, c.officer, 2);
    refused("governors of their own grace", manifest_load(cx, chain, 2, NULL, &m),
            "version before's");
    chain[1] = consortium_sign_manifest(cx, b, c.governor, 2);
    refused("governors without their consent", manifest_load(cx, chain, 2, NULL, &m),
            "its own");
    struct keys *all[] = {c.governor[0], c.governor[1], c.officer[0], c.officer[1]};
    chain[1] = consortium_sign_manifest(cx, b, all, 4);
    CHECK_OK_("a handover", cx, manifest_load(cx, chain, 2, NULL, &m));
}

/* Version 2 or 3 of the consortium, made from `previous`; `rows` tells one from another. */
static struct bytes next_version(uint64_t version, const uint8_t previous[32],
                                 uint32_t rows, struct keys *const *keys, size_t n)
{
    Cohortium__Manifest *b = copy_of_body();

    b->version = version;
    b->previous = PB_DATA(bytes_of(previous, 32));
    b->rows_log2 = rows;
    b->reason = (char *)"a test";
    return consortium_sign_manifest(cx, b, keys, n);
}

static void test_manifest__extend(void **state)
{
    struct manifest *two = NULL, *three = NULL, *m = NULL;
    uint8_t other[32] = {7};

    (void)state;
    struct bytes second = next_version(2, c.manifest->digest, 30, c.governor, 2);
    CHECK_OK_("version 2", cx, manifest_extend(cx, c.manifest, second, &two));
    assert_int_equal(two->n_chain, 2);
    assert_int_equal(two->body->version, 2);
    assert_string_equal(two->body->reason, "a test");
    assert_memory_equal(two->digests[0], c.manifest->digest, 32);
    assert_memory_equal(two->digests[1], two->digest, 32);
    assert_memory_equal(two->consortium, c.manifest->consortium, 32);
    assert_int_equal(c.manifest->n_chain, 1); /* what it was made from stays */
    assert_int_equal(c.manifest->body->version, 1);

    struct bytes third = next_version(3, two->digest, 30, c.governor + 1, 2);
    CHECK_OK_("version 3", cx, manifest_extend(cx, two, third, &three));
    CHECK_OK_("the whole chain again", cx,
              manifest_load(cx, three->chain, 3, c.manifest->consortium, &m));
    assert_memory_equal(m->digest, three->digest, 32);

    refused("a version skipped", manifest_extend(cx, c.manifest, third, &m),
            "expected version 2");
    refused("an older version", manifest_extend(cx, three, second, &m),
            "expected version 4");
    refused("the same again", manifest_extend(cx, two, second, &m), "expected version 3");
    refused("the genesis again", manifest_extend(cx, two, c.genesis, &m),
            "expected version 3");
    struct bytes bad = next_version(3, other, 30, c.governor, 2);
    refused("made from another version", manifest_extend(cx, two, bad, &m),
            "not made from");
    bad = next_version(3, two->digest, 30, c.governor, 1);
    refused("one signature short", manifest_extend(cx, two, bad, &m), "signed by 1");
    bad = next_version(3, two->digest, 30, c.officer, 2);
    refused("officers do not govern", manifest_extend(cx, two, bad, &m), "signed by 0");
    Cohortium__Manifest *b = copy_of_body();
    b->version = 2;
    b->previous = PB_DATA(bytes_of(c.manifest->digest, 32));
    b->members[1]->name = (char *)"other";
    bad = consortium_sign_manifest(cx, b, c.governor, 2);
    refused("a member renamed", manifest_extend(cx, c.manifest, bad, &m), "keeps its name");
    bad = bytes_of(cx_memdup(cx, third.p, third.n), third.n);
    ((uint8_t *)bad.p)[third.n / 2] ^= 1;
    assert_int_not_equal(manifest_extend(cx, two, bad, &m), FAULT_NONE);
}

/* Two valid versions of one number are a proof; anything less proves nothing. */
static void test_manifest__fork(void **state)
{
    struct manifest *two = NULL, *three = NULL;
    struct manifest_claim claim;
    uint64_t version = 0;

    (void)state;
    struct bytes second = next_version(2, c.manifest->digest, 30, c.governor, 2);
    struct bytes twin = next_version(2, c.manifest->digest, 31, c.governor + 1, 2);
    CHECK_OK_("version 2", cx, manifest_extend(cx, c.manifest, second, &two));
    CHECK_OK_(
        "version 3", cx,
        manifest_extend(cx, two, next_version(3, two->digest, 30, c.governor, 2), &three));
    CHECK_OK_("a fork of the newest", cx, manifest_fork(cx, two, twin, &version));
    assert_int_equal(version, 2);
    version = 0;
    CHECK_OK_("a fork further back", cx, manifest_fork(cx, three, twin, &version));
    assert_int_equal(version, 2);
    CHECK_OK_("its claim", cx, manifest_claims(cx, twin, &claim));
    assert_int_equal(claim.version, 2);
    assert_memory_equal(claim.previous, c.manifest->digest, 32);
    assert_memory_not_equal(claim.digest, two->digest, 32);

    CHECK_EQ_("the version held", manifest_fork(cx, three, second, &version),
              FAULT_MISSING);
    CHECK_EQ_("a version not held", manifest_fork(cx, c.manifest, twin, &version),
              FAULT_MISSING);
    CHECK_EQ_("the genesis is pinned", manifest_fork(cx, two, c.genesis, &version),
              FAULT_MISSING);
    twin = next_version(2, c.manifest->digest, 31, c.governor, 1);
    refused("one signature short", manifest_fork(cx, two, twin, &version), "signed by 1");
    twin = next_version(3, two->digests[0], 31, c.governor, 2);
    refused("made from elsewhere", manifest_fork(cx, three, twin, &version),
            "not made from");
    /* More signatures under the same body are the same version. */
    struct bytes more = next_version(2, c.manifest->digest, 30, c.governor, 3);
    CHECK_EQ_("the same, signed by more", manifest_fork(cx, two, more, &version),
              FAULT_MISSING);
}

static void test_manifest__forged_bodies(void **state)
{
    static const char *const rows[][2] = {
        {"a lab with an endpoint in the world", "not on loopback"},
        {"a lab with a name that looks local", "not on loopback"},
        {"a node id that is not its key's digest", "node id is not"},
        {"unsorted members", "not sorted"},
        {"a member twice", "not sorted"},
        {"two members of one name", "called site_a"},
        {"two members with one noise key", "same noise key"},
        {"a threshold of none", "threshold"},
        {"a threshold above the keys", "threshold"},
        {"no purpose", "purpose"},
        {"dates out of order", "dates"},
        {"a name with a slash", "no proper name"},
        {"a short key", "32 bytes"},
        {"data and no officer", "no officer"},
        {"two officers marked as one", "one_officer"},
        {"more rows than sums can hold", "rows_log2"},
        {"an endpoint without a port", "not an endpoint"},
        {"no endpoint", "no endpoint"},
        {"permits that nobody can sign", "officers of 4"},
        {"a previous version before the first", "previous"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Manifest *b = copy_of_body();
        Cohortium__Member **m = b->members, *first = m[0];
        struct manifest *loaded;
        Cohortium__Officer *officers[2] = {m[0]->officers[0], m[1]->officers[0]};

        switch (i) {
        case 0:
            m[1]->endpoints[0] = (char *)"tcp://192.0.2.7:7001";
            break;
        case 1:
            m[1]->endpoints[0] = (char *)"tcp://127.0.0.1.example.org:7001";
            break;
        case 2:
            m[1]->signing_key = PB_DATA(bytes_of(keys_signing_public(c.officer[0]), 32));
            break;
        case 3:
            m[0] = m[1];
            m[1] = first;
            break;
        case 4:
            m[1] = first;
            break;
        case 5:
            m[1]->name = first->name;
            break;
        case 6:
            m[1]->noise_key = first->noise_key;
            break;
        case 7:
            b->governance->threshold = 0;
            break;
        case 8:
            b->governance->threshold = 4;
            break;
        case 9:
            b->purpose = COHORTIUM__PURPOSE__PURPOSE_UNSET;
            break;
        case 10:
            b->fresh_until = b->valid_until + 1;
            break;
        case 11:
            m[2]->name = (char *)"site/c";
            break;
        case 12:
            m[2]->noise_key.len = 31;
            break;
        case 13:
            m[2]->n_officers = 0;
            m[2]->one_officer = false;
            break;
        case 14:
            m[0]->officers = officers;
            m[0]->n_officers = 2;
            break;
        case 15:
            b->rows_log2 = 41;
            break;
        case 16:
            m[0]->endpoints[0] = (char *)"tcp://127.0.0.1";
            break;
        case 17:
            m[0]->n_endpoints = 0;
            break;
        case 18:
            b->permit_signatures = 4;
            break;
        default:
            b->previous = PB_DATA(bytes_of(c.id[0], 32));
            break;
        }
        struct bytes packed = consortium_sign_manifest(cx, b, c.governor, 2);
        refused(rows[i][0], manifest_load(cx, &packed, 1, NULL, &loaded), rows[i][1]);
    }
}

static void test_manifest__production_is_stricter(void **state)
{
    Cohortium__Manifest *b = copy_of_body();

    (void)state;
    b->purpose = COHORTIUM__PURPOSE__PRODUCTION;
    b->members[0]->endpoints[0] = (char *)"tcp://node.example.org:7001";
    CHECK_OK_("production", cx, manifest_check_body(cx, b));
    b->governance->threshold = 1;
    CHECK_EQ_("a minority governs", manifest_check_body(cx, b), FAULT_FORMAT);
    b->governance->threshold = 2;
    ProtobufCBinaryData first = b->members[0]->officers[0]->key;
    ProtobufCBinaryData kept = b->members[1]->officers[0]->key;
    b->members[1]->officers[0]->key = first;
    CHECK_EQ_("one officer, two institutions", manifest_check_body(cx, b), FAULT_FORMAT);
    b->members[1]->officers[0]->key = kept;
    CHECK_OK_("keys of their own", cx, manifest_check_body(cx, b));
    b->members[0]->officers[0]->key = b->members[1]->signing_key;
    CHECK_EQ_("a node as officer", manifest_check_body(cx, b), FAULT_FORMAT);
    assert_non_null(strstr(cx_message(cx), "key of a node as its officer's"));
    b->members[0]->officers[0]->key = first;
    kept = b->governance->keys[0];
    b->governance->keys[0] = b->members[2]->signing_key;
    CHECK_EQ_("a node as governor", manifest_check_body(cx, b), FAULT_FORMAT);
    assert_non_null(strstr(cx_message(cx), "governance key 1 is the key of a node"));
    b->governance->keys[0] = kept;
    CHECK_OK_("governors of their own", cx, manifest_check_body(cx, b));
}

static void test_manifest__ends(void **state)
{
    int64_t until = (int64_t)c.body.valid_until, from = (int64_t)c.body.issued_at;

    (void)state;
    CHECK_OK_("its last moment", cx, manifest_is_current(cx, c.manifest, until));
    CHECK_EQ_("past it", manifest_is_current(cx, c.manifest, until + 1), FAULT_EXPIRED);
    CHECK_OK_("a clock two minutes slow", cx,
              manifest_is_current(cx, c.manifest, from - CLOCK_SKEW_MS));
    CHECK_EQ_("a clock further off",
              manifest_is_current(cx, c.manifest, from - CLOCK_SKEW_MS - 1), FAULT_EXPIRED);
}

static void test_manifest__loopback(void **state)
{
    static const struct {
        const char *endpoint;
        bool want;
    } rows[] = {
        {"tcp://127.0.0.1:7001", true},
        {"tcp://127.9.8.7:1", true},
        {"tcp://[::1]:65535", true},
        {"tcp://localhost:7001", true},
        {"tcp://128.0.0.1:7001", false},
        {"tcp://127.0.0.1:65536", false},
        {"tcp://127.0.0.1:0", false},
        {"tcp://127.0.0.1", false},
        {"tcp://127.0.0.256:1", false},
        {"tcp://127.1:1", false},
        {"tcp://[::2]:1", false},
        {"tcp://localhost.evil.example:1", false},
        {"tcp://127.0.0.1.evil.example:1", false},
        {"tcp://127.0.0.1:1/x", false},
        {"tcp://user@127.0.0.1:1", false},
        {"ws://127.0.0.1:1", true},
        {"ws://[::1]:7001", true},
        {"ws://128.0.0.1:1", false},
        {"ws://127.0.0.1:1/x", false},
        {"wss://127.0.0.1:1", false},
        {"http://127.0.0.1:1", false},
        {"tcp://127.0.0.1:1@evil:2", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].endpoint, endpoint_is_loopback(rows[i].endpoint), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest__genesis_is_pinned),
        cmocka_unit_test(test_manifest__threshold),
        cmocka_unit_test(test_manifest__next_version),
        cmocka_unit_test(test_manifest__extend),
        cmocka_unit_test(test_manifest__fork),
        cmocka_unit_test(test_manifest__forged_bodies),
        cmocka_unit_test(test_manifest__production_is_stricter),
        cmocka_unit_test(test_manifest__ends),
        cmocka_unit_test(test_manifest__loopback),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
