/* Wycheproof's edge cases of HKDF-SHA-256, as masks use it: argument hkdf_sha256. */
#include "protocol/mask.h"
#include "tests/protocol/vectors.h"

/* mask_hkdf gives the first 32 bytes. */
static bool hkdf(struct cx *cx, const json_t *group, const json_t *t)
{
    struct bytes want = vectors_hex(cx, t, "okm");
    uint8_t okm[32];

    (void)group;
    mask_hkdf(vectors_hex(cx, t, "salt"), vectors_hex(cx, t, "ikm"),
              vectors_hex(cx, t, "info"), okm);
    size_t n = want.n < sizeof okm ? want.n : sizeof okm;
    return want.n > 0 && memcmp(okm, want.p, n) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "hkdf_sha256") != 0)
        return 2;
    return vectors_run(argv[1], hkdf, 86);
}
