/*
 * home.h - one link to the home node, and what it told: manifest, sites, permits,
 * codebooks.
 *
 * The manifest is verified against the profile's genesis digest; everything else that home
 * says is only used to ask better questions. One thread; calls wait for their answer.
 */
#pragma once

#include "analyses/codebook.h"
#include "node/cli/answer.h"
#include "node/cli/cli.h"
#include "node/cli/profile.h"
#include "protocol/link.h"
#include "protocol/manifest.h"

enum {
    HOME_CODEBOOKS_MAX = 64,
    HOME_CONNECT_MS = 10000,
    HOME_CALL_MS = 30000,
    HOME_TELL_ID_MS = 1000,
    HOME_STOPPING_MS = 1000, /* from its last word to the end of its link */
    HOME_WAIT_MAX_S = 25
};

struct home {
    struct cx *cx;
    struct cli *cli;
    struct profile profile;
    struct keys *keys;
    struct bytes credential; /* packed envelope; the newest that home has */
    struct hub *hub;
    struct link *link; /* NULL while it is down */
    const char *why_down;
    bool gave_up;       /* connecting took too long */
    bool watched;       /* Ctrl-C stops the hub's loop */
    int64_t connect_ms; /* at most, while linking; 0: HOME_CONNECT_MS */
    uint32_t wait_ms; /* for members to say how they are; 0: as long as home usually does */
    bool progress;    /* print progress */
    bool progress_shown; /* a line stands on the terminal */
    char progress_line[512];
    const char *asked_id; /* of the question that is waited for; NULL: none */
    bool id_told;
    struct manifest *manifest;
    const Cohortium__SitesReply *sites;
    size_t n_codebooks;
    struct codebook *codebooks[HOME_CODEBOOKS_MAX];
    const Cohortium__Trouble *trouble; /* of the last call that failed; lives in its cx */
};

/* Opens profile and key, links, asks for the sites. home_close on every path. */
CHECKED enum fault home_open(struct cli *cli, const struct args *args, struct home *ret);
/* The second half: profile, keys and credential are there. */
CHECKED enum fault home_connect(struct home *home);
void home_close(struct home *home);
/* After a call that failed: home itself has gone, or says that it is going. */
bool home_is_lost(struct home *home, enum fault fault);
/* Links anew and asks for the sites again; what was told before stays readable. */
CHECKED enum fault home_again(struct home *home, int64_t most_ms);

/* One call; deadline_ms from now. The reply lives in cx. After a failure home->trouble
 * holds what the other side said (in cx), and the message in cx is ready for people. */
CHECKED enum fault home_call(struct home *home, struct cx *cx, enum service service,
                             struct bytes body, int64_t deadline_ms, struct bytes *ret);
/* What a packed Trouble says, as after a call that failed with it. */
enum fault home_failure(struct home *home, struct cx *cx, enum fault fault,
                        struct bytes trouble);
/* progress.c: how far each site is; the id of what is waited for; Ctrl-C, which stops the
 * hub's loop once. */
void progress_show(struct home *home, struct bytes body);
void progress_clear(struct home *home);
void progress_tell_id(struct home *home);
void interrupt_watch(struct hub *hub);
void interrupt_move(struct hub *hub); /* another hub; NULL: none at this moment */
bool interrupt_seen(void);
void interrupt_forget(void);
/* The dataset's codebook in force at home; from the profile's cache if its digest is there.
 */
CHECKED enum fault home_codebook(struct home *home, const char *dataset,
                                 const struct codebook **ret);
/* The one of this digest, whoever of the members has it; verified by it. */
CHECKED enum fault home_codebook_of(struct home *home, const char *dataset,
                                    const uint8_t digest[32], struct codebook **ret);
/* From the cache alone, for `verify`: FAULT_MISSING when it is not there. */
CHECKED enum fault cached_codebook(struct cx *cx, const struct profile *profile,
                                   const uint8_t digest[32], struct codebook **ret);
/* The permit: `wanted` (id in hex, its beginning, or title), else the profile's, else the
 * only one that covers the dataset. FAULT_REFUSED when there is none. */
CHECKED enum fault home_permit(struct home *home, struct cx *cx, const char *wanted,
                               const char *dataset, const Cohortium__PermitCard **ret);
