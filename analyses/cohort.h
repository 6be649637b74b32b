/*
 * cohort.h - the cohort language, parsed where the researcher sits.
 *
 *   age >= 50 and sex == "female" and not (dx in ("E10","E11")) and bmi between 25 and 40
 *   and is missing(x) or is not missing(y)
 *
 * Precedence: or < and < not < comparison < + - < * / < unary - < ^. Strings in single or double
 * quotes. Dates are strings compared with a date variable: "2021-03-31". Keywords in lower case.
 */
#pragma once

#include "analyses/ast.h"

enum { COHORT_TEXT_MAX = 64 * 1024 };

/* FAULT_INVALID with the place, what was expected and a suggestion
 * ("--where: at `agee` (column 1): no variable `agee` in lung; did you mean `age`?"). */
CHECKED enum fault cohort_parse(struct cx *cx, const struct codebook *cb, const char *text,
                                struct ast **ret);
