/*
 * policy_template.h - three policies to begin with, as files that explain themselves.
 *
 *   cautious   every field at its default
 *   standard   as cautious, but zero cells of what is not sensitive are shown
 *   open       for data of low risk: from 5 patients on, finer, larger, by site
 *
 * A file holds every field with its meaning, range and price in plain words, and is read
 * back (policy_yaml.h) to exactly the numbers of its template.
 */
#pragma once

#include "node/vault/policy.h"

struct policy_template {
    const char *name, *summary;
};

/* The i-th, from the strictest on; NULL at the end. */
const struct policy_template *policy_template_at(size_t i);
/* Its numbers. False: there is none of this name. */
bool policy_template_find(const char *name, struct policy *ret);
/* The file, in cx. FAULT_USAGE: no template of this name. */
CHECKED enum fault policy_template_text(struct cx *cx, const char *name, struct bytes *ret);
