/*
 * memory.c - one question at a time from its ACCEPT to its entry, over the columns that
 * were released before (memory.h).
 */
#include "node/vault/memory_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/clock.h"

/* ---- the list ---- */

static void memory_free(struct memory *m)
{
    leverage_free(&m->l);
    memory_drop_meanings(m, 0);
    free(m->meanings);
    free(m->name_space);
    free(m->dataset);
    free(m->members);
    free(m->heads);
    free(m->people);
    free(m->places);
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_mutex_destroy(&m->work);
    free(m);
}

void memories_free(struct memories *all)
{
    while (all->list != NULL) {
        struct memory *m = all->list;

        all->list = m->next;
        memory_free(m);
    }
}

static enum fault read_one(struct cx *cx, sqlite3 *sql, void *user)
{
    return memory_read(cx, sql, user);
}

/* Nothing was released yet, and nothing is read. */
static enum fault make_blank(struct cx *cx, struct memory *m)
{
    m->heads = calloc(LEVERAGE_RANK_MAX + 1, sizeof *m->heads);
    if (m->heads == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    return leverage_new(cx, 0, &m->l);
}

/* db NULL: a blank one. */
static enum fault memory_make(struct cx *cx, struct db *db, const char *name_space,
                              const char *dataset, struct memory **ret)
{
    struct memory *m = calloc(1, sizeof *m);

    if (m == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    bool locks = pthread_mutex_init(&m->lock, NULL) == 0 &&
                 pthread_mutex_init(&m->work, NULL) == 0;
    m->name_space = strdup(name_space);
    m->dataset = strdup(dataset);
    enum fault fault = FAULT_NONE;
    if (!locks || m->name_space == NULL || m->dataset == NULL)
        fault = cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    else
        fault = db != NULL ? db_read(cx, db, read_one, m) : make_blank(cx, m);
    if (fault != FAULT_NONE) {
        memory_free(m);
        return fault;
    }
    *ret = m;
    return FAULT_NONE;
}

enum fault memory_open_named(struct cx *cx, struct memories *all, struct db *db,
                             const char *name_space, const char *dataset,
                             struct memory **ret)
{
    enum fault fault = FAULT_NONE;
    struct memory *m;

    (void)pthread_mutex_lock(&all->lock);
    for (m = all->list; m != NULL; m = m->next)
        if (strcmp(m->name_space, name_space) == 0 && strcmp(m->dataset, dataset) == 0)
            break;
    if (m == NULL) {
        fault = memory_make(cx, db, name_space, dataset, &m);
        if (fault == FAULT_NONE) {
            m->next = all->list;
            all->list = m;
        }
    }
    (void)pthread_mutex_unlock(&all->lock);
    *ret = m;
    return fault;
}

enum fault memory_open(struct cx *cx, struct memories *all, struct db *db,
                       const struct codebook *cb, struct memory **ret)
{
    return memory_open_named(cx, all, db, cb->body->patient_namespace, cb->body->name, ret);
}

/* ---- what a preflight says ---- */

enum fault memory_claim(struct cx *cx, struct memory *m, bool alone, Cohortium__Memory *ret)
{
    enum fault fault = FAULT_MEMORY;
    uint8_t *heads = cx_alloc(cx, 64), *ids;

    *ret = (Cohortium__Memory)COHORTIUM__MEMORY__INIT;
    (void)pthread_mutex_lock(&m->lock);
    ret->alone = m->settled ? m->alone : alone;
    ids = cx_alloc(cx, m->n_members * 32 + 1);
    ret->members = cx_array(cx, m->n_members, sizeof *ret->members);
    if (heads != NULL && ids != NULL && ret->members != NULL) {
        fault = FAULT_NONE;
        ret->n_members = m->n_members;
        for (size_t i = 0; i < m->n_members; i++) {
            memcpy(ids + i * 32, m->members[i], 32);
            ret->members[i] = PB_DATA(bytes_of(ids + i * 32, 32));
        }
        if (!ret->alone) { /* who judges alone tells nobody how much it holds */
            memcpy(heads, m->heads[m->confirmed], 32);
            memcpy(heads + 32, m->heads[m->stored], 32);
            ret->confirmed = m->confirmed;
            ret->newest = m->stored;
            ret->confirmed_head = PB_DATA(bytes_of(heads, 32));
            ret->newest_head = PB_DATA(bytes_of(heads + 32, 32));
        }
    }
    (void)pthread_mutex_unlock(&m->lock);
    return fault;
}

enum fault memory_still(struct cx *cx, struct memory *m, bool alone,
                        const Cohortium__Memory *claim, bool *ret)
{
    Cohortium__Memory now;
    struct bytes a, b;

    TRY(memory_claim(cx, m, alone, &now));
    TRY(pb_pack(cx, &now.base, &a));
    TRY(pb_pack(cx, &claim->base, &b));
    *ret = bytes_equal(a, b);
    return FAULT_NONE;
}

/* ---- the lease ---- */

static bool is_free(const struct memory *m, const uint8_t request[32], int64_t now)
{
    return m->lease == 0 ||
           (!m->entering && (now - m->leased_ms >= MEMORY_LEASE_MS ||
                             memcmp(m->request, request, sizeof m->request) == 0));
}

static bool try_lease(struct memory *m, const uint8_t request[32], uint64_t *ret)
{
    int64_t now = clock_mono_ms();

    (void)pthread_mutex_lock(&m->lock);
    bool taken = is_free(m, request, now);
    if (taken) {
        m->lease = *ret = ++m->leases;
        m->leased_ms = now;
        memcpy(m->request, request, sizeof m->request);
    }
    (void)pthread_mutex_unlock(&m->lock);
    return taken;
}

enum fault memory_lease(struct cx *cx, struct memory *m, const uint8_t request[32],
                        int64_t wait_ms, uint64_t *ret)
{
    int64_t until = clock_mono_ms() + wait_ms;
    struct timespec pause = {.tv_nsec = 1000 * 1000};

    while (!try_lease(m, request, ret)) {
        if (clock_mono_ms() >= until)
            return cx_fail(cx, FAULT_BUSY,
                           "another question about \"%s\" is being judged; ask again in a "
                           "moment",
                           m->dataset);
        (void)nanosleep(&pause, NULL);
    }
    return FAULT_NONE;
}

void memory_leave(struct memory *m, uint64_t lease)
{
    if (lease == 0)
        return;
    (void)pthread_mutex_lock(&m->lock);
    if (m->lease == lease)
        m->lease = 0;
    (void)pthread_mutex_unlock(&m->lock);
}

/* Whether it is held still; it is for so long again. */
static enum fault holds(struct cx *cx, struct memory *m, uint64_t lease)
{
    (void)pthread_mutex_lock(&m->lock);
    bool mine = lease != 0 && m->lease == lease;
    if (mine)
        m->leased_ms = clock_mono_ms();
    (void)pthread_mutex_unlock(&m->lock);
    return mine ? FAULT_NONE
                : cx_fail(cx, FAULT_BUSY,
                          "this question took too long between its rounds, and another about "
                          "\"%s\" was let before; ask it again",
                          m->dataset);
}

/* Locks the work of the holder; with a fault nothing is locked. */
static enum fault work_begin(struct cx *cx, struct memory *m, uint64_t lease)
{
    (void)pthread_mutex_lock(&m->work);
    enum fault fault = holds(cx, m, lease);
    if (fault != FAULT_NONE)
        (void)pthread_mutex_unlock(&m->work);
    return fault;
}

static enum fault work_end(struct memory *m, enum fault fault)
{
    (void)pthread_mutex_unlock(&m->work);
    return fault;
}

/* ---- columns as they are stored ---- */

struct reading {
    struct memory *m;
    uint64_t n;
};

static enum fault read_columns(struct cx *cx, sqlite3 *sql, void *user)
{
    struct reading *r = user;

    return memory_read_columns(cx, sql, r->m, r->n);
}

static enum fault load(struct cx *cx, struct memory *m, struct db *db, uint64_t n)
{
    AUTO_CX struct cx *own = cx_new((size_t)2 << 30, cx_deadline(cx));
    struct reading r = {m, n};

    if (m->l != NULL && leverage_rank(m->l) == n)
        return FAULT_NONE;
    if (db == NULL)
        return cx_fail(cx, FAULT_STORAGE, "what a blank ledger held is gone");
    leverage_free(&m->l);
    memory_drop_meanings(m, 0);
    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    TRY(leverage_new(cx, m->people_n, &m->l));
    enum fault fault = db_read(own, db, read_columns, &r);
    if (fault == FAULT_NONE)
        return FAULT_NONE;
    leverage_free(&m->l);
    return cx_fail(cx, fault, "%s", cx_message(own));
}

enum fault memory_go_back(struct cx *cx, struct memory *m, struct db *db, uint64_t lease,
                          uint64_t n, const uint8_t head[32])
{
    TRY(work_begin(cx, m, lease));
    (void)pthread_mutex_lock(&m->lock);
    bool held = n >= m->confirmed && n <= m->stored && memcmp(m->heads[n], head, 32) == 0;
    (void)pthread_mutex_unlock(&m->lock);
    if (!held)
        return work_end(
            m, cx_fail(cx, FAULT_CONFLICT,
                       "what the sites of this circle remember of \"%s\" is not the same: "
                       "one of them was set back, or lies",
                       m->dataset));
    return work_end(m, load(cx, m, db, n));
}

/* ---- patients ---- */

static int by_hash(const void *a, const void *b)
{
    const struct person *x = a, *y = b;

    return memcmp(x->hash, y->hash, sizeof x->hash);
}

static enum fault new_person(struct cx *cx, struct memory *m, const uint8_t hash[16],
                             uint32_t *ret)
{
    if (m->people_n == UINT32_MAX)
        return cx_fail(cx, FAULT_BOUND, "the ledger is full: too many patients");
    if (m->people_n >= m->people_room) {
        uint64_t room = m->people_room * 2 + 1024;
        struct person *grown = realloc(m->people, (size_t)room * sizeof *grown);

        if (grown == NULL)
            return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger's patients");
        m->people = grown;
        m->people_room = room;
    }
    memcpy(m->people[m->people_n].hash, hash, 16);
    m->people[m->people_n].place = *ret = (uint32_t)m->people_n;
    m->people_n++;
    return FAULT_NONE;
}

/* Both sorted by hash: one walk. */
static enum fault place_all(struct cx *cx, struct memory *m, const struct patients *p,
                            uint32_t *places)
{
    AUTO_CX struct cx *own = cx_new((size_t)4 << 30, CX_NO_DEADLINE);
    uint64_t known = m->people_n, at = 0;
    struct person *sorted;

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger's patients");
    sorted = cx_array(own, (size_t)known + 1, sizeof *sorted);
    if (sorted == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger's patients");
    if (known > 0)
        memcpy(sorted, m->people, (size_t)known * sizeof *sorted);
    qsort(sorted, (size_t)known, sizeof *sorted, by_hash);
    for (uint64_t i = 0; i < p->count; i++) {
        while (at < known && memcmp(sorted[at].hash, p->hashes[i], 16) < 0)
            at++;
        if (at < known && memcmp(sorted[at].hash, p->hashes[i], 16) == 0)
            places[i] = sorted[at].place;
        else
            TRY(new_person(cx, m, p->hashes[i], &places[i]));
    }
    return FAULT_NONE;
}

static enum fault map_version(struct cx *cx, struct memory *m, const struct dataset *data)
{
    if (m->mapped && memcmp(m->version, data->version, sizeof m->version) == 0)
        return FAULT_NONE;
    uint32_t *places = calloc((size_t)data->patients.count + 1, sizeof *places);
    if (places == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger's patients");
    enum fault fault = place_all(cx, m, &data->patients, places);
    if (fault == FAULT_NONE)
        fault = leverage_grow(cx, m->l, m->people_n);
    if (fault != FAULT_NONE) {
        free(places);
        return fault;
    }
    free(m->places);
    m->places = places;
    memcpy(m->version, data->version, sizeof m->version);
    m->mapped = true;
    return FAULT_NONE;
}

enum fault memory_places(struct cx *cx, struct memory *m, uint64_t lease,
                         const struct dataset *data, const uint32_t **ret,
                         uint64_t *ret_patients)
{
    uint32_t *copy;

    TRY(work_begin(cx, m, lease));
    enum fault fault = map_version(cx, m, data);
    copy = fault == FAULT_NONE ? cx_memdup(cx, m->places,
                                           ((size_t)data->patients.count + 1) * sizeof *copy)
                               : NULL;
    if (fault == FAULT_NONE && copy == NULL)
        fault = FAULT_MEMORY;
    *ret = copy;
    *ret_patients = m->people_n;
    return work_end(m, fault);
}

/* ---- products, judgement, entry ---- */

enum { LOOKS_MAX = 1 << 27 }; /* at kinds of patients, in one judgement */

enum fault memory_products(struct cx *cx, struct memory *m, uint64_t lease,
                           const struct leverage_column *columns, size_t n, uint64_t *ret)
{
    TRY(work_begin(cx, m, lease));
    return work_end(m, leverage_products(cx, m->l, columns, n, ret));
}

enum fault memory_judge(struct cx *cx, struct memory *m, uint64_t lease,
                        const struct codebook *cb, const struct leverage_column *columns,
                        size_t n, const uint64_t *pooled, double limit, bool *kept)
{
    struct judging judging = {.cx = cx, .m = m, .cb = cb, .columns = columns};
    const struct leverage_logic logic = {memory_follows, &judging};

    judging.budget = LOOKS_MAX;
    TRY(work_begin(cx, m, lease));
    return work_end(m, leverage_judge(cx, m->l, columns, n, pooled, limit, &logic, kept));
}

static enum fault enter(struct cx *cx, struct memory_entry *e,
                        const struct leverage_column *columns, size_t n,
                        const uint64_t *pooled, const bool *take)
{
    struct memory *m = e->memory;
    uint8_t before[32];
    bool *basis;

    e->before = leverage_rank(m->l);
    CX_NEW(cx, basis, n);
    TRY(leverage_add(cx, m->l, columns, n, pooled, take, basis));
    CX_NEW(cx, e->heads, n);
    memcpy(before, m->heads[e->before], 32);
    for (size_t i = (size_t)e->before; i < leverage_rank(m->l); i++) {
        memory_chain(before, leverage_gram(m->l, i), i + 1, e->heads[i - e->before]);
        memcpy(before, e->heads[i - e->before], 32);
    }
    for (size_t i = 0, place = (size_t)e->before; i < n; i++)
        if (basis[i])
            TRY(memory_keep_meaning(cx, m, place++, columns[i].meaning));
    memcpy(e->head, before, sizeof e->head);
    e->after = leverage_rank(m->l);
    e->changes = e->parts || !m->settled || e->after != m->stored || e->before != e->after ||
                 m->people_n != m->people_stored;
    (void)pthread_mutex_lock(&m->lock);
    m->entering = true;
    (void)pthread_mutex_unlock(&m->lock);
    return FAULT_NONE;
}

enum fault memory_enter(struct cx *cx, struct memory_entry *e,
                        const struct leverage_column *columns, size_t n,
                        const uint64_t *pooled, const bool *take)
{
    TRY(work_begin(cx, e->memory, e->lease));
    enum fault fault = enter(cx, e, columns, n, pooled, take);
    (void)work_end(e->memory, FAULT_NONE);
    if (fault != FAULT_NONE)
        memory_written(e, false);
    return fault;
}

static void settle(struct memory *m, const struct memory_entry *e)
{
    size_t rank = leverage_rank(m->l);

    m->stored = rank;
    m->confirmed = e->parts || e->before > m->confirmed ? e->before : m->confirmed;
    for (size_t i = (size_t)e->before; i < rank; i++)
        memcpy(m->heads[i + 1], e->heads[i - e->before], 32);
    if (!m->settled && e->n_members > 0) {
        m->members = calloc(e->n_members, sizeof *m->members);
        /* Without memory it is read again at the next start, and until then not settled:
         * the others say that they are, and a question that leaves one out is refused. */
        if (m->members == NULL)
            return;
        memcpy(m->members, e->members, e->n_members * sizeof *m->members);
        m->n_members = e->n_members;
    }
    if (e->parts)
        m->n_members = 0;
    m->alone = m->n_members == 0;
    m->settled = true;
}

void memory_written(const struct memory_entry *e, bool stands)
{
    struct memory *m = e->memory;

    (void)pthread_mutex_lock(&m->work);
    (void)pthread_mutex_lock(&m->lock);
    if (m->lease == e->lease) {
        if (stands) {
            settle(m, e);
            m->people_stored = m->people_n;
        } else {
            leverage_free(&m->l); /* read again by the next that asks */
            m->mapped = false;
        }
        m->entering = false;
        m->lease = 0;
    }
    (void)pthread_mutex_unlock(&m->lock);
    (void)pthread_mutex_unlock(&m->work);
}

/* ---- out of a circle ---- */

/* Columns that the circle's products told apart may be one in this site's own rows: they are
 * a basis anew. */
static enum fault judge_anew(struct cx *cx, struct memory *m, struct db *db,
                             struct memory_entry *e)
{
    AUTO_LEVERAGE struct leverage *before = NULL;
    struct leverage_column *columns;
    uint64_t *products;
    bool *take;

    TRY(load(cx, m, db, m->stored));
    size_t n = leverage_rank(m->l);
    before = m->l;
    m->l = NULL;
    TRY(leverage_new(cx, m->people_n, &m->l));
    CX_NEW(cx, columns, n);
    CX_NEW(cx, take, n);
    CX_NEW(cx, products, leverage_products_size(m->l, n));
    for (size_t i = 0; i < n; i++) {
        struct bytes meaning = {0};
        uint8_t *copy;

        if (m->meanings != NULL)
            meaning = bytes_of(m->meanings[i].p, m->meanings[i].n);
        CX_NEW(cx, copy, meaning.n);
        if (meaning.n > 0)
            memcpy(copy, meaning.p, meaning.n);
        columns[i] = leverage_at(before, i);
        columns[i].meaning = bytes_of(copy, meaning.n);
        take[i] = true;
    }
    memory_drop_meanings(m, 0);
    TRY(leverage_products(cx, m->l, columns, n, products));
    return enter(cx, e, columns, n, products, take);
}

struct parting {
    struct memory_entry *e;
    db_work *work;
    void *user;
};

static enum fault write_parting(struct cx *cx, sqlite3 *sql, void *user)
{
    struct parting *p = user;

    TRY(memory_write(cx, sql, p->e));
    return p->work == NULL ? FAULT_NONE : p->work(cx, sql, p->user);
}

enum fault memory_part(struct cx *cx, struct memory *m, struct db *db, uint64_t lease,
                       db_work *work, void *user)
{
    AUTO_CX struct cx *own = cx_new((size_t)4 << 30, cx_deadline(cx));
    struct memory_entry e = {.memory = m, .lease = lease, .parts = true};
    struct parting p = {&e, work, user};

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    TRY(work_begin(cx, m, lease));
    enum fault fault = judge_anew(own, m, db, &e);

    (void)work_end(m, FAULT_NONE);
    if (fault == FAULT_NONE)
        fault = db_write(own, db, write_parting, &p);
    memory_written(&e, fault == FAULT_NONE);
    return fault == FAULT_NONE ? FAULT_NONE : cx_fail(cx, fault, "%s", cx_message(own));
}

enum fault memory_circle(struct cx *cx, struct memory *m, uint8_t (**ret)[32], size_t *ret_n)
{
    (void)pthread_mutex_lock(&m->lock);
    *ret_n = m->n_members;
    *ret = cx_array(cx, m->n_members + 1, sizeof **ret);
    if (*ret != NULL && m->n_members > 0)
        memcpy(*ret, m->members, m->n_members * sizeof **ret);
    (void)pthread_mutex_unlock(&m->lock);
    return *ret != NULL ? FAULT_NONE : FAULT_MEMORY;
}

void memory_confirm(struct memory *m, uint64_t n, const uint8_t head[32])
{
    (void)pthread_mutex_lock(&m->lock);
    if (n <= m->stored && n > m->confirmed && memcmp(m->heads[n], head, 32) == 0)
        m->confirmed = n;
    (void)pthread_mutex_unlock(&m->lock);
}

bool memory_is_settled(struct memory *m)
{
    (void)pthread_mutex_lock(&m->lock);
    bool settled = m->settled;
    (void)pthread_mutex_unlock(&m->lock);
    return settled;
}

uint64_t memory_length(struct memory *m, uint8_t ret_head[32])
{
    (void)pthread_mutex_lock(&m->lock);
    uint64_t n = m->stored;
    memcpy(ret_head, m->heads[n], 32);
    (void)pthread_mutex_unlock(&m->lock);
    return n;
}

enum fault memory_highest(struct cx *cx, struct memory *m, struct db *db, double *ret)
{
    uint8_t head[32];

    (void)pthread_mutex_lock(&m->work);
    enum fault fault =
        m->l != NULL ? FAULT_NONE : load(cx, m, db, memory_length(m, head));
    if (fault == FAULT_NONE)
        *ret = leverage_highest(m->l);
    return work_end(m, fault);
}
