/* revocation.c - see revocation.h. */
#include "protocol/revocation.h"

#include <string.h>

#include "protocol/base/clock.h"

static bool is_one_line(const char *text, size_t most)
{
    size_t n = strlen(text);

    return n >= 1 && n <= most && text[strspn(text, " ")] != '\0' &&
           strpbrk(text, "\r\n\t") == NULL;
}

static enum fault check_shape(struct cx *cx, const Cohortium__Revocation *r)
{
    if (strcmp(r->what, "permit") != 0 && strcmp(r->what, "credential") != 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "a revocation of a `%.20s`; expected permit or credential", r->what);
    if (r->consortium.len != DIGEST_BYTES || r->target.len != DIGEST_BYTES ||
        r->id.len != ID_BYTES || r->member.len != DIGEST_BYTES ||
        (r->issuer.len != 0 && r->issuer.len != DIGEST_BYTES))
        return cx_fail(cx, FAULT_FORMAT,
                       "a revocation needs a consortium, a target, its id and a member");
    if (!is_one_line(r->reason, REVOCATION_REASON_MAX))
        return cx_fail(cx, FAULT_FORMAT,
                       "a revocation needs a reason of one line, at most %d bytes",
                       REVOCATION_REASON_MAX);
    if (!is_one_line(r->title, REVOCATION_TITLE_MAX))
        return cx_fail(cx, FAULT_FORMAT, "a revocation says in one line what it revokes");
    if (r->until > INT64_MAX / 2 || r->issued_at > r->until)
        return cx_fail(cx, FAULT_FORMAT, "a revocation of what had ended before it");
    return FAULT_NONE;
}

static enum fault check_dates(struct cx *cx, const Cohortium__Revocation *r, int64_t now)
{
    char then[32], here[32];

    (void)clock_format(now, here, sizeof here);
    if ((int64_t)r->until < now)
        return cx_fail(cx, FAULT_EXPIRED,
                       "it is old: the %s that it revokes ended by itself at %s, it is %s "
                       "here; nothing is left to revoke",
                       r->what, clock_format((int64_t)r->until, then, sizeof then), here);
    if ((int64_t)r->issued_at > now + CLOCK_SKEW_MS)
        return cx_fail(cx, FAULT_EXPIRED,
                       "it is dated %s, and it is %s here: compare the clocks",
                       clock_format((int64_t)r->issued_at, then, sizeof then), here);
    return FAULT_NONE;
}

/* Which of those that may has signed. */
static bool find_signer(struct revocation *r)
{
    const Cohortium__Member *m = r->member;

    for (size_t i = 0; i < m->n_officers; i++)
        if (envelope_is_signed_by(&r->envelope, m->officers[i]->key.data)) {
            r->by = m->officers[i]->name;
            memcpy(r->key, m->officers[i]->key.data, KEY_BYTES);
            return true;
        }
    if (r->of_permit || !bytes_equal(PB_BYTES(r->body->issuer), PB_BYTES(m->node_id)) ||
        !envelope_is_signed_by(&r->envelope, m->signing_key.data))
        return false;
    r->by = "its node";
    memcpy(r->key, m->signing_key.data, KEY_BYTES);
    return true;
}

static enum fault judge(struct cx *cx, const struct manifest *m, int64_t now,
                        struct revocation *r)
{
    TRY(check_shape(cx, r->body));
    r->of_permit = strcmp(r->body->what, "permit") == 0;
    if (memcmp(r->body->consortium.data, m->consortium, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED, "it is of another consortium than \"%s\"",
                       m->body->consortium_name);
    r->member = manifest_find(m, r->body->member.data);
    if (r->member == NULL)
        return cx_fail(cx, FAULT_DENIED, "it is of a node that is no member");
    if (!find_signer(r))
        return cx_fail(
            cx, FAULT_DENIED, "it does not carry a valid signature of an officer of %s%s",
            r->member->name, r->of_permit ? "" : ", nor of the node that issued it");
    return check_dates(cx, r->body, now);
}

enum fault revocation_verify(struct cx *cx, const struct manifest *m, struct bytes packed,
                             int64_t now, struct revocation *ret)
{
    struct revocation r = {0};
    Cohortium__Revocation *body;

    TRY(envelope_open(cx, ENVELOPE_REVOCATION, packed, &r.envelope));
    TRY(pb_unpack(cx, &cohortium__revocation__descriptor, r.envelope.body,
                  envelope_bound(ENVELOPE_REVOCATION), &body));
    r.body = body;
    if (judge(cx, m, now, &r) != FAULT_NONE)
        return cx_prefix(cx, "revocation of \"%.64s\": ", body->title);
    *ret = r;
    return FAULT_NONE;
}

bool revocation_binds(const Cohortium__Revocation *r, const Cohortium__Member *self,
                      struct bytes issuer)
{
    return bytes_equal(PB_BYTES(r->member), PB_BYTES(self->node_id)) ||
           (issuer.n > 0 && bytes_equal(PB_BYTES(r->member), issuer));
}
