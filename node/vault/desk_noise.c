/* desk_noise.c - what noised answers have spent, for officers: no patient's number in it.
 */
#include <inttypes.h>

#include "node/vault/desk.h"

enum { LINES_MAX = 50 };

struct spent {
    struct zcdp_line *lines[3];
    size_t n[3];
};

static const enum zcdp_by by[3] = {ZCDP_BY_DATASET, ZCDP_BY_PERMIT, ZCDP_BY_RESEARCHER};

static enum fault read_spent(struct cx *cx, sqlite3 *sql, void *user)
{
    struct spent *s = user;

    for (size_t i = 0; i < COUNT(by); i++)
        TRY(zcdp_lines(cx, sql, by[i], LINES_MAX, &s->lines[i], &s->n[i]));
    return FAULT_NONE;
}

static uint64_t limit_of(const struct zcdp_limits *limits, enum zcdp_by which)
{
    return which == ZCDP_BY_DATASET  ? limits->dataset
           : which == ZCDP_BY_PERMIT ? limits->permit
                                     : limits->researcher;
}

enum fault desk_policy_spent(struct desk *d)
{
    static const char *const names[3] = {"patients", "permit", "researcher"};
    const struct policy_now *now;
    struct spent s = {0};

    TRY(vault_policy(d->cx, d->v, &now));
    struct policy noised = now->numbers;
    noised.number[POLICY_NOISE_MECHANISM] = 1;
    const struct zcdp_limits limits = gate_noise_limits(&noised);

    TRY(db_read(d->cx, d->v->db, read_spent, &s));
    buffer_printf(&d->text, "noise_mechanism: %s; a question spends rho %s\n",
                  policy_is_noised(&now->numbers) ? "discrete_gaussian" : "none",
                  zcdp_text(d->cx, limits.rho, true));
    if (s.n[0] == 0)
        buffer_text(&d->text, "nothing was spent\n");
    for (size_t i = 0; i < COUNT(by); i++)
        for (size_t k = 0; k < s.n[i]; k++)
            buffer_printf(&d->text, "%s %s: rho %s of %s, %" PRIu64 " question%s\n",
                          names[i], s.lines[i][k].who,
                          zcdp_text(d->cx, s.lines[i][k].rho, true),
                          zcdp_text(d->cx, limit_of(&limits, by[i]), false),
                          s.lines[i][k].questions, s.lines[i][k].questions == 1 ? "" : "s");
    return FAULT_NONE;
}
