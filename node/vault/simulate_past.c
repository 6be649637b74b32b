/*
 * simulate_past.c - the log's questions, each once whoever asked it and however often.
 *
 * A record names the question by its digest, over versions and policy as well; the question
 * itself is in the answer that was kept under it. The same question of other rows or under
 * another policy has another digest and the same form. A request that was refused before data
 * were looked at has no answer; its question is kept beside the log.
 */
#include "node/vault/simulate_past.h"

#include <stdlib.h>
#include <string.h>

#include "analyses/question_words.h"

enum { RECORDS_MAX = 50000, LEFT_OUT = 4096, KEPT_MAX = 10000, KEPT_BYTES_MAX = 16 * 1024 };

struct past { /* of one record, then of all with its form */
    const struct audit_entry *entry;
    uint8_t key[DIGEST_BYTES]; /* the question's digest, or its request's; then its form's */
    bool released;
    uint64_t first, times;
    const Cohortium__Question *question;
    const char *reference;
};

struct reading {
    struct audit_entry *entries;
    size_t n_entries;
    struct past *list;
    size_t n;
    uint64_t lost;
};

/* ---- by key, each once ---- */

static int by_key(const void *a, const void *b)
{
    const struct past *x = a, *y = b;
    int order = memcmp(x->key, y->key, DIGEST_BYTES);

    if (order != 0)
        return order;
    return x->entry->index < y->entry->index ? -1 : x->entry->index > y->entry->index;
}

static int by_first(const void *a, const void *b)
{
    const struct past *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* The newest record of each key stays. */
static size_t merge(struct past *list, size_t n)
{
    size_t kept = 0;

    qsort(list, n, sizeof *list, by_key);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || memcmp(list[kept - 1].key, list[i].key, DIGEST_BYTES) != 0) {
            list[kept++] = list[i];
            continue;
        }
        struct past *before = &list[kept - 1];
        struct past now = list[i];

        now.first = before->first < now.first ? before->first : now.first;
        now.times += before->times;
        *before = now;
    }
    return kept;
}

/* ---- the question of a record ---- */

static bool was_refused(const Cohortium__LogRecord *r)
{
    return strcmp(r->kind, "invalid") == 0;
}

/* NULL: it is of something else. */
static const uint8_t *key_of(const Cohortium__LogRecord *r)
{
    if (was_refused(r) && r->subject.len == DIGEST_BYTES)
        return r->subject.data;
    if ((strcmp(r->kind, "question") == 0 || strcmp(r->kind, "repeat") == 0) &&
        r->question.len == DIGEST_BYTES)
        return r->question.data;
    return NULL;
}

enum fault simulate_keep(struct cx *cx, sqlite3 *sql, const uint8_t request[DIGEST_BYTES],
                         const Cohortium__Question *question)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL, *purge = NULL;
    struct bytes packed;

    TRY(pb_pack(cx, &question->base, &packed));
    if (packed.n > KEPT_BYTES_MAX)
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR IGNORE INTO refused(request, question) VALUES(?,?)", "bb",
                   bytes_of(request, DIGEST_BYTES), packed));
    TRY(db_run(cx, sql, stmt));
    TRY(db_prepare(cx, sql, &purge,
                   "DELETE FROM refused WHERE row <= (SELECT max(row) FROM refused) - ?",
                   "i", (int64_t)KEPT_MAX));
    return db_run(cx, sql, purge);
}

static enum fault read_refused(struct cx *cx, sqlite3 *sql, struct past *p)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    Cohortium__Question *question;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT question FROM refused WHERE request=?", "b",
                   bytes_of(p->key, DIGEST_BYTES)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_MISSING, "the question of this request is not kept");
    TRY(pb_unpack(cx, &cohortium__question__descriptor, db_bytes(cx, stmt, 0),
                  KEPT_BYTES_MAX, &question));
    p->question = question;
    p->reference = "";
    return FAULT_NONE;
}

static enum fault take_answer(struct cx *cx, const struct answer_row *row, struct past *p)
{
    struct envelope e;
    Cohortium__Release *r;

    TRY(envelope_open(cx, ENVELOPE_RELEASE, row->release, &e));
    TRY(pb_unpack(cx, &cohortium__release__descriptor, e.body,
                  envelope_bound(ENVELOPE_RELEASE), &r));
    p->question = r->question;
    p->released = r->released;
    p->reference =
        r->released ? "" : bytes_hex(cx, r->reference.data, r->reference.len);
    return p->reference != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault read_question(struct cx *cx, sqlite3 *sql, struct past *p)
{
    bool refused = was_refused(p->entry->record);
    struct answer_row row;
    enum fault fault =
        refused ? read_refused(cx, sql, p) : answers_find(cx, sql, p->key, &row);

    if (fault == FAULT_NONE && !refused)
        fault = take_answer(cx, &row, p);
    if (fault == FAULT_MISSING || fault == FAULT_FORMAT) {
        p->question = NULL;
        return FAULT_NONE;
    }
    return fault;
}

static enum fault set_form(struct cx *cx, struct past *p)
{
    static const uint8_t no_policy[DIGEST_BYTES];

    return question_digest(cx, p->question, NULL, 0, no_policy, p->key);
}

static enum fault read_past(struct cx *cx, sqlite3 *sql, void *user)
{
    struct reading *r = user;
    size_t kept = 0;

    TRY(audit_list(cx, sql, NULL, RECORDS_MAX, &r->entries, &r->n_entries));
    CX_NEW(cx, r->list, r->n_entries);
    for (size_t i = 0; i < r->n_entries; i++) {
        const struct audit_entry *e = &r->entries[i];

        if (key_of(e->record) == NULL)
            continue;
        struct past *p = &r->list[r->n++];

        *p = (struct past){.entry = e, .first = e->index, .times = 1};
        memcpy(p->key, key_of(e->record), DIGEST_BYTES);
    }
    r->n = merge(r->list, r->n);
    for (size_t i = 0; i < r->n; i++) {
        TRY(read_question(cx, sql, &r->list[i]));
        if (r->list[i].question == NULL) {
            r->lost += r->list[i].times;
            continue;
        }
        TRY(set_form(cx, &r->list[i]));
        r->list[kept++] = r->list[i];
    }
    r->n = merge(r->list, kept);
    return FAULT_NONE;
}

/* ---- for people ---- */

static enum fault say(struct cx *cx, const struct past *p, struct simulated *ret)
{
    *ret = (struct simulated){.question = p->question,
                              .words = question_words(cx, p->question),
                              .record = p->entry->index,
                              .asked_at = (int64_t)p->entry->record->time,
                              .times = p->times,
                              .permit = PB_BYTES(p->entry->record->permit),
                              .released = p->released,
                              .reference = p->reference};
    if (ret->words != NULL && strlen(ret->words) > LEFT_OUT)
        ret->words = "a question too long to write here";
    return ret->words != NULL ? FAULT_NONE : FAULT_MEMORY;
}

enum fault simulate_past(struct cx *cx, struct vault *v, struct simulation *ret)
{
    struct reading r = {0};
    size_t skip;

    TRY(db_read(cx, v->db, read_past, &r));
    qsort(r.list, r.n, sizeof *r.list, by_first);
    skip = r.n > SIMULATE_QUESTIONS_MAX ? r.n - SIMULATE_QUESTIONS_MAX : 0;
    *ret = (struct simulation){.n = r.n - skip,
                               .lost = r.lost,
                               .cut = skip > 0 || r.n_entries == RECORDS_MAX};
    CX_NEW(cx, ret->list, ret->n);
    for (size_t i = 0; i < ret->n; i++) {
        TRY(say(cx, &r.list[skip + i], &ret->list[i]));
        ret->records += ret->list[i].times;
    }
    ret->records += ret->lost;
    return FAULT_NONE;
}
