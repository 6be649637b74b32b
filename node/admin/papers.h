/*
 * papers.h - what the commands on policies share.
 */
#pragma once

#include "node/admin/command.h"

/* A policy as people write it: a YAML file, or the word of a built-in one (`cautious`,
 * `exact-for-testing`). lab: class testing may be. */
CHECKED enum fault read_policy_yaml(struct invocation *in, const char *path, bool lab,
                                    Cohortium__Policy **ret);
/* This node in its manifest, by its own signing key. */
CHECKED enum fault own_member(struct invocation *in, const struct manifest *m,
                              const Cohortium__Member **ret);
