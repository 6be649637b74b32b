/*
 * look.h - what the commands that look around share.
 *
 *   cmd_look.c  codebook, sites, status      cmd_find.c    datasets, --search
 *   cmd_diff.c  codebook diff                cmd_doctor.c  doctor
 */
#pragma once

#include "node/cli/home.h"

enum { LOOK_OUT_MAX = 16 * 1024 * 1024 };

/* To standard output, whole. */
CHECKED enum fault look_print(struct cli *cli, struct buffer *out);
/* "name":"value" of a JSON object, with a comma in front unless it is the first. */
void look_pair(struct buffer *out, bool first, const char *name, const char *value);

const char *look_type(Cohortium__VarType type);
const char *look_role(Cohortium__Role role);
/* A bound or cut point as its variable's values are written: a date as a date. In cx. */
const char *look_number(struct cx *cx, const Cohortium__Variable *v, double x);

/* "from age cut at 50, 60", "from dx: E10 is diabetes, ..."; "" of one that is not derived. */
const char *look_derived(struct cx *cx, const struct codebook *cb,
                         const Cohortium__Variable *v);

typedef enum fault look_show(struct cli *cli, const struct args *args, struct home *home);
/* So many words; a link to home; show; closed again. */
CHECKED enum fault look(struct cli *cli, const struct args *args, size_t words,
                        look_show *show);
