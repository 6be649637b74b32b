/*
 * net.h - the process that holds links and the link key, and coordinates; it holds no data.
 *
 *   net.c         start, who may link, what peers and researchers may call, vault's socket
 *   asks.c        the questions that run: room, who waits for which, cancel
 *   coordinate.c  one question, driven over all sites; believed by nobody
 *   later.c       questions that run or wait here: collected, cancelled, tried again
 *   sites.c       who is there and what they have
 *   gossip.c      which manifest is in force, told and asked over links
 *
 * Everything runs on the hub's one thread (protocol/link.h).
 */
#pragma once

#include "node/ipc.h"
#include "protocol/link.h"
#include "protocol/manifest.h"
#include "protocol/papers.h"

struct net {
    struct cx *cx; /* lives as long as the process */
    struct hub *hub;
    /* The newest, replaced whole; older ones stay until the end, for who reads them.
     * Compare members with member_same: they may be of two versions. */
    const struct manifest *manifest;
    const Cohortium__Member *self; /* as of the newest version that lists it */
    struct manifest_memory *manifests;
    uint8_t own_noise[32];
    bool leaving; /* who is no member any more is about to be closed */
    int vault_fd, control_fd;
    struct ipc_reader reader;
    struct ipc_writer writer; /* the loop never waits for the vault */
    uint64_t next_id;
    struct pending *pending; /* calls to the vault that are out */
    size_t n_pending;
    struct ask *asks;     /* questions being coordinated */
    size_t n_asks, looks; /* looks: SITES calls being answered */
    struct {              /* later.c */
        uint64_t timer;
        bool some, asked, linked; /* something waits; the vault is asked; a link came up */
        bool begun;               /* the vault knows that nothing is being tried */
        size_t running;
    } later;
    struct witness *witness;
    struct revocations *revocations;
    bool failed, closing;
    struct neighbour *neighbours; /* what is known of each member's link (neighbours.c) */
    size_t looking;               /* members that were asked how they are */
    uint64_t look_timer;
};

enum {
    NET_ASKS_MAX = 64,
    NET_ASKS_OF_ONE_MAX = 32, /* of one researcher */
    NET_LOOKS_MAX = 32,
    NET_CALLS_MAX = 384, /* to the vault; it queues a few more */
    NET_RESEARCHER_MAX =
        128 * 1024, /* bytes that a researcher may say at once: a request */
    NET_LINK_WAIT_MS = 5000,
    NET_AGAIN_MS = 12000, /* a lost link is waited for so long, amid a question */
    NET_TICK_MS = 100
};

struct net_setup {
    struct manifest *manifest;  /* verified before the sandbox closed */
    const char *listen;         /* endpoint, or NULL: outbound only */
    const uint8_t *link_secret; /* guarded */
    int vault_fd, control_fd;
    struct relay_limits relay; /* on what is carried for others */
};
CHECKED enum fault net_run(struct cx *cx, const struct net_setup *setup);

/* Who a call comes from: this node, or the authenticated other end of a link (of the inner
 * link, where a relay carries it). The vault judges by it whose session is whose. */
extern const struct ipc_caller net_self;
struct ipc_caller caller_of(const struct link *link);
/* done runs exactly once, on the hub's thread, perhaps before the call returns. deadline:
 * as of link_call. from: on whose behalf. */
void vault_call(struct net *net, const struct ipc_caller *from, enum ipc_kind kind,
                enum service service, struct bytes body, int64_t deadline, call_done *done,
                void *user);
/* A message without an answer. */
CHECKED enum fault vault_tell(struct cx *cx, struct net *net,
                              const struct ipc_message *message);
/* A call at any member: own vault, or over its link (FAULT_UNAVAILABLE without one). */
void site_call(struct net *net, const Cohortium__Member *site, enum service service,
               struct bytes body, int64_t deadline, call_done *done, void *user);
bool site_is_linked(struct net *net, const Cohortium__Member *site);
/* The member through which it is linked; NULL: directly, or not at all. */
const Cohortium__Member *site_relay(struct net *net, const Cohortium__Member *site);

/* A researcher's question; answers `served`. */
void coordinate(struct net *net, struct bytes request, struct served *served);
/* This node is stopping: whoever asked hears so. */
void asks_end(struct net *net);
/* later.c. CANCEL, LATER, COLLECT and PENDING of the researcher at the other end. */
void later_serve(struct net *net, struct link *link, enum service service,
                 struct bytes body, struct served *served);
/* At start; and when a member's link came up: what waited for it is tried. */
void later_start(struct net *net);
void later_linked(struct net *net);
/* A researcher's SITES call, with the credential that the link brought. */
void sites_serve(struct net *net, const struct link *link, struct bytes call,
                 struct served *served);
/* A codebook from our own vault, else from the first linked member that has it. */
void codebook_serve(struct net *net, struct bytes call, struct served *served);
/* witness.c. The log has grown: peers see it soon; or now. */
CHECKED enum fault witness_new(struct cx *cx, struct net *net);
void witness_grew(struct net *net);
void witness_now(struct net *net);
/* A member shows a checkpoint of its log to our vault. */
void witness_add(struct net *net, const struct link *link, struct bytes call,
                 struct served *served);
/* ProveCall at our vault, or at any member's: done gets a ProveReply, perhaps late. */
void witness_prove(struct net *net, const struct ipc_caller *from, struct bytes call,
                   call_done *done, void *user);
void witness_prove_at(struct net *net, const Cohortium__Member *site, struct bytes call,
                      call_done *done, void *user);
/* All linked members are asked; the vault gets their answers as PeerHolds. */
void witness_ask_peers(struct net *net, struct bytes number);
void witness_end(struct net *net);
/* witness_gather.c: a researcher's WITNESS call. */
void witness_serve(struct net *net, struct bytes call, struct served *served);

/* revocations.c: what the vault keeps, told to every member: news at once, all when a link comes
 * up, and again after a while where a member could not take it. */
void revocations_take(struct net *net, struct bytes call);
void revocations_link_up(struct net *net, struct link *link);
void revocations_free(struct net *net); /* after the hub */

/* Tells the vault how the links stand (for status). */
void sites_report(struct net *net);

/* neighbours.c: how the links with members stand and stood; members are asked now and then
 * how they are, so that the operator's doctor knows their clocks and versions. */
void neighbour_up(struct net *net, const struct link *link);
void neighbour_down(struct net *net, const struct link *link);
void neighbour_failed(void *user, const uint8_t id[32], const char *why); /* hub_setup */
/* Into a Site of sites_report; texts live in cx. */
CHECKED enum fault neighbour_tell(struct net *net, struct cx *cx, Cohortium__Site *site);
void neighbours_free(struct net *net); /* after the hub */

/* ---- gossip.c: the manifest ---- */
/* From now on the linked members are asked for it every few seconds. */
void gossip_start(struct net *net);
/* A member's link is up or down. */
void gossip_link_up(struct net *net, struct link *link);
void gossip_link_down(struct link *link);
void gossip_serve(struct net *net, struct link *link, struct bytes body,
                  struct served *served);
/* What our vault has adopted. A fault: net cannot go on with what it holds. */
CHECKED enum fault gossip_adopt(struct cx *cx, struct net *net, struct bytes body);
void gossip_free(struct net *net);
/* Dials the members of net->manifest that `old` (NULL: none) does not list as they are. */
CHECKED enum fault net_dial(struct cx *cx, struct net *net, const struct manifest *old);

/* A packed Trouble in cx, empty without memory; text may be NULL, site too. */
struct bytes net_trouble(struct cx *cx, enum fault fault, const char *text,
                         const Cohortium__Member *site);
/* served_fail with one. */
void net_fail(struct served *served, enum fault fault, const char *text,
              const Cohortium__Member *site);
