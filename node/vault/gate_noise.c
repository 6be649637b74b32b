/*
 * gate_noise.c - noise by policy: which questions can have it, how much, and into what.
 *
 * The integers are those of zcdp*.c; here they meet policy, session and analyses. No rule
 * that looks at exact numbers runs under noise: whether it bites would tell of data without
 * being paid for. A threshold on noised counts tells nothing that they do not.
 */
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "node/vault/gate_private.h"

/* ---- what it costs ---- */

static uint64_t fixed_of(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return zcdp_fixed(bits);
}

struct zcdp_limits gate_noise_limits(const struct policy *session)
{
    const double *number = session->number;

    if (!policy_is_noised(session))
        return (struct zcdp_limits){0};
    return (struct zcdp_limits){.rho = fixed_of(number[POLICY_RHO_PER_REQUEST]),
                                .dataset = fixed_of(number[POLICY_RHO_TOTAL]),
                                .permit = fixed_of(number[POLICY_RHO_PER_PROJECT]),
                                .researcher = fixed_of(number[POLICY_RHO_PER_RESEARCHER])};
}

uint64_t gate_noise_rho(const struct policy *session, unsigned rounds)
{
    return gate_noise_limits(session).rho / (rounds > 0 ? rounds : 1);
}

/* ---- how much ---- */

static bool is_one_count(const struct measure *m)
{
    return m->n_blocks == 1 && m->blocks[0].n_keys == 0 && m->blocks[0].n_numbers == 0;
}

/* Variances of what all sites add, in the numbers' own units: for standard errors. */
static enum fault tell_variances(const struct zcdp_plan *plan, size_t participants,
                                 struct measure *m)
{
    for (size_t b = 0; b < m->n_blocks; b++) {
        struct block *block = &m->blocks[b];
        const struct zcdp_block *p = &plan->blocks[b];

        CX_NEW(m->cx, block->noise, 1 + block->n_numbers);
        block->noise[0] = (double)p->count.variance * (double)participants;
        for (size_t i = 0; i < block->n_numbers; i++)
            block->noise[1 + i] = ldexp((double)p->sums[i].variance * (double)participants,
                                        2 * ((int)p->sums[i].shift - block->scales[i]));
    }
    return FAULT_NONE;
}

enum fault gate_noise_plan(struct cx *cx, const struct policy *session, size_t participants,
                           unsigned rounds, struct measure *m, struct zcdp_plan **ret)
{
    bool alone = session->number[POLICY_COLLUSION_ASSUMED] >= 1;
    struct zcdp_terms terms = {
        .rho = gate_noise_rho(session, rounds),
        .honest = alone || participants < 2 ? 1 : (unsigned)participants - 1};

    if (!is_one_count(m))
        m->rows_max = (unsigned)session->number[POLICY_MAX_ROWS_PER_PATIENT];
    CX_NEW(cx, *ret, 1);
    TRY(zcdp_plan_make(cx, m, &terms, *ret));
    return tell_variances(*ret, participants, m);
}

/* ---- which questions ---- */

static void complain_no_form(const struct analysis *analysis, struct complaints *c)
{
    struct buffer list = buffer_new(c->cx, 1024);

    for (size_t i = 0; i < analysis_count(); i++)
        if (analysis_at(i)->noised != NULL)
            buffer_printf(&list, "%s%s", list.n > 0 ? ", " : "", analysis_at(i)->name);
    const char *names = buffer_string(&list);

    complain(c, "not_under_noise",
             "noise_mechanism: these sites answer with noise, and `%s` has no form whose "
             "sums it could be bounded for; there are: %s",
             analysis->name, names != NULL ? names : "");
}

/* The first measure needs no data: whether noise has room in it is known before. */
static enum fault complain_room(struct cx *cx, const struct policy *session,
                                const struct asked *asked, const struct plan *plan,
                                const struct analysis *noised, struct complaints *c)
{
    struct state *state;
    struct measure *m;
    struct zcdp_plan *noise;
    enum fault fault = noised->begin(cx, asked, &state);

    if (fault == FAULT_NONE)
        fault = noised->ask(cx, asked, state, &m);
    if (fault == FAULT_NONE)
        fault =
            gate_noise_plan(cx, session, asked->body->n_sites, plan->rounds_max, m, &noise);
    if (fault != FAULT_INVALID)
        return fault;
    complain(c, "not_under_noise", "noise_mechanism: %s", cx_message(cx));
    return c->fault;
}

enum fault gate_noise_preflight(struct cx *cx, const struct policy *session,
                                struct asked *asked, struct plan *plan,
                                const struct analysis *analysis, struct complaints *c,
                                const struct analysis **ret)
{
    *ret = analysis;
    if (!policy_is_noised(session))
        return FAULT_NONE;
    if (analysis->noised == NULL) {
        complain_no_form(analysis, c);
        return c->fault;
    }
    if (asked->body->by_site) {
        complain(c, "not_under_noise",
                 "noise_mechanism: these sites answer with noise, and by site each would "
                 "need all of it; leave --by-site out");
        return c->fault;
    }
    TRY(analysis->noised->check(cx, asked, c, plan));
    if (c->n > 0)
        return c->fault;
    *ret = analysis->noised;
    return complain_room(cx, session, asked, plan, analysis->noised, c);
}

/* ---- into what ---- */

static void seed_of(const uint8_t secret[32], const uint8_t question[32], uint32_t round,
                    const struct tally *t, uint8_t ret[ZCDP_SEED_BYTES])
{
    static const char label[] = "cohortium/zcdp/1";
    uint8_t at[4] = {(uint8_t)round, (uint8_t)(round >> 8), (uint8_t)(round >> 16),
                     (uint8_t)(round >> 24)};
    crypto_generichash_state h;

    (void)crypto_generichash_init(&h, secret, 32, ZCDP_SEED_BYTES);
    (void)crypto_generichash_update(&h, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&h, question, 32);
    (void)crypto_generichash_update(&h, at, sizeof at);
    (void)crypto_generichash_update(&h, (const uint8_t *)t->counts,
                                    t->n_counts * sizeof *t->counts);
    (void)crypto_generichash_update(&h, (const uint8_t *)t->sums,
                                    t->n_sums * sizeof *t->sums);
    (void)crypto_generichash_final(&h, ret, ZCDP_SEED_BYTES);
    sodium_memzero(&h, sizeof h);
}

enum fault gate_noise_add(struct cx *cx, const struct zcdp_plan *plan,
                          const struct measure *m, const uint8_t secret[32],
                          const uint8_t question[32], uint32_t round,
                          const struct tally *own, bool zeros, struct tally **ret,
                          uint8_t ret_draw[32])
{
    uint8_t seed[ZCDP_SEED_BYTES];
    struct zcdp_stream stream;

    TRY(tally_new(cx, own->n_counts, own->n_sums, ret));
    if (!zeros)
        TRY(tally_add(cx, *ret, own));
    seed_of(secret, question, round, *ret, seed);
    (void)crypto_generichash(ret_draw, 32, seed, sizeof seed, NULL, 0);
    zcdp_stream_open(&stream, seed);
    enum fault fault = zcdp_add(cx, plan, m, zcdp_stream_source(&stream), *ret);

    zcdp_stream_wipe(&stream);
    sodium_memzero(seed, sizeof seed);
    return fault;
}

/* ---- what is given ---- */

enum fault states_noised(struct making *m)
{
    const struct result *r = m->result;
    double k = m->session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];

    CX_NEW(m->cx, m->states, r->n_items);
    for (size_t i = 0; i < r->n_items; i++) {
        const struct item *item = &r->items[i];
        size_t n = item->rows * item->columns;

        CX_NEW(m->cx, m->states[i], n);
        for (size_t j = 0; item->kind != COHORTIUM__ITEM_KIND__WORDS && j < n; j++) {
            bool few = item->support != NULL && (double)item->support[j] < k;

            m->states[i][j] = few                         ? CELL_WITHHELD
                              : isfinite(item->values[j]) ? CELL_GIVEN
                                                          : CELL_UNDEFINED;
            m->withheld.r1 += few;
        }
    }
    return FAULT_NONE;
}
