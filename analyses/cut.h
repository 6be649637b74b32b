/*
 * cut.h - `cut(x)` and `cut(x, [a, b])` in the languages: a number or date in intervals.
 *
 * Inside the languages only. In a cohort it becomes plain comparisons with its cut points,
 * which are judged like any; in tables and formulas it is the codebook's derived variable of
 * these points. Points lie on the codebook's grid wherever there is one.
 */
#pragma once

#include "analyses/expression.h"

/* The next word is `cut` and a parenthesis follows. */
bool cut_is_next(const struct parser *p);
/* The codebook's variable that is this cut. */
CHECKED enum fault cut_variable(struct parser *p, struct operand *ret);
/* cut(age, [50, 60]) == "50-59", `in (...)`, `is missing`. */
CHECKED enum fault cut_condition(struct parser *p, struct operand *ret);
