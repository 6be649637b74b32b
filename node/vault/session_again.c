/*
 * session_again.c - a step that is asked for a second time, because its answer was lost
 * with a link.
 *
 * The very same step gets the very same bytes, kept in memory: nothing is summed, masked or
 * charged anew, and a step that differs in one byte is another step. An ended session
 * leaves its last answer behind for a while, for then the session itself is gone.
 */
#include <stdlib.h>
#include <string.h>

#include "node/vault/session.h"
#include "protocol/base/clock.h"

enum {
    LAST_BYTES_MAX = 16 * 1024 * 1024, /* over all that ended */
    LAST_MS = 60 * 1000                /* longer than a coordinator tries again */
};

void reply_free(struct step_reply *r)
{
    free(r->p);
    *r = (struct step_reply){0};
}

static bool is_of(const struct step_reply *r, const uint8_t call[DIGEST_BYTES])
{
    return r->p != NULL && memcmp(r->call, call, DIGEST_BYTES) == 0;
}

static enum fault copy(struct cx *cx, const struct step_reply *r, struct bytes *ret)
{
    uint8_t *p = cx_memdup(cx, r->p, r->n);

    if (p == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a step");
    *ret = bytes_of(p, r->n);
    return FAULT_NONE;
}

bool session_is_again(const struct session *s, const uint8_t call[DIGEST_BYTES])
{
    return is_of(&s->last, call);
}

enum fault session_again(struct cx *cx, const struct session *s, struct bytes *ret)
{
    return copy(cx, &s->last, ret);
}

/* Without memory for it the step is done all the same; asked again it is refused. */
void session_keep(struct session *s, const uint8_t call[DIGEST_BYTES], struct bytes reply)
{
    reply_free(&s->last);
    s->last.p = malloc(reply.n > 0 ? reply.n : 1);
    if (s->last.p == NULL)
        return;
    if (reply.n > 0)
        memcpy(s->last.p, reply.p, reply.n);
    s->last.n = reply.n;
    memcpy(s->last.call, call, DIGEST_BYTES);
    memcpy(s->last.owner, s->owner, DIGEST_BYTES);
}

/* ---- sessions that have ended ---- */

static size_t bytes_kept(const struct vault *v)
{
    size_t n = 0;

    for (size_t i = 0; i < LAST_ANSWERS; i++)
        n += v->last[i].n;
    return n;
}

/* The place that is empty, else that of the oldest. */
static struct step_reply *oldest(struct vault *v)
{
    struct step_reply *found = &v->last[0];

    for (size_t i = 0; i < LAST_ANSWERS; i++) {
        if (v->last[i].p == NULL)
            return &v->last[i];
        if (v->last[i].kept_ms < found->kept_ms)
            found = &v->last[i];
    }
    return found;
}

void session_leave_answer(struct vault *v, struct session *s)
{
    if (s->last.p == NULL || s->last.n > LAST_BYTES_MAX)
        return;
    (void)pthread_mutex_lock(&v->sessions_lock);
    while (bytes_kept(v) + s->last.n > LAST_BYTES_MAX) {
        struct step_reply *first = NULL;

        for (size_t i = 0; i < LAST_ANSWERS; i++)
            if (v->last[i].p != NULL &&
                (first == NULL || v->last[i].kept_ms < first->kept_ms))
                first = &v->last[i];
        reply_free(first);
    }
    struct step_reply *place = oldest(v);
    reply_free(place);
    *place = s->last;
    place->kept_ms = clock_mono_ms();
    s->last = (struct step_reply){0};
    (void)pthread_mutex_unlock(&v->sessions_lock);
}

enum fault answer_again(struct cx *cx, struct vault *v, const struct caller *who,
                        const uint8_t call[DIGEST_BYTES], struct bytes *ret)
{
    enum fault fault = FAULT_MISSING;

    (void)pthread_mutex_lock(&v->sessions_lock);
    for (size_t i = 0; i < LAST_ANSWERS && fault == FAULT_MISSING; i++)
        if (is_of(&v->last[i], call)) {
            fault = caller_owns(cx, who, v->last[i].owner);
            if (fault == FAULT_NONE)
                fault = copy(cx, &v->last[i], ret);
        }
    (void)pthread_mutex_unlock(&v->sessions_lock);
    return fault;
}

void answers_purge(struct vault *v, int64_t now_mono)
{
    (void)pthread_mutex_lock(&v->sessions_lock);
    for (size_t i = 0; i < LAST_ANSWERS; i++)
        if (v->last[i].p != NULL && now_mono - v->last[i].kept_ms > LAST_MS)
            reply_free(&v->last[i]);
    (void)pthread_mutex_unlock(&v->sessions_lock);
}
