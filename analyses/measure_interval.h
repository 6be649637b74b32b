/*
 * measure_interval.h - intervals of a measure's nodes; used by measure.c alone.
 */
#pragma once

#include "analyses/measure.h"

/* Fills lower, upper, boolean and whole of `n` from its operands. An interval that is not
 * finite is left as it comes: the caller refuses it. */
void measure_interval(const struct measure *m, struct measure_node *n);
