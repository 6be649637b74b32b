/* bend_sign.c - envelopes around what was bent: signed by who may, or by nobody. */
#include "tests/check.h"
#include "tests/protocol/bend.h"

enum { SIGNERS_MAX = 8 };

struct bytes bend_sign(struct cx *cx, enum envelope_kind kind, struct bytes body,
                       struct keys *const *keys, size_t n)
{
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;
    Cohortium__Signature s[SIGNERS_MAX], *list[SIGNERS_MAX];
    uint8_t id[SIGNERS_MAX][DIGEST_BYTES], signature[SIGNERS_MAX][SIGNATURE_BYTES];
    struct buffer b = buffer_new(cx, (size_t)64 << 20);
    struct bytes packed;

    assert_true(n <= SIGNERS_MAX);
    buffer_printf(&b, "DSSEv1 %zu %s %zu ", strlen(envelope_type(kind)),
                  envelope_type(kind), body.n);
    if (body.n > 0)
        buffer_put(&b, body.p, body.n);
    assert_int_equal(b.fault, FAULT_NONE);
    for (size_t i = 0; i < n; i++) {
        keys_sign(keys[i], bytes_of(b.p, b.n), signature[i]);
        digest_of(bytes_of(keys_signing_public(keys[i]), KEY_BYTES), id[i]);
        cohortium__signature__init(&s[i]);
        s[i].key_id = PB_DATA(bytes_of(id[i], ID_BYTES));
        s[i].signature = PB_DATA(bytes_of(signature[i], SIGNATURE_BYTES));
        list[i] = &s[i];
    }
    e.type = (char *)envelope_type(kind);
    e.body = PB_DATA(body);
    e.signatures = list;
    e.n_signatures = n;
    CHECK_OK_("sign", cx, pb_pack(cx, &e.base, &packed));
    return packed;
}

struct bytes bend_sign_by(struct cx *cx, enum envelope_kind kind, struct bytes body,
                          const struct keys *key)
{
    struct keys *one = (struct keys *)(uintptr_t)key; /* only read */

    return bend_sign(cx, kind, body, &one, 1);
}

struct bytes bend_rewrap(struct cx *cx, struct bytes packed, struct bytes body)
{
    Cohortium__Envelope *e;
    struct bytes out;

    CHECK_OK_("open", cx,
              pb_unpack(cx, &cohortium__envelope__descriptor, packed, packed.n, &e));
    e->body = PB_DATA(body);
    CHECK_OK_("pack", cx, pb_pack(cx, &e->base, &out));
    return out;
}
