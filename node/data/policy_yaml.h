/*
 * policy_yaml.h - what may leave, as officers write it.
 *
 *   class: cautious                      or testing (lab manifests only)
 *   minimum_frequency_threshold: 12      any field of node/vault/policy.h's table
 *   by_site: yes
 *   collusion_assumed: none
 *   allowed_statistics: [count, table]   left out: all
 *   reviewed_statistics: [glm]           left out: none; the word all: every one
 *   valid_from: 2026-11-24               left out: now
 *   valid_until: 2027-11-23              this day included; left out: 12 months
 *   reason: first policy of this site
 *
 * A field left out has its class's default. In class cautious, minimum_complement and
 * minimum_population follow the threshold given, and model_max_leverage is 1/threshold.
 * "class: testing" alone is the built-in policy exact-for-testing.
 */
#pragma once

#include "node/vault/policy.h"

extern const char policy_yaml_exact_for_testing[];

/* Reads and checks each field against its range. FAULT_FORMAT names FILE:LINE:COLUMN; the
 * class testing without `lab` is refused. node_id and serial are the caller's to set. In
 * cx. */
CHECKED enum fault policy_from_yaml(struct cx *cx, const char *path, const char *text,
                                    size_t n, bool lab, Cohortium__Policy **ret);
