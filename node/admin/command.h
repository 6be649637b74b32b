/*
 * command.h - cohortiumd's commands: one table, one function each, one line of help and an
 * example.
 */
#pragma once

#include "node/admin/client.h"
#include "protocol/manifest.h"

struct invocation { /* what stands on the command line after the command's words */
    struct cx *cx;
    const struct admin_command *command;
    int argc;
    char **argv;
    size_t n_words; /* what is not an option */
    const char *words[64];
    const char *folder; /* --dir, $COHORTIUM_NODE or "." */
    unsigned status;    /* exit status where the fault does not say it */
};

typedef enum fault admin_run(struct invocation *in);

struct admin_command {
    const char *words; /* "policy apply" */
    admin_run *run;
    const char *usage;   /* "[--dir FOLDER] FILE" */
    const char *help;    /* one line */
    const char *options; /* "key: out: days: lab" : names, with ":" where a value follows */
    const char *details; /* paragraphs, with an example */
};

/* The value of an option or NULL; every use of a repeated one (n-th). */
const char *option(const struct invocation *in, const char *name);
const char *option_nth(const struct invocation *in, const char *name, size_t n);
bool has_option(const struct invocation *in, const char *name);
CHECKED enum fault need_option(struct invocation *in, const char *name, const char *what,
                               const char **ret);
CHECKED enum fault need_words(struct invocation *in, size_t least, size_t most,
                              const char *what);
CHECKED enum fault whole_option(struct invocation *in, const char *name, long lowest,
                                long highest, long standard, long *ret);

/* Sends a command to the node of this folder and prints its text; a failure becomes ours.
 */
CHECKED enum fault ask_node(struct invocation *in, const char *command,
                            const char *const *words, size_t n_words,
                            const struct bytes *blobs, size_t n_blobs,
                            struct admin_reply *ret);

/* The passphrase from --passphrase-file, $COHORTIUM_PASSPHRASE_FILE or the terminal (twice
 * when `fresh`). *ret: sodium_malloc memory; NULL for a key without one (--lab). */
CHECKED enum fault read_secret(struct invocation *in, const char *what, bool fresh,
                               char **ret);
struct keys;
/* An officer's or governance key: asks for its passphrase only if it has one. */
CHECKED enum fault read_signing_key(struct invocation *in, const char *path,
                                    const char *use, struct keys **ret);
CHECKED enum fault read_document(struct invocation *in, const char *path,
                                 struct bytes *ret);
/* -o FILE. */
CHECKED enum fault write_document(struct invocation *in, struct bytes b);
/* A card file ("cohortium card 1", base64), unpacked. */
CHECKED enum fault read_card(struct invocation *in, const char *path,
                             Cohortium__Card **ret);
/* The manifest: of --manifest FILE (then claimed: only its own signatures count), else of
 * the node's folder. */
CHECKED enum fault read_manifest(struct invocation *in, struct manifest **ret);

admin_run admin_backup, admin_restore, admin_audit_accept_restore;
admin_run admin_init, admin_serve, admin_stop, admin_status, admin_doctor;
admin_run admin_card, admin_create, admin_sign_manifest, admin_show_manifest;
admin_run admin_join, admin_export, admin_publish, admin_thaw;
admin_run admin_invite, admin_revoke_member, admin_leave, admin_rotate_key, admin_renew;
admin_run admin_codebook_draft, admin_codebook_check, admin_codebook_show,
    admin_codebook_sign, admin_codebook_add;
admin_run admin_data_import, admin_data_list, admin_data_drop, admin_data_withdraw, admin_ledger_part;
admin_run admin_policy_new, admin_policy_diff, admin_policy_check, admin_policy_sign, admin_policy_apply, admin_policy_show,
    admin_policy_history, admin_policy_spent, admin_policy_simulate, admin_policy_redteam;
admin_run admin_permit_new, admin_permit_sign, admin_permit_show, admin_permit_add,
    admin_permit_list, admin_permit_revoke, admin_permit_revocations;
admin_run admin_researcher_issue, admin_researcher_list, admin_researcher_revoke;
admin_run admin_ledger_report;
admin_run admin_audit_verify, admin_audit_show, admin_explain, admin_audit_prove,
    admin_audit_witnesses, admin_audit_export, admin_audit_report;

admin_run admin_review_list, admin_review_show, admin_review_accept, admin_review_round,
    admin_review_refuse;

extern const struct admin_command admin_commands[];
extern const size_t admin_command_count;
