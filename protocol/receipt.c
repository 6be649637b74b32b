/* receipt.c - digests of what is asked, and the file that proves an answer. */
#include "protocol/receipt_private.h"

#include <sodium.h>
#include <string.h>

#include "protocol/files.h"

/* ---- digests ---- */

enum fault receipt_question_body(struct cx *cx, const Cohortium__Question *question,
                                 struct bytes *ret)
{
    Cohortium__Question q = *question;
    Cohortium__Params params;
    Cohortium__Model model;

    /* What somebody typed names the same question as any other way to type it. */
    if (q.params != NULL && q.params->model != NULL) {
        model = *q.params->model;
        model.formula = (char *)protobuf_c_empty_string;
        params = *q.params;
        params.model = &model;
        q.params = &params;
    }
    return pb_pack(cx, &q.base, ret);
}

enum fault question_digest(struct cx *cx, const Cohortium__Question *question,
                           const struct bytes *versions, size_t n,
                           const uint8_t policy_digest[32], uint8_t ret[32])
{
    static const char label[] = "cohortium/question/1";
    crypto_hash_sha256_state state;
    struct bytes body;

    for (size_t i = 0; i < n; i++)
        if (versions[i].n != VERSION_ID_BYTES)
            return cx_fail(cx, FAULT_FORMAT, "version %zu has %zu bytes, expected %d",
                           i + 1, versions[i].n, VERSION_ID_BYTES);
    TRY(receipt_question_body(cx, question, &body));
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)label, sizeof label - 1);
    (void)crypto_hash_sha256_update(&state, body.p, body.n);
    for (size_t i = 0; i < n; i++)
        (void)crypto_hash_sha256_update(&state, versions[i].p, versions[i].n);
    (void)crypto_hash_sha256_update(&state, policy_digest, DIGEST_BYTES);
    (void)crypto_hash_sha256_final(&state, ret);
    return FAULT_NONE;
}

enum fault policy_digest(struct cx *cx, const Cohortium__Policy *policy, uint8_t ret[32])
{
    Cohortium__Policy p = *policy;
    struct bytes packed;

    p.text = (char *)protobuf_c_empty_string;
    TRY(pb_pack(cx, &p.base, &packed));
    digest_of(packed, ret);
    return FAULT_NONE;
}

void transcript_next(uint8_t transcript[32], struct bytes round)
{
    static const char label[] = "cohortium/transcript/1";
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)label, sizeof label);
    (void)crypto_hash_sha256_update(&state, transcript, DIGEST_BYTES);
    (void)crypto_hash_sha256_update(&state, round.p, round.n);
    (void)crypto_hash_sha256_final(&state, transcript);
}

/* ---- file ---- */

static const char first_line[] = "cohortium receipt 1\n";
enum { LINE = 76 };

enum fault receipt_write(struct cx *cx, struct bytes packed, const char *path)
{
    size_t head = strlen(first_line);

    if (packed.n > RECEIPT_MAX)
        return cx_fail(cx, FAULT_BOUND, "a receipt of %zu bytes: at most %d are allowed",
                       packed.n, RECEIPT_MAX);
    size_t size = sodium_base64_encoded_len(packed.n, sodium_base64_VARIANT_ORIGINAL);
    char *base64 = cx_alloc(cx, size);
    char *text = cx_alloc(cx, head + size + size / LINE + 2);
    if (base64 == NULL || text == NULL)
        return FAULT_MEMORY;
    (void)sodium_bin2base64(base64, size, packed.p, packed.n,
                            sodium_base64_VARIANT_ORIGINAL);
    memcpy(text, first_line, head);
    size_t n = head;
    for (size_t i = 0, left = size - 1; left > 0;) {
        size_t take = left < LINE ? left : LINE;

        memcpy(text + n, base64 + i, take);
        n += take;
        text[n++] = '\n';
        i += take;
        left -= take;
    }
    return file_write(cx, "receipt", path, bytes_of(text, n), 0600, FILE_REPLACE);
}

enum fault receipt_read(struct cx *cx, const char *path, struct bytes *ret_packed)
{
    size_t head = strlen(first_line), got = 0;
    struct bytes text;

    TRY(file_read(cx, "receipt", path, RECEIPT_MAX / 2 * 3, false, &text));
    if (text.n < head || memcmp(text.p, first_line, head) != 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s is not a receipt: expected the first line \"%.19s\"", path,
                       first_line);
    size_t size = (text.n - head) / 4 * 3 + 3;
    uint8_t *p = cx_alloc(cx, size);
    if (p == NULL)
        return FAULT_MEMORY;
    if (sodium_base642bin(p, size, (const char *)text.p + head, text.n - head, "\n\r ",
                          &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got > RECEIPT_MAX)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s: its lines after the first are not whole base64", path);
    *ret_packed = bytes_of(p, got);
    return FAULT_NONE;
}
