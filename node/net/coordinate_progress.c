/*
 * coordinate_progress.c - how far a question is at each site, for who waits for it.
 *
 * Only what the coordinator does says so: which calls are out, in which phase and round.
 * None of it depends on a row.
 */
#include "node/net/coordinate_private.h"

enum { AROUND = 4 }; /* rounds beside the sums: regions, verdict, veto, release */

static const char *phase_of(const struct ask *a)
{
    switch (a->phase) {
    case LINKING:
        return "linking";
    case PREFLIGHT:
        return "checking";
    case BEGINNING:
        return "beginning";
    case CLEARING:
        return "ending an earlier run";
    case PROPOSING:
    case STEPPING:
        break;
    }
    return "summing";
}

/* What one site does, in a word. */
static const char *phase_at(const struct ask *a, const struct part *p)
{
    switch (a->phase) {
    case LINKING:
        return site_is_linked(a->net, p->who) ? "linked" : "no link";
    case PREFLIGHT:
        return p->waiting ? "checking" : "checked";
    case BEGINNING:
        return p->waiting ? "accepting" : "accepted";
    case CLEARING:
        return p->waiting ? "ending" : "ended";
    case PROPOSING:
        return p->waiting ? "proposing" : "waiting";
    case STEPPING:
        break;
    }
    return p->waiting ? "summing" : "done";
}

void ask_progress(struct ask *a)
{
    Cohortium__Progress p = COHORTIUM__PROGRESS__INIT;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    Cohortium__SiteProgress *all;
    struct bytes packed;

    if (a->served == NULL || cx == NULL ||
        (p.waiting = cx_array(cx, a->n, sizeof *p.waiting)) == NULL ||
        (p.sites = cx_array(cx, a->n, sizeof(*p.sites))) == NULL ||
        (all = cx_array(cx, a->n, sizeof *all)) == NULL)
        return;
    p.phase = (char *)phase_of(a);
    p.done = a->rounds;
    p.total = a->rounds_max > 0 ? a->rounds_max + AROUND : 0;
    p.n_sites = a->n;
    for (size_t i = 0; i < a->n; i++) {
        const struct part *part = &a->parts[i];

        if (a->phase == LINKING ? !site_is_linked(a->net, part->who) : part->waiting)
            p.waiting[p.n_waiting++] = part->who->node_id;
        all[i] = (Cohortium__SiteProgress)COHORTIUM__SITE_PROGRESS__INIT;
        all[i].node_id = part->who->node_id;
        all[i].phase = (char *)phase_at(a, part);
        all[i].round = a->rounds;
        p.sites[i] = &all[i];
    }
    if (pb_pack(cx, &p.base, &packed) == FAULT_NONE)
        served_progress(a->served, packed);
}
