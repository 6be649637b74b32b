/*
 * tunnel.c - one end of a relayed stream, as a stream of bytes for the link inside it.
 *
 * What nng's stream is to a direct link: a write ends when some of it is queued, a read
 * when something came, both with an error once the stream is cut. Ends are told through the
 * hub's queue, never from within the call that caused them.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

/* ---- Bytes that wait ---- */

bool queue_put(struct queue *q, struct bytes b)
{
    enum { FIRST = 16 * 1024 };

    if (b.n == 0)
        return true;
    if (q->n > 0 && q->at > 0 && q->at + q->n + b.n > q->size)
        memmove(q->p, q->p + q->at, q->n);
    if (q->at + q->n + b.n > q->size)
        q->at = 0;
    if (q->n + b.n > q->size) {
        size_t size = 2 * q->size > q->n + b.n ? 2 * q->size : q->n + b.n;
        uint8_t *p = realloc(q->p, size < FIRST ? FIRST : size);

        if (p == NULL)
            return false;
        q->p = p;
        q->size = size < FIRST ? FIRST : size;
    }
    memcpy(q->p + q->at + q->n, b.p, b.n);
    q->n += b.n;
    return true;
}

void queue_free(struct queue *q)
{
    free(q->p);
    *q = (struct queue){0};
}

/* An idle stream holds no memory: a node may have many. */
void queue_take(struct queue *q, uint8_t *p, size_t n)
{
    if (n > 0)
        memcpy(p, q->p + q->at, n);
    q->at += n;
    q->n -= n;
    if (q->n == 0)
        queue_free(q);
}

/* ---- Beginning and end ---- */

struct tunnel *tunnel_new(struct link *over, uint32_t stream, const uint8_t far[32])
{
    struct tunnel *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    *t = (struct tunnel){.over = over,
                         .stream = stream,
                         .credit = TUNNEL_WINDOW,
                         .expect = TUNNEL_WINDOW,
                         .why = "the other end closed"};
    memcpy(t->far, far, 32);
    memcpy(t->by, over->peer.id, 32);
    *over->tunnels_end = t;
    over->tunnels_end = &t->next;
    over->n_tunnels++;
    over->hub->n_tunnels++;
    return t;
}

static void end_op(struct op **op, int result, size_t count)
{
    struct op *ended = *op;

    *op = NULL;
    if (ended != NULL)
        op_finish(ended, result, count);
}

/* What waited to leave here leaves no more; an end that still has its link inside stays for
 * what came before the cut. */
void tunnel_unlink(struct tunnel *t)
{
    struct link *over = t->over;

    for (struct tunnel **at = &over->tunnels; *at != NULL; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            if (over->tunnels_end == &t->next)
                over->tunnels_end = at;
            break;
        }
    over->n_tunnels--;
    over->hub->n_tunnels--;
    relay_gave(t, t->out.n);
    if (t->pair != NULL)
        t->pair->ends--;
    t->pair = NULL;
    queue_free(&t->out);
    t->over = NULL;
    if (t->inner == NULL) {
        queue_free(&t->in);
        free(t);
    } else {
        end_op(&t->tx, NNG_ECLOSED, 0);
    }
}

void tunnel_shut(struct tunnel *t)
{
    end_op(&t->tx, NNG_ECLOSED, 0);
    end_op(&t->rx, NNG_ECLOSED, 0);
    queue_free(&t->in);
    if (t->over == NULL || t->closing)
        return;
    t->closing = true;
    t->closing_since = clock_mono_ms();
}

void tunnel_release(struct tunnel *t)
{
    t->inner = NULL;
    if (t->over == NULL) {
        queue_free(&t->in);
        free(t);
    } else {
        tunnel_shut(t);
    }
}

/* ---- Bytes of the link inside ---- */

void tunnel_push(struct tunnel *t)
{
    size_t room = TUNNEL_WINDOW - t->out.n, n = t->tx_n < room ? t->tx_n : room;

    if (t->tx == NULL || (t->over != NULL && n == 0))
        return;
    if (t->over == NULL || t->closing)
        end_op(&t->tx, NNG_ECLOSED, 0);
    else if (!queue_put(&t->out, bytes_of(t->tx_p, n)))
        end_op(&t->tx, NNG_ENOMEM, 0);
    else
        end_op(&t->tx, 0, n);
}

void tunnel_write(struct tunnel *t, struct op *op, const uint8_t *p, size_t n)
{
    op->busy = true;
    t->tx = op;
    t->tx_p = p;
    t->tx_n = n;
    tunnel_push(t);
    if (t->over != NULL)
        link_flush(t->over); /* or it waits for the next turn of the loop */
}

void tunnel_pull(struct tunnel *t)
{
    size_t n = t->rx_n < t->in.n ? t->rx_n : t->in.n;

    if (t->rx == NULL)
        return;
    if (n == 0) {
        if (t->over == NULL || t->closing)
            end_op(&t->rx, NNG_ECLOSED, 0);
        return;
    }
    queue_take(&t->in, t->rx_p, n);
    t->taken += (uint32_t)n;
    if (t->taken >= TUNNEL_GRANT) {
        t->expect += t->taken;
        t->grant_due += t->taken;
        t->taken = 0;
    }
    end_op(&t->rx, 0, n);
}

void tunnel_read(struct tunnel *t, struct op *op, uint8_t *p, size_t n)
{
    op->busy = true;
    t->rx = op;
    t->rx_p = p;
    t->rx_n = n;
    tunnel_pull(t);
}
