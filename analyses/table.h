/* table.h - what table.c and table_show.c share. */
#pragma once

#include "analyses/levels.h"

#define TABLE_MISSING "(missing)"

struct table_params {
    size_t n; /* variables: 1 or 2 */
    struct levels key[2];
    bool missing;
    double confidence;
};

static inline size_t table_rows(const struct table_params *p)
{
    return p->key[0].n + p->missing;
}
static inline size_t table_columns(const struct table_params *p)
{
    return p->n == 1 ? 1 : p->key[1].n + p->missing;
}

enum fault table_show(struct cx *cx, const struct asked *asked,
                      const Cohortium__Release *release, struct report *report);
