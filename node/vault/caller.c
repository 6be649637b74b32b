/* caller.c - who is behind a call that net hands over. */
#include "node/vault/caller.h"

#include <string.h>

#include "node/vault/vault.h"

enum fault caller_open(struct cx *cx, struct vault *v, const struct ipc_caller *from,
                       struct caller *ret)
{
    *ret = (struct caller){.role = from->role};
    memcpy(ret->researcher, from->id, sizeof ret->researcher);
    if (from->role == IPC_SELF)
        ret->member = v->self;
    /* By id: a link key may be changed amid a question, and the member is the same. */
    if (from->role == IPC_MEMBER)
        ret->member = manifest_find(v->manifest, from->id);
    if (from->role == IPC_MEMBER &&
        (ret->member == NULL || member_same(ret->member, v->self)))
        return cx_fail(cx, FAULT_DENIED, "the manifest does not list this caller");
    return FAULT_NONE;
}

enum fault caller_owns(struct cx *cx, const struct caller *who, const uint8_t home[32])
{
    if (who->member != NULL && memcmp(who->member->node_id.data, home, DIGEST_BYTES) == 0)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_DENIED,
                   "this is for the home node of the question alone; nothing was changed");
}

enum fault caller_is_researcher(struct cx *cx, const struct caller *who,
                                struct bytes subject)
{
    if (who->role == IPC_RESEARCHER &&
        bytes_equal(subject, bytes_of(who->researcher, sizeof who->researcher)))
        return FAULT_NONE;
    return cx_fail(cx, FAULT_DENIED,
                   "this is for the researcher whose it is alone; nothing was changed");
}

const char *caller_name(struct cx *cx, const struct caller *who)
{
    if (who->member != NULL)
        return who->member->name;
    if (who->role != IPC_RESEARCHER)
        return "a stranger";
    const char *hex = bytes_hex(cx, who->researcher, 8);
    const char *name = hex != NULL ? cx_printf(cx, "researcher %s", hex) : NULL;
    return name != NULL ? name : "a researcher";
}
