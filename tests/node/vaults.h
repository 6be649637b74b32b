/*
 * vaults.h - three real vaults in this process, as their operators would have made them:
 * node folders, a lab's manifest, a policy, codebook, permit and credential through the
 * desk, and a small import. No network: whoever holds this plays the coordinator.
 *
 * Sites stand in order of node id, as participants do; site 0 is the researcher's home.
 * Anything that goes wrong here fails the test.
 */
#pragma once

#include "node/vault/session.h"
#include "tests/node/scratch.h"

enum { VAULTS = 3, VAULT_ROWS_MAX = 256, VAULTS_OLD = 3 /* of 85 years, a site */ };

struct vault_row {                  /* one row a patient */
    double age, sex, status, score; /* score NAN: missing */
};

struct vault_site {
    struct cx *cx; /* of the vault */
    struct vault v;
    char folder[96];
    struct keys *officer;
    uint64_t policies;         /* applied so far */
    struct policy_now *old[8]; /* no longer in force: sessions may still read them */
    size_t n_old;
    size_t n;
    struct vault_row rows[VAULT_ROWS_MAX];
};

struct vaults {
    struct cx *cx;
    struct scratch scratch;
    struct vault_site site[VAULTS];
    struct keys *governor[2], *researcher, *stranger;
    struct manifest *manifest;
    uint8_t genesis[32];
    struct codebook *cb;
    struct bytes credential; /* of the researcher, from site 0 */
    uint8_t permit[ID_BYTES];
};

/* policy: YAML. 60, 70 and 80 patients; VAULTS_OLD of each site are 85 years old, the
 * others from 20 to 79. */
void vaults_new(struct vaults *t, const char *policy);
void vaults_free(struct vaults *t);

/* Through the desk, in memory of cx; fails the test unless the status is `want`. */
const Cohortium__AdminReply *vaults_desk(struct vaults *t, struct cx *cx, size_t site,
                                         const char *command, const char *const *words,
                                         size_t n_words, const struct bytes *blob,
                                         unsigned want);
void vaults_policy(struct vaults *t, size_t site, const char *yaml);
/* A permit for one researcher, known to all sites. */
struct vaults_permit {
    const struct keys *researcher;
    int64_t lasts_ms; /* 0: a day */
    uint64_t budget;
    bool by_site;
    const Cohortium__Member *issuer; /* NULL: none */
};
void vaults_permit(struct vaults *t, const struct vaults_permit *what,
                   uint8_t ret_id[ID_BYTES]);
/* The site's rows as they are now, as one more import; what publishing it says. */
const Cohortium__AdminReply *vaults_publish(struct vaults *t, struct cx *cx, size_t site,
                                            unsigned want);
void vaults_import(struct vaults *t, size_t site);
struct bytes vaults_credential(struct vaults *t, struct cx *cx, size_t site,
                               const struct keys *researcher);
/* As after a crash: what was in memory is gone. */
void vaults_reopen(struct vaults *t, size_t site);

/* A request of the researcher; the caller changes what its test is about, then seals it. */
Cohortium__Request *vaults_request(struct vaults *t, struct cx *cx, const char *analysis,
                                   const char *formula, const char *cohort);
struct bytes vaults_seal(struct cx *cx, const Cohortium__Request *r,
                         const struct keys *keys);

/* What the vault's database holds. */
enum vaults_table { TABLE_LEDGER, TABLE_ANSWERS, TABLE_CHARGES, TABLE_LOG };
uint64_t vaults_count(struct vaults *t, size_t site, enum vaults_table table);
/* As if it never was, without a trace: what a vault must not be trusted for. */
void vaults_lose(struct vaults *t, size_t site, enum vaults_table table);
/* The newest log entry of this kind, or NULL. */
const struct audit_entry *vaults_newest(struct vaults *t, struct cx *cx, size_t site,
                                        const char *kind);
