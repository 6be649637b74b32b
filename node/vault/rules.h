/*
 * rules.h - the rules by number, in plain words: what each protects, and what somebody whom
 * it refused can do. DISCLOSURE.md 1.1 as amended by its section 0.
 *
 * The log names a rule by its number or, where it has none, by a word; rules_in finds them
 * in what it says.
 */
#pragma once

#include "node/vault/policy.h"

enum { RULES_NUMBERED = 25 };

struct rule {
    const char *mark; /* "R1" to "R25"; or the word in the log */
    const char *name;
    const char *meaning, *officer, *researcher; /* sentences; the last two NULL where the
                                                   rule refuses nothing in this version */
    int field;                                  /* enum policy_field; -1: none */
};

/* R1 to R25 in order, then what has no number; NULL at the end. */
const struct rule *rule_at(size_t i);
/* "R7" (or "r7"); NULL: there is no such rule. */
const struct rule *rule_find(const char *number);
/* The rules that `text`, a reason from the log, names: each once, in its order. */
size_t rules_in(const char *text, const struct rule **ret, size_t most);
/* The rule in words, lines of at most 88 letters. */
void rule_put(struct buffer *out, const struct rule *r);
/* Sentences in such lines, behind `label` in a column of `width`. */
void rule_put_wrapped(struct buffer *out, const char *label, size_t width,
                      const char *text);
