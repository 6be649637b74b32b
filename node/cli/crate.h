/*
 * crate.h - a verified receipt as a Five Safes RO-Crate.
 *
 *   crate.c        ro-crate-metadata.json: who, why, what data, what rules, what came out
 *   crate_files.c  result.json, result.csv, question/question.json
 *   crate_page.c   ro-crate-preview.html, for people
 *
 * All of it follows from the receipt and, where the profile has it, the codebook that the
 * receipt names by digest: the same receipt gives the same bytes. RO-Crate 1.1 with the
 * terms of the profile https://w3id.org/5s-crate/0.4:
 *
 *   people    Person of the credential, Organization of its home; officers
 *   projects  Project of the permit; SignOff by officers of every site
 *   data      one Dataset a site: the id of its version, its codebook
 *   settings  consortium, software, policy; ValidationCheck: each site's preflight
 *   outputs   result.json, result.csv; DisclosureCheck: each site's logged decision;
 *             CheckValue: who has cosigned the checkpoint that it is under, of how many records
 */
#pragma once

#include "node/cli/answer.h"

struct crate {
    struct cx *cx;
    const Cohortium__Receipt *receipt;
    const struct receipt_facts *facts;
    const struct codebook *cb;   /* or NULL */
    const struct answer *answer; /* NULL without a codebook */
    const char *words;           /* the question */
    size_t n_files;
    struct crate_file {
        const char *path; /* below the crate's folder */
        const char *name, *type;
        struct bytes content;
    } files[8];
};

extern const char crate_receipt[], crate_json[], crate_csv[], crate_codebook[],
    crate_question[];

/* Puts result, question and codebook into crate->files; the receipt stands there already.
 */
CHECKED enum fault crate_make_files(struct crate *crate);
/* The metadata document; after crate_make_files. */
CHECKED enum fault crate_metadata(const struct crate *crate, struct bytes *ret);
CHECKED enum fault crate_page(const struct crate *crate, struct bytes *ret);

/* "2026-11-25T00:35:07Z" in cx; NULL without memory. */
const char *crate_time(struct cx *cx, uint64_t utc_ms);
/* The release of site i, which is everybody's where it is pooled; how many there are. */
const Cohortium__Release *crate_release(const struct crate *crate, size_t i);
size_t crate_releases(const struct crate *crate);
/* Whether anything was released. */
bool crate_is_released(const struct crate *crate);
