/* witness_private.h - what witness.c and witness_peers.c share. */
#pragma once

#include "node/net/net.h"

enum {
    WITNESS_ADD_MAX = 16 * 1024, /* bytes of a checkpoint with its proof, and of a reply */
    WITNESS_HELD_MAX = 1024 * 1024, /* bytes of what a peer holds of a log */
};

struct added { /* our vault judges a peer's */
    struct added *next;
    struct witness *w;
    const Cohortium__Member *who;
    struct served *served;
};

struct witness {
    struct net *net;
    struct shown *shown; /* calls that are out */
    struct added *added;
    struct round *round; /* one at a time */
    bool more, at_once;  /* after this one another */
    unsigned again;
    uint64_t soon, minute;
    struct wanted *wanted;
    size_t n_wanted;
    bool closing;
};
