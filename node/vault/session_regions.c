/*
 * session_regions.c - a question's regions: sizes and products, the words on them, their
 * entry into ledger and memory.
 *
 *   REGIONS  sizes of the regions, of everybody; for each circle its columns' products
 *   VERDICT  a word for the whole question, one a region: may everybody here bear it?
 *   entry    durable before the first vector after the verdict
 */
#include <string.h>

#include "node/vault/ledger.h"
#include "node/vault/session.h"

/* One site keeps no other waiting while it waits. */
enum { LONE_WAIT_MS = 2000 };

static double leverage_limit(const struct policy *session)
{
    return 2 / session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
}

bool session_remembers(const struct session *s)
{
    return !s->policy.testing && !policy_is_noised(&s->policy);
}

/* ---- before ACCEPT: who judges together, from what all remember ---- */

static size_t products_of(const struct circle *c, size_t columns)
{
    return columns * (size_t)c->length + columns * (columns + 1) / 2;
}

/* Sizes that follow from the question and the circles: every site comes to the same. */
static enum fault check_products(struct session *s, size_t columns)
{
    size_t sum = 0;

    for (size_t i = 0; i < s->circles.n && columns <= LEVERAGE_RANK_MAX; i++)
        sum += products_of(&s->circles.list[i], columns);
    if (columns > LEVERAGE_RANK_MAX || sum > REGIONS_PRODUCTS_MAX)
        return cx_fail(s->cx, FAULT_INVALID,
                       "this question has %zu groups of patients, too many at once beside what "
                       "was asked of this dataset before; ask for fewer variables or levels",
                       s->o.regions.n);
    return FAULT_NONE;
}

/* This site alone: all that it holds. */
static enum fault start_alone(struct vault *v, struct session *s)
{
    uint8_t head[32];
    uint64_t n = memory_length(s->memory, head);

    s->circle_length = n;
    return memory_go_back(s->cx, s->memory, v->db, s->lease, n, head);
}

enum fault session_remember(struct vault *v, struct session *s,
                            Cohortium__Memory *const *claims)
{
    bool still;

    if (!session_remembers(s))
        return FAULT_NONE;
    TRY(circles_make(s->cx, s->ids, claims, s->n, s->self, &s->circles));
    if (!s->by_site)
        TRY(check_products(s, columns_count(&s->o)));
    TRY(memory_open(s->cx, &v->memories, v->db, s->o.dataset->cb, &s->memory));
    TRY(memory_lease(s->cx, s->memory, s->request, s->n == 1 ? LONE_WAIT_MS : 0, &s->lease));
    TRY(memory_still(s->cx, s->memory, policy_judges_alone(&s->o.policy->numbers),
                     claims[s->self], &still));
    if (!still)
        return cx_fail(s->cx, FAULT_BUSY,
                       "another question about this dataset came between; ask again");
    if (s->circles.own == SIZE_MAX)
        return start_alone(v, s);
    const struct circle *own = &s->circles.list[s->circles.own];

    s->circle_length = own->length;
    return memory_go_back(s->cx, s->memory, v->db, s->lease, own->length, own->head);
}

/* ---- REGIONS ---- */

enum fault session_make_columns(struct session *s, uint64_t *sizes, uint64_t *population)
{
    size_t words = ((size_t)s->o.dataset->patients.count + 63) / 64;

    CX_NEW(s->cx, s->bitmaps, s->o.regions.n);
    for (size_t i = 0; i < s->o.regions.n; i++)
        CX_NEW(s->cx, s->bitmaps[i], words);
    TRY(engine_regions(s->cx, s->o.dataset, &s->o.regions, sizes, population, s->bitmaps));
    return columns_make(s->cx, &s->o, s->memory, s->lease, s->bitmaps, &s->columns);
}

/* The site's own sizes are judged too where its policy assumes that the others collude, or
 * asks for a local minimum. */
enum fault session_judge_own_sizes(struct session *s, const uint64_t *sizes,
                                   uint64_t population)
{
    const struct regions *r = &s->o.regions;
    const double *number = s->o.policy->numbers.number;
    const char *why = NULL;

    if (number[POLICY_COLLUSION_ASSUMED] >= 1)
        TRY(gate_regions(s->cx, &s->o.policy->numbers, r, sizes, population, NULL, &why));
    for (size_t i = 0; i <= r->n && why == NULL; i++)
        if ((double)sizes[i] < number[POLICY_LOCAL_MINIMUM])
            why = "local_minimum: fewer patients here than this site takes part with";
    if (s->objection == NULL)
        s->objection = why;
    return FAULT_NONE;
}

/* Where in the round's counts a circle's products begin. */
static size_t products_at(const struct session *s, size_t circle)
{
    size_t at = s->o.regions.n + 1;

    for (size_t i = 0; i < circle && session_remembers(s); i++)
        at += products_of(&s->circles.list[i], columns_count(&s->o));
    return at;
}

enum fault session_sum_regions(struct session *s, struct tally **ret)
{
    const struct regions *r = &s->o.regions;
    uint64_t population;

    TRY(tally_new(s->cx, products_at(s, s->circles.n), 0, ret));
    if (session_remembers(s))
        TRY(session_make_columns(s, (*ret)->counts, &population));
    else
        TRY(engine_regions(s->cx, s->o.dataset, r, (*ret)->counts, &population, NULL));
    (*ret)->counts[r->n] = population;
    TRY(session_judge_own_sizes(s, (*ret)->counts, population));
    if (!session_remembers(s) || s->circles.own == SIZE_MAX)
        return FAULT_NONE;
    return memory_products(s->cx, s->memory, s->lease, s->columns.list, s->columns.n,
                           (*ret)->counts + products_at(s, s->circles.own));
}

static void object(struct session *s, const char *why)
{
    if (s->objection == NULL)
        s->objection = why;
}

/* The products that this site judges by. */
static enum fault find_products(struct session *s, const struct tally *pooled)
{
    size_t n = s->columns.n * (size_t)s->circle_length + s->columns.n * (s->columns.n + 1) / 2;

    CX_NEW(s->cx, s->products, n);
    if (s->circles.own == SIZE_MAX)
        return memory_products(s->cx, s->memory, s->lease, s->columns.list, s->columns.n,
                               s->products);
    memcpy(s->products, pooled->counts + products_at(s, s->circles.own),
           n * sizeof *s->products);
    return FAULT_NONE;
}

/* Which of the regions that are large enough its patients can bear. small: by region. */
enum fault session_judge_leverages(struct session *s, const struct tally *pooled,
                                   const bool *small)
{
    static const char why[] = "R23: with all that was released before, one patient's "
                              "leverage would be above 2 / minimum_frequency_threshold";
    bool *kept, everybody;

    CX_NEW(s->cx, s->region_in, s->o.regions.n);
    for (size_t i = 0; i < s->o.regions.n; i++)
        s->region_in[i] = !small[i];
    TRY(find_products(s, pooled));
    TRY(columns_of(s->cx, &s->o, &s->columns, s->region_in, &kept));
    TRY(memory_judge(s->cx, s->memory, s->lease, s->o.asked.cb, s->columns.list, s->columns.n, s->products,
                     leverage_limit(&s->policy), kept));
    columns_judged(&s->o, &s->columns, kept, s->region_in, &everybody);
    if (!everybody)
        object(s, why);
    for (size_t i = 0; i < s->o.regions.n; i++)
        if (!s->region_in[i] && !small[i] &&
            !(s->o.regions.optional != NULL && s->o.regions.optional[i]))
            object(s, why);
    return FAULT_NONE;
}

enum fault session_learn_regions(struct session *s, const struct tally *pooled)
{
    const char *why = NULL;

    CX_NEW(s->cx, s->region_sizes, s->o.regions.n);
    CX_NEW(s->cx, s->region_small, s->o.regions.n);
    memcpy(s->region_sizes, pooled->counts, s->o.regions.n * sizeof *s->region_sizes);
    s->population = pooled->counts[s->o.regions.n];
    TRY(gate_rounds_new(s->cx, &s->policy, &s->rounds));
    TRY(gate_regions(s->cx, &s->policy, &s->o.regions, pooled->counts,
                     pooled->counts[s->o.regions.n], s->region_small, &why));
    if (why != NULL)
        object(s, why);
    return session_remembers(s) ? session_judge_leverages(s, pooled, s->region_small)
                                : FAULT_NONE;
}

/* ---- VERDICT ---- */

enum fault session_words(struct session *s, struct votes **ret)
{
    bool *no;

    CX_NEW(s->cx, no, s->o.regions.n);
    for (size_t i = 0; i < s->o.regions.n && s->region_in != NULL; i++)
        no[i] = !s->region_in[i];
    return gate_votes(s->cx, s->objection != NULL, no, s->o.regions.n, ret);
}

/* Who objects does not rely on its word: a member that sends last could cancel it. */
void session_learn_words(struct session *s, const struct tally *pooled)
{
    s->refused = pooled->counts[0] != 0 || s->objection != NULL;
    for (size_t i = 0; i < s->o.regions.n && s->region_in != NULL; i++)
        s->region_in[i] = s->region_in[i] && pooled->counts[1 + i] == 0;
}

/* ---- entry ---- */

enum fault session_write_entry(struct cx *cx, sqlite3 *sql, const struct session *s,
                               const struct memory_entry *entry)
{
    bool *leave_out;

    CX_NEW(cx, leave_out, s->o.regions.n);
    for (size_t i = 0; i < s->o.regions.n; i++)
        leave_out[i] = !s->region_in[i];
    TRY(ledger_add(cx, sql, s->o.dataset->cb, s->o.dataset->version, s->question,
                   &s->o.regions, leave_out, s->bitmaps, s->o.dataset->patients.count,
                   s->o.plan.quasi_columns, s->o.plan.n_quasi_columns));
    return memory_write(cx, sql, entry);
}

struct entry_work {
    const struct session *s;
    const struct memory_entry *entry;
};

static enum fault write_entry(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct entry_work *w = user;

    return session_write_entry(cx, sql, w->s, w->entry);
}

enum fault session_enter_memory(struct session *s, struct memory_entry *entry)
{
    const struct circle *own =
        s->circles.own == SIZE_MAX ? NULL : &s->circles.list[s->circles.own];
    uint8_t(*members)[32];
    bool *take;

    *entry = (struct memory_entry){.memory = s->memory,
                                   .lease = s->lease,
                                   .permit = PB_BYTES(s->o.request.body->permit)};
    if (own != NULL) {
        CX_NEW(s->cx, members, own->n);
        for (size_t i = 0; i < own->n; i++)
            memcpy(members[i], s->ids[own->sites[i]].p, 32);
        entry->members = (const uint8_t(*)[32])members;
        entry->n_members = own->n;
    }
    TRY(columns_of(s->cx, &s->o, &s->columns, s->region_in, &take));
    return memory_enter(s->cx, entry, s->columns.list, s->columns.n, s->products, take);
}

/* Before the first vector after a verdict without objection the regions are durable. From
 * here on an abort does not undo them. */
enum fault session_enter_ledger(struct cx *cx, struct vault *v, struct session *s)
{
    struct memory_entry entry;
    struct entry_work w = {.s = s, .entry = &entry};
    enum fault fault = session_enter_memory(s, &entry);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(s->cx));
    fault = db_write(cx, v->db, write_entry, &w);
    memory_written(&entry, fault == FAULT_NONE);
    s->lease = 0;
    s->entered = fault == FAULT_NONE ? entry.after : 0;
    memcpy(s->entered_head, entry.head, sizeof s->entered_head);
    return fault;
}

/* All vectors after the verdict are here: every site of the circle has written. */
void session_confirm(struct session *s)
{
    if (s->entered > 0 && s->circles.own != SIZE_MAX)
        memory_confirm(s->memory, s->entered, s->entered_head);
    s->entered = 0;
}

void session_forget(struct session *s)
{
    if (s->memory != NULL)
        memory_leave(s->memory, s->lease);
    s->lease = 0;
}

enum fault session_take_lost(struct session *s)
{
    const char *why;
    bool *in;

    if (s->region_in == NULL || s->result == NULL || s->refused)
        return FAULT_NONE;
    CX_NEW(s->cx, in, s->o.regions.n);
    for (size_t i = 0; i < s->o.regions.n; i++) /* R1 withholds what is too small */
        in[i] = s->region_in[i] || s->region_small[i];
    TRY(columns_places(s->cx, &s->o, s->result, in, &s->lost, &why));
    if (why != NULL)
        object(s, why);
    return FAULT_NONE;
}
