/* transparency-dev/merkle's proofs, good and bad: argument inclusion or consistency. */
#include <sodium.h>

#include "protocol/merkle.h"
#include "tests/protocol/vectors.h"

static size_t base64(const char *text, uint8_t *out, size_t size)
{
    size_t n = 0;

    if (sodium_base642bin(out, size, text, strlen(text), NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return SIZE_MAX;
    return n;
}

/* A hash of a vector. Where its length plays no part a vector may say "don't care": any
 * text then stands for a hash of its own. */
static bool hash_of(const json_t *test, const char *name, uint8_t ret[32])
{
    const char *text = json_string_value(json_object_get(test, name));

    if (text == NULL || text[0] == '\0')
        return false;
    if (base64(text, ret, 32) != 32)
        digest_of(bytes_of(text, strlen(text)), ret);
    return true;
}

/* Sizes run up to 2^64 - 1, beyond jansson's integers; those above 2^53 are all that one.
 */
static uint64_t size_of(const json_t *test, const char *name)
{
    double v = json_number_value(json_object_get(test, name));

    return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

static bool read_path(const json_t *test, uint8_t path[][32], size_t *ret_n)
{
    const json_t *list = json_object_get(test, "proof");
    size_t n = json_array_size(list);

    if (n > MERKLE_PATH_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (base64(json_string_value(json_array_get(list, i)), path[i], 32) != 32)
            return false;
    *ret_n = n;
    return true;
}

static bool inclusion(const json_t *t)
{
    uint8_t root[32], leaf[32], path[MERKLE_PATH_MAX][32];
    size_t n;

    return hash_of(t, "root", root) && hash_of(t, "leafHash", leaf) &&
           read_path(t, path, &n) &&
           merkle_inclusion_holds(leaf, size_of(t, "leafIdx"), size_of(t, "treeSize"),
                                  (const uint8_t(*)[32])path, n, root);
}

static bool consistency(const json_t *t)
{
    uint8_t root1[32], root2[32], path[MERKLE_PATH_MAX][32];
    size_t n;

    return hash_of(t, "root1", root1) && hash_of(t, "root2", root2) &&
           read_path(t, path, &n) &&
           merkle_consistency_holds(size_of(t, "size1"), size_of(t, "size2"), root1, root2,
                                    (const uint8_t(*)[32])path, n);
}

int main(int argc, char **argv)
{
    bool by_inclusion = argc == 2 && strcmp(argv[1], "inclusion") == 0;
    size_t wrong = 0, i;
    const json_t *t;

    if (!by_inclusion && (argc != 2 || strcmp(argv[1], "consistency") != 0))
        return 2;
    json_t *root =
        vectors_open(by_inclusion ? "merkle/inclusion.json" : "merkle/consistency.json",
                     JSON_DECODE_INT_AS_REAL);
    if (root == NULL)
        return TEST_SKIPPED;
    json_array_foreach(root, i, t)
    {
        bool want = !json_is_true(json_object_get(t, "wantErr"));

        if ((by_inclusion ? inclusion(t) : consistency(t)) != want) {
            printf("%s: expected %s\n", vectors_text(t, "_name"),
                   want ? "valid" : "invalid");
            wrong++;
        }
    }
    printf("%zu vectors, %zu wrong\n", i, wrong);
    json_decref(root);
    return wrong > 0 || i < 90;
}
