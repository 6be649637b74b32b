/* What merkle.h promises: RFC 6962's trees and proofs, and signed checkpoints. */
#include "protocol/merkle.h"

#include "tests/check.h"

enum { LEAVES = 70 };

/* The eight leaves of Certificate Transparency's own tests, and the roots of their
 * prefixes. */
static const char *const leaves[8] = {
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
};
static const char *const roots[9] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static struct cx *cx;

struct tree {
    uint8_t leaf[LEAVES][32];
    uint64_t size;
};

/* The plain recursion over complete subtrees. */
static enum fault tree_node(struct cx *use, void *user, unsigned level, uint64_t index,
                            uint8_t ret[32])
{
    const struct tree *t = user;
    uint8_t left[32], right[32];

    if ((index + 1) << level > t->size)
        return cx_fail(use, FAULT_INTERNAL, "a subtree beyond the tree was asked for");
    if (level == 0) {
        memcpy(ret, t->leaf[index], 32);
        return FAULT_NONE;
    }
    TRY(tree_node(use, user, level - 1, 2 * index, left));
    TRY(tree_node(use, user, level - 1, 2 * index + 1, right));
    merkle_node(left, right, ret);
    return FAULT_NONE;
}

/* RFC 6962 section 2.1, as it is written there. */
static void plain_root(const struct tree *t, uint64_t begin, uint64_t n, uint8_t ret[32])
{
    uint8_t left[32], right[32];
    uint64_t k = 1;

    if (n == 1) {
        memcpy(ret, t->leaf[begin], 32);
        return;
    }
    while (2 * k < n)
        k *= 2;
    plain_root(t, begin, k, left);
    plain_root(t, begin + k, n - k, right);
    merkle_node(left, right, ret);
}

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 24, CX_NO_DEADLINE);
    return cx == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static void test_merkle__known_roots(void **state)
{
    struct tree tree = {.size = 8};
    struct merkle_store store = {&tree, tree_node};
    uint8_t bytes[16], got[32], want[32];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        size_t n = strlen(leaves[i]) / 2;

        CHECK_OK_("hex", cx, bytes_from_hex(cx, leaves[i], bytes, n));
        merkle_leaf(bytes_of(bytes, n), tree.leaf[i]);
    }
    for (size_t n = 0; n <= 8; n++) {
        CHECK_OK_("hex", cx, bytes_from_hex(cx, roots[n], want, 32));
        CHECK_OK_("root", cx, merkle_root(cx, &store, n, got));
        assert_memory_equal(got, want, 32);
    }
}

static void make_tree(struct tree *tree)
{
    tree->size = LEAVES;
    for (uint8_t i = 0; i < LEAVES; i++)
        merkle_leaf(bytes_of(&i, 1), tree->leaf[i]);
}

/* Every leaf of every size; and never with another index, size, root, leaf or path. */
static void test_merkle__inclusion(void **state)
{
    struct tree tree;
    struct merkle_store store = {&tree, tree_node};

    (void)state;
    make_tree(&tree);
    for (uint64_t size = 1; size <= LEAVES; size++) {
        uint8_t root[32], plain[32], path[MERKLE_PATH_MAX][32];
        const uint8_t(*proof)[32] = (const uint8_t(*)[32])path;
        size_t n;

        CHECK_OK_("root", cx, merkle_root(cx, &store, size, root));
        plain_root(&tree, 0, size, plain);
        assert_memory_equal(root, plain, 32);
        for (uint64_t i = 0; i < size; i++) {
            const uint8_t *leaf = tree.leaf[i];

            CHECK_OK_("path", cx, merkle_inclusion(cx, &store, i, size, path, &n));
            assert_true(merkle_inclusion_holds(leaf, i, size, proof, n, root));
            assert_false(merkle_inclusion_holds(leaf, i ^ 1, size, proof, n, root));
            assert_false(merkle_inclusion_holds(leaf, size, size, proof, n, root));
            assert_false(merkle_inclusion_holds(tree.leaf[(i + 1) % LEAVES], i, size, proof,
                                                n, root));
            assert_false(merkle_inclusion_holds(leaf, i, size, proof, n + 1, root));
            if (n > 0) {
                assert_false(merkle_inclusion_holds(leaf, i, size, proof, n - 1, root));
                path[n - 1][5] ^= 1;
                assert_false(merkle_inclusion_holds(leaf, i, size, proof, n, root));
            }
            root[31] ^= 1;
            assert_false(merkle_inclusion_holds(leaf, i, size, proof, n, root));
            root[31] ^= 1;
        }
        CHECK_EQ_("beyond the end", merkle_inclusion(cx, &store, size, size, path, &n),
                  FAULT_INVALID);
    }
    assert_false(merkle_inclusion_holds(tree.leaf[0], 0, 0, NULL, 0, tree.leaf[0]));
}

static void test_merkle__consistency(void **state)
{
    struct tree tree;
    struct merkle_store store = {&tree, tree_node};
    uint8_t path[MERKLE_PATH_MAX][32], one[32], two[32];
    const uint8_t(*proof)[32] = (const uint8_t(*)[32])path;
    size_t n;

    (void)state;
    make_tree(&tree);
    for (uint64_t b = 1; b <= LEAVES; b++)
        for (uint64_t a = 1; a <= b; a++) {
            CHECK_OK_("root", cx, merkle_root(cx, &store, a, one));
            CHECK_OK_("root", cx, merkle_root(cx, &store, b, two));
            CHECK_OK_("path", cx, merkle_consistency(cx, &store, a, b, path, &n));
            assert_true(merkle_consistency_holds(a, b, one, two, proof, n));
            assert_false(merkle_consistency_holds(a, b, one, two, proof, n + 1));
            one[0] ^= 1;
            assert_false(merkle_consistency_holds(a, b, one, two, proof, n));
            one[0] ^= 1;
            if (n > 0) {
                assert_false(merkle_consistency_holds(a, b, one, two, proof, n - 1));
                two[0] ^= 1;
                assert_false(merkle_consistency_holds(a, b, one, two, proof, n));
                two[0] ^= 1;
                path[0][0] ^= 1;
                assert_false(merkle_consistency_holds(a, b, one, two, proof, n));
            }
        }
    CHECK_EQ_("from nothing", merkle_consistency(cx, &store, 0, 2, path, &n),
              FAULT_INVALID);
    CHECK_EQ_("backwards", merkle_consistency(cx, &store, 3, 2, path, &n), FAULT_INVALID);
}

static void refused(const char *row, const char *note, const char *origin,
                    const struct keys *keys, enum fault want)
{
    uint64_t size;
    uint8_t root[32];

    CHECK_EQ_(row,
              checkpoint_verify(cx, note, origin, keys_signing_public(keys), &size, root),
              want);
}

static void test_merkle__checkpoints(void **state)
{
    AUTO_KEYS struct keys *k = NULL, *other = NULL;
    uint8_t root[32], back[32], consortium[32] = {0x1a, 0x2b};
    const char *note, *origin = checkpoint_origin(cx, consortium, "site_a");
    uint64_t size;

    (void)state;
    assert_string_equal(origin, "cohortium/1a2b000000000000/site_a");
    CHECK_OK_("key", cx, keys_new(cx, "node_signing", "a", &k));
    CHECK_OK_("key", cx, keys_new(cx, "node_signing", "b", &other));
    memset(root, 0x55, sizeof root);
    CHECK_OK_("sign", cx, checkpoint_sign(cx, origin, 4711, root, k, &note));
    const char *want = cx_printf(
        cx, "%s\n4711\nVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVU=\n\n\xe2\x80\x94 %s ",
        origin, origin);
    assert_non_null(want);
    assert_int_equal(strncmp(note, want, strlen(want)), 0);
    CHECK_OK_("verify", cx,
              checkpoint_verify(cx, note, origin, keys_signing_public(k), &size, back));
    assert_int_equal(size, 4711);
    assert_memory_equal(root, back, 32);
    const char *witnessed = cx_printf(cx, "%s\xe2\x80\x94 witness AAAA\n", note);
    CHECK_OK_(
        "a witness's line beside it", cx,
        checkpoint_verify(cx, witnessed, origin, keys_signing_public(k), &size, back));

    refused("another key", note, origin, other, FAULT_DENIED);
    refused("another log", note, "cohortium/1a2b000000000000/site_b", k, FAULT_DENIED);
    size_t n = strlen(note);
    char *bad = cx_strdup(cx, note);
    assert_non_null(bad);
    bad[n - 1] = '\0';
    refused("cut short", bad, origin, k, FAULT_FORMAT);
    bad[strlen(origin) + 6] = '\0';
    refused("no signature", bad, origin, k, FAULT_FORMAT);
    (void)memcpy(bad, note, n + 1);
    bad[strlen(origin) + 1] = '5';
    refused("another size", bad, origin, k, FAULT_DENIED);
    bad[strlen(origin) + 1] = '0';
    refused("a size with a leading zero", bad, origin, k, FAULT_FORMAT);
    (void)memcpy(bad, note, n + 1);
    bad[strlen(origin) + 10] = 'A';
    refused("another root", bad, origin, k, FAULT_DENIED);
    (void)memcpy(bad, note, n + 1);
    bad[n - 20] = bad[n - 20] == 'A' ? 'B' : 'A';
    refused("a changed signature", bad, origin, k, FAULT_DENIED);
    /* Bytes after the key's name and hash: a C2SP verifier tells keys by that hash. */
    (void)memcpy(bad, note, n + 1);
    char *at = strstr(bad, "\xe2\x80\x94");
    assert_non_null(at);
    at[4 + strlen(origin) + 1] ^= 1;
    refused("another key hash", bad, origin, k, FAULT_DENIED);
    CHECK_EQ_("an origin with a space", checkpoint_sign(cx, "a b", 1, root, k, &note),
              FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merkle__known_roots),
        cmocka_unit_test(test_merkle__inclusion),
        cmocka_unit_test(test_merkle__consistency),
        cmocka_unit_test(test_merkle__checkpoints),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
