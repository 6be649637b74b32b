/*
 * fault.h - the kinds of failure, and how one is passed upward.
 *
 * A function that can fail returns `enum fault` and leaves one sentence in its cx (cx.h).
 * A peer hears the kind, never the sentence.
 */
#pragma once

enum fault {
    FAULT_NONE = 0,
    FAULT_MEMORY,      /* no memory, or the cx's limit is reached */
    FAULT_INVALID,     /* the caller's request is wrong; decided without data */
    FAULT_REFUSED,     /* policy says no */
    FAULT_DENIED,      /* a signature, key or credential does not hold */
    FAULT_FORMAT,      /* bytes are not what they claim to be */
    FAULT_BOUND,       /* a size is beyond its bound */
    FAULT_EXPIRED,     /* outside its validity window */
    FAULT_REPLAY,      /* seen before */
    FAULT_MISSING,     /* no such thing */
    FAULT_NUMERIC,     /* not finite, singular, beyond its scale */
    FAULT_STORAGE,     /* disk or database */
    FAULT_IO,          /* network or file */
    FAULT_TIMEOUT,     /* a deadline passed */
    FAULT_CANCELLED,   /* somebody asked to stop */
    FAULT_UNAVAILABLE, /* a peer or a child process is not there */
    FAULT_CONFLICT,    /* two parties do not agree, or a lie was found */
    FAULT_BUSY,        /* somebody else is at it; again in a moment */
    FAULT_HELD,        /* an officer must look at it first */
    FAULT_USAGE,       /* command line */
    FAULT_INTERNAL     /* a defect of ours */
};

/* A word for the kind, stable, without detail: what a peer may hear. */
const char *fault_name(enum fault fault);

#define CHECKED __attribute__((warn_unused_result))

/* Passes a fault upward; our only macro that hides a return. */
#define TRY(call)                                                                              \
    do {                                                                                       \
        enum fault try_fault_ = (call);                                                        \
        if (try_fault_ != FAULT_NONE)                                                          \
            return try_fault_;                                                                 \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
