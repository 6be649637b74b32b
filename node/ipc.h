/*
 * ipc.h - the one conversation between net and vault: length-framed messages over a
 * socketpair.
 *
 *   frame = length u32 | kind u16 | code u16 | id u64 | role u8 | from 32 | body
 *   (little endian; length: of body; role and from: who is behind it, 0 from the vault)
 *
 * What may pass, and on whose behalf, stands in one table (ipc.c); everything else is
 * denied and ends the connection.
 */
#pragma once

#include "protocol/base/bytes.h"

enum ipc_kind {
    IPC_HELLO = 1, /* vault -> net: packed SitesReply (own site first, manifests) */
    IPC_CALL = 2,  /* net -> vault: code = service; body as in link.h */
    IPC_REPLY = 3, /* vault -> net */
    IPC_FAIL = 4,  /* vault -> net: code = fault, body = packed Trouble */
    IPC_ADMIT =
        5, /* net -> vault: packed Envelope(Credential); answered with REPLY or FAIL */
    IPC_LINKS = 6,    /* net -> vault: packed SitesReply, for status; no answer */
    IPC_OFFER = 7,    /* net -> vault: packed ManifestOffer; answered with REPLY or FAIL */
    IPC_MANIFEST = 8, /* vault -> net: packed ManifestReply, what was adopted; no answer */
    IPC_REVOKED = 9,  /* vault -> net: 32 bytes: this researcher's links end; no answer */
    IPC_GREW =
        10, /* vault -> net: the log has new records; peers are to see it; no answer */
    /* vault -> net: packed RevocationsCall, for every member; no answer */
    IPC_REVOCATIONS = 12,
    IPC_ASK_PEERS = 11 /* vault -> net: 8 bytes, the number of a question: what do peers
                          hold of our log? The answers are calls of SERVICE_PEER_HOLDS */
};

enum ipc_side { IPC_VAULT, IPC_NET };

/* On whose behalf net says something: its own, or that of who is at the other end of a
 * link. For a link that a relay carries that is the far end, never the relay. */
enum ipc_role { IPC_NOBODY = 0, IPC_SELF = 1, IPC_MEMBER = 2, IPC_RESEARCHER = 4 };
struct ipc_caller {
    enum ipc_role role;
    uint8_t id[32]; /* node id, or SHA-256 of the researcher's signing key; of a member or
                       a researcher alone */
};

struct ipc_message {
    enum ipc_kind kind;
    unsigned code;
    uint64_t id;
    struct ipc_caller from;
    struct bytes body;
};

enum { IPC_HEADER = 49 };

/* Is this message allowed from `sender`, with this code and size, on behalf of this role?
 */
bool ipc_is_allowed(enum ipc_side sender, unsigned kind, unsigned code, size_t size,
                    unsigned role);

/* Writes one frame whole (blocking: for threads that may wait). FAULT_UNAVAILABLE when the
 * other side is gone; FAULT_INTERNAL for a message that the table denies. Callers
 * serialise. */
CHECKED enum fault ipc_send(struct cx *cx, int fd, enum ipc_side sender,
                            const struct ipc_message *message);
/* Several, short ones in one write. */
CHECKED enum fault ipc_send_all(struct cx *cx, int fd, enum ipc_side sender,
                                const struct ipc_message *messages, size_t n);

/* For who must not wait (net's loop: a vault that waits for it would wait for ever). Sends
 * what the socket takes and keeps the rest, IPC_WAITING_MAX bytes at most. */
enum { IPC_WAITING_MAX = 128 * 1024 * 1024 };
struct ipc_frame;
struct ipc_writer {
    enum ipc_side sender; /* who writes */
    struct ipc_frame *first, *last;
    size_t waiting;
};
/* A fault: the message will not arrive. FAULT_UNAVAILABLE: too much waits, or the other
 * side is gone; FAULT_INTERNAL: the table denies it; FAULT_MEMORY. */
CHECKED enum fault ipc_put(struct cx *cx, struct ipc_writer *w, int fd,
                           const struct ipc_message *message);
/* When the socket has room again; FAULT_UNAVAILABLE when the other side is gone. */
CHECKED enum fault ipc_flush(struct cx *cx, struct ipc_writer *w, int fd);
void ipc_writer_free(struct ipc_writer *w);

/* Reads what is there into a growing buffer and hands out whole frames. */
struct ipc_reader {
    enum ipc_side sender; /* whose messages are read */
    uint8_t *p;
    size_t n, size;
};
/* One read(2); FAULT_UNAVAILABLE at the end, FAULT_FORMAT for what the table denies. */
CHECKED enum fault ipc_read(struct cx *cx, struct ipc_reader *r, int fd);
/* Takes the next whole frame out (body copied to malloc memory, caller frees) or returns
 * false. */
bool ipc_next(struct ipc_reader *r, struct ipc_message *ret, uint8_t **ret_memory);
void ipc_reader_free(struct ipc_reader *r);
