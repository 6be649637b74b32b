/* ipc.c - frames between net and vault, and the table of what may pass. */
#include "node/ipc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/link.h"

enum {
    ANY = 0xffff,
    SMALL = 64 * 1024,
    NOTE = 16 * 1024,         /* a checkpoint and a proof */
    MEDIUM = 128 * 1024,      /* an envelope of one request */
    STATUS = 2 * 1024 * 1024, /* a line for each of a thousand members */
    LARGE = LINK_MESSAGE_MAX,
    CHUNK = 64 * 1024,
    TOGETHER = 16 * 1024
};

static const struct {
    enum ipc_side sender;
    unsigned kind, code;
    size_t bound;
    unsigned roles; /* any of these */
} allowed[] = {
    {IPC_VAULT, IPC_HELLO, 0, LARGE, IPC_NOBODY},
    {IPC_VAULT, IPC_REPLY, 0, LARGE, IPC_NOBODY},
    {IPC_VAULT, IPC_FAIL, ANY, SMALL, IPC_NOBODY},
    {IPC_VAULT, IPC_MANIFEST, 0, LARGE, IPC_NOBODY},
    {IPC_VAULT, IPC_REVOKED, 0, SMALL, IPC_NOBODY},
    {IPC_VAULT, IPC_GREW, 0, 0, IPC_NOBODY},
    {IPC_VAULT, IPC_REVOCATIONS, 0, MEDIUM, IPC_NOBODY},
    {IPC_VAULT, IPC_ASK_PEERS, 0, 8, IPC_NOBODY},
    {IPC_NET, IPC_CALL, SERVICE_CATALOG, SMALL, IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_CODEBOOK, SMALL, IPC_SELF | IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_SITES, SMALL, IPC_RESEARCHER},
    {IPC_NET, IPC_CALL, SERVICE_PREFLIGHT, MEDIUM, IPC_SELF | IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_BEGIN, LARGE, IPC_SELF | IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_STEP, LARGE, IPC_SELF | IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_ABORT, SMALL, IPC_SELF | IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_DRAWER, LARGE, IPC_SELF | IPC_RESEARCHER},
    {IPC_NET, IPC_CALL, SERVICE_ADD_CHECKPOINT, NOTE, IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_PROVE, SMALL, IPC_SELF | IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_HELD, SMALL, IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_REVOCATIONS, MEDIUM, IPC_MEMBER},
    {IPC_NET, IPC_CALL, SERVICE_ROUND, SMALL, IPC_SELF},
    {IPC_NET, IPC_CALL, SERVICE_ROUND_DONE, STATUS, IPC_SELF},
    {IPC_NET, IPC_CALL, SERVICE_PEER_HOLDS, STATUS, IPC_SELF},
    {IPC_NET, IPC_ADMIT, 0, SMALL, IPC_RESEARCHER},
    {IPC_NET, IPC_LINKS, 0, STATUS, IPC_SELF},
    {IPC_NET, IPC_OFFER, 0, LARGE, IPC_MEMBER},
};

bool ipc_is_allowed(enum ipc_side sender, unsigned kind, unsigned code, size_t size,
                    unsigned role)
{
    for (size_t i = 0; i < COUNT(allowed); i++)
        if (allowed[i].sender == sender && allowed[i].kind == kind &&
            (allowed[i].code == ANY || allowed[i].code == code))
            return size <= allowed[i].bound &&
                   (allowed[i].roles == IPC_NOBODY
                        ? role == IPC_NOBODY
                        : (role == IPC_SELF || role == IPC_MEMBER ||
                           role == IPC_RESEARCHER) &&
                              (allowed[i].roles & role) != 0);
    return false;
}

static void put_le(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static enum fault write_all(struct cx *cx, int fd, const uint8_t *p, size_t n, int more)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL | more);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};

            if (poll(&ready, 1, -1) < 0 && errno != EINTR)
                return cx_fail(cx, FAULT_UNAVAILABLE, "the node's other process is gone");
            continue;
        }
        if (k <= 0)
            return cx_fail(cx, FAULT_UNAVAILABLE, "the node's other process is gone");
        p += k;
        n -= (size_t)k;
    }
    return FAULT_NONE;
}

static enum fault put_header(struct cx *cx, enum ipc_side sender,
                             const struct ipc_message *message, uint8_t header[IPC_HEADER])
{
    if (!ipc_is_allowed(sender, message->kind, message->code, message->body.n,
                        message->from.role))
        return cx_fail(cx, FAULT_INTERNAL,
                       "a message between net and vault that is not allowed");
    put_le(header, message->body.n, 4);
    put_le(header + 4, message->kind, 2);
    put_le(header + 6, message->code, 2);
    put_le(header + 8, message->id, 8);
    header[16] = (uint8_t)message->from.role;
    memcpy(header + 17, message->from.id, sizeof message->from.id);
    return FAULT_NONE;
}

/* Short messages are copied together: the reader wakes once, for all of them. (One sendmsg
 * would do as well; the vault's sandbox denies it.) */
enum fault ipc_send_all(struct cx *cx, int fd, enum ipc_side sender,
                        const struct ipc_message *messages, size_t n)
{
    uint8_t together[TOGETHER], header[IPC_HEADER];
    size_t used = 0;

    for (size_t i = 0; i < n; i++) /* all or none */
        TRY(put_header(cx, sender, &messages[i], header));
    for (size_t i = 0; i < n; i++) {
        struct bytes body = messages[i].body;

        TRY(put_header(cx, sender, &messages[i], header));
        if (IPC_HEADER + body.n > sizeof together - used) {
            TRY(write_all(cx, fd, together, used, MSG_MORE));
            used = 0;
        }
        memcpy(together + used, header, IPC_HEADER);
        used += IPC_HEADER;
        if (body.n <= sizeof together - used) {
            if (body.n > 0)
                memcpy(together + used, body.p, body.n);
            used += body.n;
            continue;
        }
        TRY(write_all(cx, fd, together, used, MSG_MORE));
        TRY(write_all(cx, fd, body.p, body.n, i + 1 < n ? MSG_MORE : 0));
        used = 0;
    }
    return write_all(cx, fd, together, used, 0);
}

enum fault ipc_send(struct cx *cx, int fd, enum ipc_side sender,
                    const struct ipc_message *message)
{
    return ipc_send_all(cx, fd, sender, message, 1);
}

/* ---- writing without waiting ---- */

struct ipc_frame {
    struct ipc_frame *next;
    size_t n, at;
    uint8_t bytes[];
};

static void drop_first(struct ipc_writer *w)
{
    struct ipc_frame *f = w->first;

    w->first = f->next;
    if (w->first == NULL)
        w->last = NULL;
    w->waiting -= f->n;
    free(f);
}

enum fault ipc_flush(struct cx *cx, struct ipc_writer *w, int fd)
{
    while (w->first != NULL) {
        struct ipc_frame *f = w->first;
        ssize_t k = send(fd, f->bytes + f->at, f->n - f->at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return FAULT_NONE;
        if (k <= 0)
            return cx_fail(cx, FAULT_UNAVAILABLE, "the node's other process is gone");
        f->at += (size_t)k;
        if (f->at == f->n)
            drop_first(w);
    }
    return FAULT_NONE;
}

enum fault ipc_put(struct cx *cx, struct ipc_writer *w, int fd,
                   const struct ipc_message *message)
{
    uint8_t header[IPC_HEADER];
    struct ipc_frame *f;

    TRY(put_header(cx, w->sender, message, header));
    if (IPC_HEADER + message->body.n > IPC_WAITING_MAX - w->waiting)
        return cx_fail(cx, FAULT_UNAVAILABLE,
                       "too much waits for the node's other process");
    f = malloc(sizeof *f + IPC_HEADER + message->body.n);
    if (f == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a message");
    *f = (struct ipc_frame){.n = IPC_HEADER + message->body.n};
    memcpy(f->bytes, header, IPC_HEADER);
    if (message->body.n > 0)
        memcpy(f->bytes + IPC_HEADER, message->body.p, message->body.n);
    if (w->last != NULL)
        w->last->next = f;
    else
        w->first = f;
    w->last = f;
    w->waiting += f->n;
    return ipc_flush(cx, w, fd);
}

void ipc_writer_free(struct ipc_writer *w)
{
    while (w->first != NULL)
        drop_first(w);
}

/* ---- reading ---- */

/* The header at the front is allowed, or there is not yet a whole header. */
static bool front_is_allowed(const struct ipc_reader *r)
{
    return r->n < IPC_HEADER ||
           ipc_is_allowed(r->sender, (unsigned)get_le(r->p + 4, 2),
                          (unsigned)get_le(r->p + 6, 2), get_le(r->p, 4), r->p[16]);
}

enum fault ipc_read(struct cx *cx, struct ipc_reader *r, int fd)
{
    if (r->size - r->n < CHUNK) {
        size_t size = r->n + CHUNK > 2 * r->size ? r->n + CHUNK : 2 * r->size;
        uint8_t *p = realloc(r->p, size);

        if (p == NULL)
            return cx_fail(cx, FAULT_MEMORY, "out of memory for a message");
        r->p = p;
        r->size = size;
    }
    ssize_t k = recv(fd, r->p + r->n, r->size - r->n, 0);
    if (k < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return FAULT_NONE;
    if (k <= 0)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the node's other process is gone");
    r->n += (size_t)k;
    if (!front_is_allowed(r))
        return cx_fail(cx, FAULT_FORMAT,
                       "a message between net and vault that is not allowed");
    return FAULT_NONE;
}

bool ipc_next(struct ipc_reader *r, struct ipc_message *ret, uint8_t **ret_memory)
{
    if (r->n < IPC_HEADER || !front_is_allowed(r))
        return false;
    size_t length = get_le(r->p, 4), whole = IPC_HEADER + length;
    if (r->n < whole)
        return false;
    uint8_t *memory = malloc(length ? length : 1);
    if (memory == NULL)
        return false;
    memcpy(memory, r->p + IPC_HEADER, length);
    *ret = (struct ipc_message){
        .kind = (enum ipc_kind)get_le(r->p + 4, 2),
        .code = (unsigned)get_le(r->p + 6, 2),
        .id = get_le(r->p + 8, 8),
        .from = {.role = (enum ipc_role)r->p[16]},
        .body = bytes_of(memory, length),
    };
    memcpy(ret->from.id, r->p + 17, sizeof ret->from.id);
    *ret_memory = memory;
    memmove(r->p, r->p + whole, r->n - whole);
    r->n -= whole;
    if (r->size > 4 * CHUNK &&
        r->n < CHUNK) { /* a large message is over: give its room back */
        uint8_t *p = realloc(r->p, CHUNK);

        if (p != NULL) {
            r->p = p;
            r->size = CHUNK;
        }
    }
    return true;
}

void ipc_reader_free(struct ipc_reader *r)
{
    free(r->p);
    *r = (struct ipc_reader){.sender = r->sender};
}
