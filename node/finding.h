/*
 * finding.h - what a doctor has found: one claim that holds, is to be known, or does not
 * hold.
 *
 *   text  "PROBLEM  the port is open", and below it "-> " with the remedy
 *   JSON  {"check": a stable word, "state": ok|note|problem, "text", "remedy"}, the same
 * findings
 */
#pragma once

#include "protocol/base/bytes.h"

enum finding { FINDING_WELL, FINDING_NOTE, FINDING_PROBLEM };

struct finding_list {
    struct buffer text, json; /* json: members of a list */
    size_t n, problems;
};

struct finding_list finding_list_new(struct cx *cx, size_t most);
/* ,"name":"text" for JSON written by hand; texts are clean UTF-8. */
void json_pair(struct buffer *out, const char *name, const char *text);
/* what: the claim. remedy: shown where it does not hold. Either may be NULL (no memory). */
void finding_put(struct finding_list *list, const char *check, enum finding finding,
                 const char *what, const char *remedy);
