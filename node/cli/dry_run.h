/*
 * dry_run.h - what the parts of a dry run share: a question and the policy of its session.
 * Nothing here follows from rows.
 */
#pragma once

#include "analyses/analysis.h"
#include "node/vault/policy.h"

struct dry {
    const struct analysis *analysis; /* under noise its noised form */
    struct asked asked;
    struct plan plan;
    struct regions regions;
    struct policy policy; /* the session's: the strictest of the sites, floor, ceiling */
    bool noised, by_site;
    bool alone; /* fewer sites than a circle judge by pooled numbers */
};

/* dry_rules.c: which rules apply, by number, with what they say here. */
void put_dry_rules(struct buffer *out, const struct dry *d);
void put_json_dry_rules(struct buffer *out, const struct dry *d); /* "list":[...] */
