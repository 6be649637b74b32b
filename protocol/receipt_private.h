/*
 * receipt_private.h - what the files receipt*.c share; nobody else includes it.
 *
 *   receipt.c         digests; the file
 *   receipt_verify.c  who asked what, by whose leave: manifests, request, permits,
 * preflights receipt_answer.c  what was answered: ACCEPTs, releases, log records
 *   receipt_witness.c  who else has seen the logs
 */
#pragma once

#include "protocol/receipt.h"

enum { VERSION_ID_BYTES = 16, REFERENCE_BYTES = 8, STATEMENTS = 32, STATEMENTS_A_SITE = 4 };

struct site_release {
    const Cohortium__Release *body;
    struct envelope envelope;
    uint8_t question[32], policy[32];
};

struct check {
    struct cx *cx;
    const Cohortium__Receipt *receipt;
    struct receipt_facts *facts;
    size_t most_statements;
    size_t n;                      /* participants */
    const Cohortium__Member **who; /* in order */
    struct permit *permits;
    const Cohortium__Preflight **preflights; /* in order of participants */
    size_t n_releases;
    struct site_release *releases;
    Cohortium__LogRecord **records; /* claimed until their proofs are checked */
    int64_t first, last;            /* times of the records */
    uint8_t session[32];            /* that the ACCEPTs opened */
    bool from_sessions; /* some record says that the question was answered anew */
};

static inline bool data_equal(ProtobufCBinaryData a, const void *p, size_t n)
{
    return bytes_equal(PB_BYTES(a), bytes_of(p, n));
}

/* receipt.c. The question without what changes no number: the words that somebody typed. */
CHECKED enum fault receipt_question_body(struct cx *cx, const Cohortium__Question *question,
                                         struct bytes *ret);

/* receipt_verify.c */
enum fault receipt_denied(struct check *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whatever a part of a receipt is, if it does not hold the receipt is not believed. */
enum fault receipt_part_failed(struct check *k, const char *part);
/* Adds a statement. */
CHECKED enum fault receipt_state(struct check *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Signed by the participant that it names, in this consortium, under a manifest of the
 * chain. */
CHECKED enum fault receipt_check_stamp(struct check *k, const char *part,
                                       const Cohortium__Stamp *stamp,
                                       const struct envelope *envelope, size_t *ret_site);

/* What names another request by digest is told so first. */
CHECKED enum fault receipt_check_request_id(struct check *k, const char *part,
                                            const Cohortium__Stamp *stamp, size_t site);

/* receipt_answer.c, when all else holds. */
CHECKED enum fault receipt_check_answer(struct check *k);
/* receipt_witness.c, after it: never a fault but for memory. */
CHECKED enum fault receipt_check_witnesses(struct check *k);
