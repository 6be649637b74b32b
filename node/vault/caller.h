/*
 * caller.h - who is behind a call that net hands over, and whose session is whose.
 *
 * Net says at the other end of which link a call came; a session answers to the node that
 * opened it alone: the home of the researcher whose signed request it carries. That keeps
 * one member from ending or stepping another's question. It rests on net's word, so it
 * guards the service and nothing else: what is believed is what is signed.
 */
#pragma once

#include "node/ipc.h"
#include "protocol/manifest.h"

struct vault;

struct caller {
    enum ipc_role role;
    /* IPC_SELF: this node; IPC_MEMBER: the other end; as of the newest manifest. NULL of a
     * researcher. */
    const Cohortium__Member *member;
    uint8_t researcher[32]; /* SHA-256 of the signing key */
};

/* FAULT_DENIED: a member that the newest manifest does not list. */
CHECKED enum fault caller_open(struct cx *cx, struct vault *v,
                               const struct ipc_caller *from, struct caller *ret);
/* FAULT_DENIED, with words that say nothing of the session, unless it is this node's. */
CHECKED enum fault caller_owns(struct cx *cx, const struct caller *who,
                               const uint8_t home[32]);
/* FAULT_DENIED unless it is this researcher. */
CHECKED enum fault caller_is_researcher(struct cx *cx, const struct caller *who,
                                        struct bytes subject);
/* For the site's own log. */
const char *caller_name(struct cx *cx, const struct caller *who);
