/* coordinate_private.h - one question on its way; for coordinate*.c alone. */
#pragma once

#include "node/net/net.h"
#include "protocol/receipt.h"

enum phase { LINKING, PREFLIGHT, BEGINNING, PROPOSING, STEPPING };

struct part { /* one site of a question */
    struct ask *ask;
    size_t i;
    const Cohortium__Member *who;
    bool waiting;
    struct bytes preflight, accept, vector;
    Cohortium__Answer *answer;
};

struct ask {
    struct ask *next;
    uint8_t who[32]; /* the researcher */
    struct net *net;
    struct cx *cx;       /* the whole question */
    struct cx *round[2]; /* this round and the one before */
    unsigned turn;
    struct served *served;
    struct request request;
    size_t n, home, waiting;
    struct part *parts;
    enum phase phase;
    bool rerun, failed, linking;
    uint32_t rounds;
    int64_t deadline, linking_until;
    struct bytes proposal;
    uint64_t timer;
};

/* coordinate_receipt.c: what all sites have said, packed for the researcher. */
CHECKED enum fault ask_receipt(struct ask *a, struct bytes *ret);
