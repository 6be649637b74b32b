/*
 * derived.h - variables that a codebook derives from others: what of them is allowed.
 */
#pragma once

#include "analyses/codebook.h"

/* Of a codebook whose variables are valid one by one. FAULT_FORMAT names the variable. */
CHECKED enum fault derived_check(struct cx *cx, const Cohortium__Codebook *body,
                                 const Cohortium__Variable *v);
