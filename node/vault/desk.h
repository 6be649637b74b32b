/*
 * desk.h - the commands of officers and operators, inside the vault.
 *
 * Each is one function in one table (desk.c). A call brings words and blobs, the reply takes
 * text for people and blobs for the admin program. Officers' acts are signed documents: the desk
 * verifies them, writes log and paper in one transaction, then reloads.
 */
#pragma once

#include "node/finding.h"
#include "node/vault/vault.h"

struct desk { /* one command at work */
    struct cx *cx;
    struct vault *v;
    const Cohortium__AdminCall *call;
    Cohortium__AdminReply *reply;
    struct buffer text;
    struct finding_list findings; /* doctor's, in place of text */
};

/* A command that has an answer in d->text and yet failed sets d->reply->status itself. */
typedef enum fault desk_command(struct desk *d);

/* The i-th word, or a FAULT_USAGE that names it. */
CHECKED enum fault desk_word(struct desk *d, size_t i, const char *what, const char **ret);
CHECKED enum fault desk_blob(struct desk *d, size_t i, const char *what, struct bytes *ret);
CHECKED enum fault desk_count(struct desk *d, size_t i, const char *what, uint64_t *ret);
CHECKED enum fault desk_give(struct desk *d, struct bytes blob);
/* The i-th word, one line that says why. */
CHECKED enum fault desk_reason(struct desk *d, size_t i, const char **ret);
/* What expires soon or waits for somebody, a line each. rest: without what doctor finds by
 * itself, that is policy, permits that end, and what keeps the node from answering. */
CHECKED enum fault desk_notices(struct cx *cx, struct vault *v, bool rest, const char ***ret,
                                size_t *ret_n);

/* An operator's act and its record in the log, a db_work. */
struct desk_act {
    Cohortium__LogRecord record;
    const char *details;
};
struct desk_act desk_act(const char *kind, const char *details);
CHECKED enum fault desk_log(struct cx *cx, sqlite3 *sql, void *user);

desk_command desk_policy_apply, desk_policy_show, desk_policy_history, desk_policy_spent;
desk_command desk_policy_simulate; /* desk_simulate.c */
desk_command desk_policy_redteam;
desk_command desk_permit_add, desk_permit_list, desk_permit_show;
/* desk_revoke.c */
desk_command desk_revoke, desk_revocations;
/* A line for each paper that takes this target back and does not bind this site. */
CHECKED enum fault desk_put_revocations(struct desk *d, const uint8_t target[32],
                                        struct bytes issuer);
desk_command desk_researcher_issue, desk_researcher_list, desk_researcher_revoke;
desk_command desk_codebook_add, desk_codebook_show;
desk_command desk_data_begin, desk_data_publish, desk_data_list, desk_data_drop;
desk_command desk_explain;       /* desk_explain.c */
desk_command desk_ledger_report, desk_ledger_part; /* desk_ledger.c; the report also as JSON */
/* desk_withdraw.c */
desk_command desk_data_withdraw;
/* Where something was released of the dataset: whether an import changes nothing, or at least
 * minimum_frequency_threshold patients. FAULT_REFUSED says how many it changes. */
CHECKED enum fault desk_check_refresh(struct desk *d, const char *staging, const char *name,
                                      struct bytes codebook);
desk_command desk_audit_verify, desk_audit_show, desk_audit_prove,
    desk_audit_witnesses, desk_audit_export, desk_audit_report;
desk_command desk_review_list, desk_review_show, desk_review_decide; /* desk_review.c */
desk_command desk_audit_accept_restore;
desk_command desk_status, desk_ready, desk_doctor, desk_manifest;
desk_command desk_manifest_publish, desk_manifest_thaw;

/* desk_doctor.c. A finding of doctor; a problem makes d->reply->status say so. */
void desk_finding(struct desk *d, const char *check, enum finding finding, const char *what,
                  const char *remedy);
CHECKED enum fault desk_check_papers(struct desk *d);
CHECKED enum fault desk_check_members(struct desk *d);

/* desk_audit.c, for status and doctor: "witnessed by ..." in a line. */
CHECKED enum fault desk_put_witnesses(struct desk *d, bool *ret_witnessed);
/* One line for each member whose log contradicts itself. */
CHECKED enum fault desk_put_contradictions(struct desk *d, size_t *ret_n);
CHECKED enum fault desk_check_log(struct desk *d);

/* desk_simulate.c. The policy in force, whether or not its days have come; the one of the first
 * blob. */
CHECKED enum fault desk_open_in_force(struct desk *d, struct policy *ret,
                                      uint64_t *ret_serial);
CHECKED enum fault desk_open_other(struct desk *d, struct policy *ret);
/* Numbers of the rules that a sentence of the log names, each once; else its first word. */
enum { DESK_RULES_MAX = 128 };
void desk_find_rules(const char *why, char ret[DESK_RULES_MAX]);
