/*
 * coordinate_again.c - a call whose link was lost, amid a question.
 *
 * A relay dies or a connection is cut, and the site itself goes on: the very same call is
 * made again as soon as there is a link, perhaps through another relay. That is safe for
 * each: a preflight touches no row, a request begun again replaces a session that has not
 * started, a vault answers the very same step with the bytes that it gave before
 * (session_again.c), and a question is charged once. A site that is down fails the question
 * all the same, somewhat later.
 */
#include "node/log.h"
#include "node/net/coordinate_private.h"
#include "protocol/base/clock.h"

static void look(void *user)
{
    struct part *p = user;
    struct net *net = p->ask->net;

    p->timer = 0;
    if (!ask_is_given_up(p->ask) && site_is_linked(net, p->who))
        site_call(net, p->who, p->service, p->body, p->ask->deadline, part_call_ended, p);
    else /* which waits on, while there is time */
        part_call_ended(p, FAULT_UNAVAILABLE, (struct bytes){0});
}

/* A link that is gone says nothing; a site that is asked again may say that it is still at
 * work on the first of the two calls. */
bool part_waits_again(struct part *p, enum fault fault, struct bytes body)
{
    struct ask *a = p->ask;
    int64_t now = clock_mono_ms();

    if (a->failed || fault != FAULT_UNAVAILABLE || member_same(p->who, a->net->self) ||
        ask_is_given_up(a) || (body.n > 0 && p->again_until == 0))
        return false;
    if (p->again_until == 0)
        log_notice("amid a question the link with %s was lost; waiting for another",
                   p->who->name);
    if (p->again_until == 0 || body.n > 0) /* it has lost its link, or is there */
        p->again_until = now + NET_AGAIN_MS;
    /* Whoever asked still hears which site it was, before they wait no longer. */
    if (now >= p->again_until || now >= a->deadline)
        return false;
    p->timer = hub_after(a->net->hub, NET_TICK_MS, look, p);
    return p->timer != 0;
}

void part_forget_again(struct part *p)
{
    if (p->timer == 0)
        return;
    hub_cancel_timer(p->ask->net->hub, p->timer);
    p->timer = 0;
    p->waiting = false;
    p->ask->waiting--;
}
