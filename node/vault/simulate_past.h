/*
 * simulate_past.h - the questions that the log keeps, each once.
 */
#pragma once

#include "node/vault/simulate.h"

/* Fills what is of then; verdicts and outcomes are left to simulate.c. */
CHECKED enum fault simulate_past(struct cx *cx, struct vault *v, struct simulation *ret);
