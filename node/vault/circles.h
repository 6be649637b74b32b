/*
 * circles.h - who judges together in one question (memory.h), from what all preflights say.
 */
#pragma once

#include "node/vault/memory.h"

struct circle {
    size_t n;       /* sites */
    size_t *sites;  /* places among the participants */
    uint64_t length;
    uint8_t head[32]; /* over so many columns, which all of them hold */
};

struct circles {
    size_t n;
    struct circle *list;
    size_t own; /* SIZE_MAX: this site judges alone */
};

/* ids: of the participants, in the question's order; claims: theirs. FAULT_INVALID: a site is
 * left out that its circle is never asked without; FAULT_CONFLICT: they do not agree. */
CHECKED enum fault circles_make(struct cx *cx, const struct bytes *ids,
                                Cohortium__Memory *const *claims, size_t n, size_t self,
                                struct circles *ret);
/* Of a claim that came from somebody else: FAULT_FORMAT. */
CHECKED enum fault circles_check_claim(struct cx *cx, const Cohortium__Memory *claim,
                                       const char *name);
