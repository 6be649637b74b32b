/*
 * simulate_past.h - the questions that the log keeps, each once.
 */
#pragma once

#include "node/vault/simulate.h"

/* Keeps the question of a request that is refused without data, as a part of the write that logs
 * it: no log has it. Few are kept for long, and no large one. */
CHECKED enum fault simulate_keep(struct cx *cx, sqlite3 *sql,
                                 const uint8_t request[DIGEST_BYTES],
                                 const Cohortium__Question *question);

/* Fills what is of then; verdicts and outcomes are left to simulate.c. */
CHECKED enum fault simulate_past(struct cx *cx, struct vault *v, struct simulation *ret);
