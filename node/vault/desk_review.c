/* desk_review.c - answers that wait for an officer: listed, shown whole, decided. */
#include <inttypes.h>
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/people.h"
#include "node/vault/review.h"
#include "protocol/base/clock.h"

enum { NAME_BYTES = 4, NAME_LEAST = 4, LABELS_MAX = 2000 };

static const char *const states[] = {[REVIEW_WAITING] = "waits",
                                     [REVIEW_ACCEPTED] = "accepted",
                                     [REVIEW_ROUNDED] = "rounded",
                                     [REVIEW_REFUSED] = "refused"};

struct looking {
    struct review_row *rows, one;
    size_t n;
    const char *word, *who;
};

static enum fault read_all(struct cx *cx, sqlite3 *sql, void *user)
{
    struct looking *l = user;

    return reviews_list(cx, sql, &l->rows, &l->n);
}

/* What waits, then, where all are wanted, what was decided. */
enum fault desk_review_list(struct desk *d)
{
    bool all = d->call->n_arguments > 0 && strcmp(d->call->arguments[0], "all") == 0;
    struct looking l = {0};
    size_t shown = 0;
    char at[32];

    TRY(db_read(d->cx, d->v->db, read_all, &l));
    for (size_t i = 0; i < l.n; i++) {
        const struct review_row *r = &l.rows[i];

        if (r->state != REVIEW_WAITING && !all)
            continue;
        shown++;
        buffer_printf(&d->text, "%s  %s  %-8s %s%s%s%s%s\n",
                      bytes_hex(d->cx, r->question, NAME_BYTES),
                      clock_format(r->held_at, at, sizeof at), states[r->state], r->words,
                      r->by[0] != '\0' ? "; " : "", r->by, r->by[0] != '\0' ? ": " : "",
                      r->reason);
    }
    if (shown == 0)
        buffer_text(&d->text, all ? "no answer has waited for an officer here\n"
                                  : "no answer waits for an officer here\n");
    return FAULT_NONE;
}

/* The one whose name begins so. */
static enum fault find_one(struct cx *cx, sqlite3 *sql, void *user)
{
    struct looking *l = user;
    const struct review_row *found = NULL;
    size_t n = strlen(l->word);

    TRY(reviews_list(cx, sql, &l->rows, &l->n));
    for (size_t i = 0; i < l->n; i++) {
        const char *name = bytes_hex(cx, l->rows[i].question, DIGEST_BYTES);

        if (name == NULL)
            return FAULT_MEMORY;
        if (n < NAME_LEAST || strncmp(name, l->word, n) != 0)
            continue;
        if (found != NULL)
            return cx_fail(cx, FAULT_INVALID,
                           "several begin with `%.64s`; give more digits", l->word);
        found = &l->rows[i];
    }
    if (found == NULL)
        return cx_fail(cx, FAULT_MISSING,
                       "no answer has waited here as `%.64s`; `cohortiumd review list` shows "
                       "them",
                       l->word);
    TRY(people_name(cx, sql, found->who, &l->who));
    return reviews_find(cx, sql, found->question, &l->one);
}

/* ---- the answer, number by number ---- */

static void put_value(struct desk *d, const Cohortium__Item *item, size_t k)
{
    uint8_t state = k < item->state.len ? item->state.data[k] : 0;

    if (state == 0)
        buffer_printf(&d->text, " %.10g", item->values[k]);
    else
        buffer_text(&d->text, state == 1 ? " withheld" : " -");
}

static void put_item(struct desk *d, const Cohortium__Item *item)
{
    size_t columns = item->columns > 0 ? item->columns : 1;

    buffer_printf(&d->text, "    %s:", item->name);
    for (size_t k = 0; k < item->n_words && k < LABELS_MAX; k++)
        buffer_printf(&d->text, "%s %s", k > 0 ? "," : "", item->words[k]);
    for (size_t k = 0; k < item->n_values; k++) {
        if (columns > 1 && k % columns == 0 && item->n_values > columns)
            buffer_text(&d->text, "\n       ");
        put_value(d, item, k);
    }
    if (item->step > 0)
        buffer_printf(&d->text, "  (to %.10g)", item->step);
    buffer_text(&d->text, "\n");
}

static enum fault put_release(struct desk *d, const struct review_row *row, bool *ret_exact)
{
    Cohortium__Release *r;

    TRY(pb_unpack(d->cx, &cohortium__release__descriptor, row->body,
                  envelope_bound(ENVELOPE_RELEASE), &r));
    *ret_exact = r->exact_for_testing;
    if (!r->released || r->result == NULL) {
        buffer_text(&d->text, "would leave: NOT_RELEASED, and no number\n");
        return FAULT_NONE;
    }
    buffer_text(&d->text, "would leave:\n");
    for (size_t i = 0; i < r->result->n_items; i++)
        put_item(d, r->result->items[i]);
    for (size_t i = 0; i < r->result->n_notes; i++)
        buffer_printf(&d->text, "    %s\n", r->result->notes[i]);
    return FAULT_NONE;
}

static enum fault put_permit(struct desk *d, struct bytes id)
{
    struct bytes packed;
    struct permit p;

    if (id.n == ID_BYTES && vault_find_permit(d->cx, d->v, id.p, &packed) == FAULT_NONE &&
        permit_verify(d->cx, d->v->manifest, packed, &p) == FAULT_NONE)
        buffer_printf(&d->text, "permit    \"%s\": %s\n", p.body->title, p.body->purpose);
    else
        buffer_printf(&d->text, "permit    %s\n", bytes_hex(d->cx, id.p, id.n));
    return d->text.fault;
}

static void put_ways(struct desk *d, const struct review_row *row, bool exact)
{
    const char *name = bytes_hex(d->cx, row->question, NAME_BYTES);

    if (row->may_round)
        buffer_printf(&d->text,
                      "accept, round or refuse it, as in\n    cohortiumd review round "
                      "--multiple 20 --key officer.key --reason TEXT %s\n",
                      name);
    else
        buffer_printf(
            &d->text,
            "accept or refuse it, as in\n    cohortiumd review accept --key officer.key "
            "--reason TEXT %s\nIt cannot be rounded here: %s\n",
            name,
            exact ? "it is exact, for testing."
                  : "all sites make these numbers together under masks.");
}

/* The paper as an officer would sign it, but for what they decide. */
static enum fault give_paper(struct desk *d, const struct review_row *row)
{
    Cohortium__Review r = COHORTIUM__REVIEW__INIT;
    struct bytes packed;

    r.consortium = PB_DATA(bytes_of(d->v->manifest->consortium, DIGEST_BYTES));
    r.member = d->v->self->node_id;
    r.question = PB_DATA(bytes_of(row->question, DIGEST_BYTES));
    r.release = PB_DATA(bytes_of(row->digest, DIGEST_BYTES));
    TRY(pb_pack(d->cx, &r.base, &packed));
    return desk_give(d, packed);
}

enum fault desk_review_show(struct desk *d)
{
    struct looking l = {0};
    char at[32];
    bool exact;

    TRY(desk_word(d, 0, "an answer that waits, as `review list` names it", &l.word));
    TRY(db_read(d->cx, d->v->db, find_one, &l));
    const struct review_row *r = &l.one;
    buffer_printf(&d->text, "question  %s\nasked by  %s\n", r->words, l.who);
    TRY(put_permit(d, r->permit));
    buffer_printf(&d->text, "since     %s\nthe gate  %s\n",
                  clock_format(r->held_at, at, sizeof at), r->details);
    if (r->state != REVIEW_WAITING) {
        buffer_printf(&d->text, "%s by %s, reason: %s\n", states[r->state], r->by,
                      r->reason);
        return FAULT_NONE;
    }
    TRY(put_release(d, r, &exact));
    put_ways(d, r, exact);
    return give_paper(d, r);
}

enum fault desk_review_decide(struct desk *d)
{
    static const char *const said[REVIEW_DECISIONS] = {
        [REVIEW_ACCEPT] = "accepted: it leaves",
        [REVIEW_ROUND] = "rounded: it leaves",
        [REVIEW_REFUSE] = "refused: NOT_RELEASED is answered"};
    struct bytes packed;
    struct review review;

    TRY(desk_blob(d, 0, "a review that an officer has signed", &packed));
    TRY(review_take(d->cx, d->v, packed, &review));
    buffer_printf(&d->text,
                  "%s when the question comes again; one that was left with --later does so "
                  "by itself\n",
                  said[review.decision]);
    return FAULT_NONE;
}
