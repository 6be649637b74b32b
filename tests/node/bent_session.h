/*
 * bent_session.h - every message of a session with every one of its fields bent (bend.h),
 * told in the middle of an otherwise honest session by the party that may sign it.
 *
 * Each bent message is told twice, each time in a session of its own: to one honest vault,
 * and, where that one took it, to all of them, the liar's own vault with them. What comes
 * of it:
 *
 *   found at once   the step faults, the session is gone, nothing is logged or signed
 *   found later     another step of that session faults; no honest vault has signed an
 * answer nothing         the session ends with the same true answer at every vault: then
 * the field must be excused by name, with a reason
 *
 * No refusal may name an honest member as the one at fault.
 */
#pragma once

#include "tests/node/lie.h"
#include "tests/protocol/bend.h"

enum bent_mode {
    BENT_SIGNED,   /* a field, signed again by who may sign it */
    BENT_RAW,      /* a field, under the signature of the true message */
    BENT_WIRE,     /* the encoding, signed again */
    BENT_ENVELOPE, /* the fields of what carries body and signature */
    BENT_CARRIER,  /* and its encoding */
    BENT_MODES
};

/* Where a message is in a session, and how it is put in the true one's place. */
struct scene {
    const char *message;
    const ProtobufCMessageDescriptor *d;
    enum envelope_kind kind;
    const char *analysis, *formula; /* NULL: count */
    bool by_site;
    uint32_t round; /* in which it is told; vectors are of the round before */
    size_t liar, victim;
    bool begin;     /* told before there are rounds */
    bool to_one;    /* told to one vault only: what it tells all is its own word */
    unsigned modes; /* bits by enum bent_mode; 0: all */
    const struct keys *(*key)(struct play *p); /* NULL: the liar's */
    /* The true message, packed. */
    struct bytes (*packed)(struct play *p, const struct scene *s);
    /* What is inside a box of it, and the message with other things inside; NULL: its body
     * is what is bent. to: which vault is lied to, VAULTS: all. */
    struct bytes (*honest)(struct play *p, const struct scene *s);
    struct bytes (*forge)(struct play *p, const struct scene *s, struct bytes body,
                          size_t to);
    /* In a step that a vault is about to be told; not with begin. */
    void (*put)(Cohortium__StepCall *call, const struct scene *s, struct bytes forged);
    /* To all: in the play, and in the liar's own vault as its own. */
    void (*put_all)(struct play *p, const struct scene *s, struct bytes forged);
};

struct excuse {
    const char *message, *field; /* field: with all under it */
    const char *why;
    const char *what; /* the one way to bend it that is excused; NULL: any */
    bool to_one;      /* also when others were told otherwise; else told to all alike */
    bool own_number;  /* the answer is another one, by the liar's own numbers */
};

/* Plays one scene; its count is printed and added to `sum`. excuses: ends with a zeroed
 * one; used: one flag each. */
void bent_play(struct vaults *t, const struct scene *s, const struct excuse *excuses,
               bool *used, struct bend_count *sum);
/* An excuse that nothing needed is a field that is checked: fails the test. */
void bent_all_used(const struct excuse *excuses, const bool *used);

/* An envelope's body, as it stands. */
struct bytes bent_body(struct play *p, enum envelope_kind kind, struct bytes packed);

/* The scene in a round of a line: its own ones are played so; the others are those of a
 * count. */
struct scene bent_of_line(struct scene s, uint32_t round);
