/*
 * attack_case.h - cohorts of chosen patients, and one question about them.
 *
 * A variable that is not a quasi-identifier may be compared with any number, so whoever
 * knows scores can choose any patients by them. Attacks do.
 */
#pragma once

#include <stdlib.h>

#include "tests/node/session_case.h"

enum { ALL_MAX = VAULTS * VAULT_ROWS_MAX, ANY_SITE = VAULTS };

/* ---- patients by their scores ---- */

struct chosen {
    struct vault_row row;
    size_t site;
};

struct all { /* those whose score nobody else has, by score */
    struct chosen list[ALL_MAX];
    size_t n;
};

static inline int by_score(const void *a, const void *b)
{
    double x = ((const struct chosen *)a)->row.score,
           y = ((const struct chosen *)b)->row.score;

    return (x > y) - (x < y);
}

static inline struct all everybody(void)
{
    struct all all = {0};
    size_t n = 0;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i++)
            all.list[all.n++] = (struct chosen){t.site[s].rows[i], s};
    qsort(all.list, all.n, sizeof all.list[0], by_score);
    for (size_t i = 0; i < all.n; i++) {
        double own = all.list[i].row.score;

        if ((i == 0 || all.list[i - 1].row.score < own) &&
            (i + 1 == all.n || own < all.list[i + 1].row.score))
            all.list[n++] = all.list[i];
    }
    all.n = n;
    return all;
}

struct pick { /* so many patients */
    size_t n;
    int status; /* -1: any */
    size_t site;
    double below; /* this age; 0: any */
};

/* "score == a or score == b ...", nobody twice. */
static inline const char *cohort_of(struct cx *cx, const struct pick *picks, size_t n)
{
    struct buffer b = buffer_new(cx, 64 * 1024);
    struct all all = everybody();
    bool taken[ALL_MAX] = {false};

    for (size_t k = 0; k < n; k++) {
        size_t left = picks[k].n;

        for (size_t i = 0; i < all.n && left > 0; i++) {
            const struct vault_row *r = &all.list[i].row;

            if (taken[i] || (picks[k].status >= 0 && r->status != picks[k].status) ||
                (picks[k].site != ANY_SITE && all.list[i].site != picks[k].site) ||
                (picks[k].below > 0 && !(r->age < picks[k].below)))
                continue;
            taken[i] = true;
            left--;
            buffer_printf(&b, "%sscore == %.17g", b.n > 0 ? " or " : "", r->score);
        }
        CHECK_EQ_("patients that are not there", left, 0);
    }
    const char *text = buffer_string(&b);
    assert_non_null(text);
    return text;
}

/* So many with status 1 and with status 0, of any site. */
static inline const char *cases_of(struct cx *cx, size_t ones, size_t zeros)
{
    const struct pick picks[] = {{ones, 1, ANY_SITE, 0}, {zeros, 0, ANY_SITE, 0}};

    return cohort_of(cx, picks, COUNT(picks));
}

/* ---- asking ---- */

struct question {
    const char *analysis, *formula, *family, *by, *variable;
};

/* The packed request, for the caller's own play. */
static inline void ask_question(struct play *p, const struct question *q,
                                const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    Cohortium__Params params = COHORTIUM__PARAMS__INIT;
    char *variable = (char *)q->variable;

    assert_non_null(cx);
    Cohortium__Request *r = vaults_request(&t, cx, q->analysis, q->formula, cohort);
    if (q->variable != NULL) {
        params.variables = &variable;
        params.n_variables = 1;
        if (q->by != NULL)
            params.by = (char *)q->by;
        r->question->params = &params;
    }
    if (q->family != NULL)
        r->question->params->model->family = (char *)q->family;
    play_new(p, &t, vaults_seal(cx, r, t.researcher));
}

static inline const Cohortium__Release *ask_whole(struct play *p, const struct question *q,
                                                  const char *cohort)
{
    ask_question(p, q, cohort);
    play_whole(p);
    return play_release(p, 0);
}

static inline int state_of(const Cohortium__Release *r, const char *item, size_t i)
{
    int state;

    (void)released_value(released_item(r->result, item), i, &state);
    return state;
}

/* Whether it is released; if not, the log of this site gives this reason. */
static inline bool is_released(const struct question *q, const char *cohort, size_t site,
                               const char *reason)
{
    struct play p;
    bool released = ask_whole(&p, q, cohort)->released;

    if (!released) {
        const struct audit_entry *e = vaults_newest(&t, p.cx, site, "question");

        assert_non_null(e);
        if (strstr(e->details, reason) == NULL)
            fail_msg("the reason is: %s", e->details);
    }
    play_free(&p);
    return released;
}
