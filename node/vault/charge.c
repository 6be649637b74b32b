/*
 * charge.c - what a question costs and the request's id: looked up before anything is
 * accepted, durable before a vector or a site's own answer leaves.
 *
 * Neither may depend on a row (DISCLOSURE.md 0.6): so a question of several sites is
 * charged before the first region is counted, whatever comes of it, and never again. Of a
 * site that is asked alone nothing leaves before its decision: there charge, regions and
 * record are one commit, and a question that ends in a fault is charged before the fault is
 * told.
 */
#include "node/vault/session.h"
#include "protocol/base/clock.h"

struct charge {
    const struct opened *o;
    const uint8_t *question; /* NULL: known by its form alone */
    uint8_t form[DIGEST_BYTES];
};

/* The question as it is before versions and policies are known. */
static enum fault set_form(struct cx *cx, struct charge *c)
{
    static const uint8_t no_policy[DIGEST_BYTES];

    return question_digest(cx, c->o->request.body->question, NULL, 0, no_policy, c->form);
}

/* ---- before it is accepted ---- */

static enum fault look_for_id(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct request *r = user;
    const Cohortium__Stamp *stamp = r->body->stamp;
    bool seen;

    return replay_check(cx, sql, stamp->issuer.data, stamp->request_id.data,
                        r->envelope.digest, &seen);
}

enum fault request_is_new(struct cx *cx, struct vault *v, struct request *r)
{
    TRY(db_read(cx, v->db, look_for_id, r));
    return sessions_know_no_other(cx, v, r);
}

static enum fault look_for_room(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct charge *c = user;
    const Cohortium__Request *r = c->o->request.body;
    bool known;

    TRY(c->question != NULL ? permits_charged(cx, sql, c->question, &known)
                            : forms_find(cx, sql, c->form, &known));
    return known ? FAULT_NONE
                 : permits_room(cx, sql, r->permit.data, c->o->permit.body->budget);
}

enum fault charge_look(struct cx *cx, struct vault *v, const struct opened *o,
                       const uint8_t *question)
{
    struct charge c = {.o = o, .question = question};

    TRY(set_form(cx, &c));
    return db_read(cx, v->db, look_for_room, &c);
}

/* ---- noise: what it may spend ---- */

static struct zcdp_payer payer_of(const struct opened *o)
{
    const char *name_space = codebook_namespace(o->dataset->cb);

    return (struct zcdp_payer){.name_space = name_space,
                               .permit = o->request.body->permit.data,
                               .researcher = o->request.who.subject};
}

static enum fault look_for_noise(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct charge *c = user;
    const struct zcdp_payer payer = payer_of(c->o);
    bool known;

    TRY(c->question != NULL ? permits_charged(cx, sql, c->question, &known)
                            : forms_find(cx, sql, c->form, &known));
    return known ? FAULT_NONE : zcdp_room(cx, sql, &payer, &c->o->noise, c->o->noise.rho);
}

enum fault charge_look_noise(struct cx *cx, struct vault *v, const struct opened *o,
                             const uint8_t *question)
{
    struct charge c = {.o = o, .question = question};

    if (o->noise.rho == 0)
        return FAULT_NONE;
    TRY(set_form(cx, &c));
    return db_read(cx, v->db, look_for_noise, &c);
}

struct noise_left {
    const struct opened *o;
    uint32_t tenths;
};

static uint32_t tenths_left(uint64_t spent, uint64_t limit)
{
    return limit == 0 || spent >= limit ? 0 : (uint32_t)((limit - spent) * 10 / limit);
}

static enum fault read_left(struct cx *cx, sqlite3 *sql, void *user)
{
    struct noise_left *l = user;
    const struct zcdp_limits *limits = &l->o->noise;
    const struct zcdp_payer payer = payer_of(l->o);
    struct zcdp_spent spent;

    TRY(zcdp_spent(cx, sql, &payer, &spent));
    /* Of the narrowest budget, what this researcher has spent: what others have spent of it
     * would tell what they ask. */
    uint64_t limit = limits->dataset;

    if (limits->permit < limit)
        limit = limits->permit;
    if (limits->researcher < limit)
        limit = limits->researcher;
    l->tenths = tenths_left(spent.researcher, limit);
    return FAULT_NONE;
}

enum fault charge_left(struct cx *cx, struct vault *v, const struct opened *o,
                       uint32_t *ret)
{
    struct noise_left l = {.o = o};

    if (o->noise.rho > 0)
        TRY(db_read(cx, v->db, read_left, &l));
    *ret = l.tenths;
    return FAULT_NONE;
}

/* ---- what is left, for whoever asks ---- */

struct budget {
    const struct opened *o;
    struct zcdp_limits limits; /* rho 0: no noise here */
    Cohortium__Budget *told;
};

static enum fault read_budget(struct cx *cx, sqlite3 *sql, void *user)
{
    struct budget *b = user;
    struct zcdp_spent spent;

    TRY(permits_used(cx, sql, b->o->request.body->permit.data, &b->told->permit_questions));
    if (b->limits.rho == 0)
        return FAULT_NONE;
    const struct zcdp_payer payer = payer_of(b->o);

    TRY(zcdp_spent(cx, sql, &payer, &spent));
    b->told->rho = b->limits.rho;
    b->told->permit_spent = spent.permit;
    b->told->permit_limit = b->limits.permit;
    b->told->researcher_spent = spent.researcher;
    b->told->researcher_limit = b->limits.researcher;
    b->told->patients_own = spent.own;
    b->told->patients_limit = b->limits.dataset;
    return FAULT_NONE;
}

/* A permit's use is its researchers' business, and nobody else's. */
static bool is_of_permit(const struct opened *o)
{
    const Cohortium__Permit *p = o->permit.body;

    for (size_t i = 0; p != NULL && i < p->n_researchers; i++)
        if (bytes_equal(PB_BYTES(p->researchers[i]),
                        bytes_of(o->request.who.body->signing_key.data, KEY_BYTES)))
            return true;
    return false;
}

enum fault charge_budget(struct cx *cx, struct vault *v, const struct opened *o,
                         Cohortium__Budget **ret)
{
    struct budget b = {.o = o};

    *ret = NULL;
    if (o->dataset == NULL || o->policy == NULL || !is_of_permit(o))
        return FAULT_NONE;
    if (policy_is_noised(&o->policy->numbers))
        b.limits = gate_noise_limits(&o->policy->numbers);
    CX_NEW(cx, b.told, 1);
    cohortium__budget__init(b.told);
    TRY(db_read(cx, v->db, read_budget, &b));
    *ret = b.told;
    return FAULT_NONE;
}

struct noise_draw {
    const struct opened *o;
    const uint8_t *question, *draw;
    uint32_t round;
    uint64_t rho;
};

static enum fault write_draw(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct noise_draw *d = user;
    const struct zcdp_payer payer = payer_of(d->o);

    return zcdp_draw(cx, sql, &payer, &d->o->noise, d->question, d->round, d->draw, d->rho);
}

enum fault charge_noise(struct cx *cx, struct vault *v, const struct opened *o,
                        const uint8_t question[32], uint32_t round, const uint8_t draw[32],
                        uint64_t rho)
{
    struct noise_draw d = {o, question, draw, round, rho};

    return db_write(cx, v->db, write_draw, &d);
}

/* ---- before anything leaves ---- */

enum fault charge_add(struct cx *cx, sqlite3 *sql, const struct opened *o,
                      const uint8_t question[32])
{
    struct charge c = {.o = o, .question = question};
    const Cohortium__Request *r = o->request.body;

    TRY(set_form(cx, &c));
    TRY(permits_charge(cx, sql, r->permit.data, o->permit.body->budget, question));
    TRY(forms_add(cx, sql, c.form));
    if (o->noise.rho > 0) {
        const struct zcdp_payer payer = payer_of(o);

        TRY(zcdp_charge(cx, sql, &payer, &o->noise, question));
    }
    return replay_note(cx, sql, r->stamp->issuer.data, r->stamp->request_id.data,
                       o->request.envelope.digest, r->stamp->expires_at, clock_utc_ms());
}

static enum fault write_charge(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct charge *c = user;

    return charge_add(cx, sql, c->o, c->question);
}

enum fault charge_write(struct cx *cx, struct vault *v, const struct opened *o,
                        const uint8_t question[32])
{
    struct charge c = {.o = o, .question = question};

    return db_write(cx, v->db, write_charge, &c);
}
