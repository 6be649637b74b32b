/* command.c - the table of commands, and what several of them do alike. */
#include "node/admin/command.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "node/admin/consortium.h"
#include "node/folder.h"
#include "protocol/files.h"

enum { DOCUMENT_MAX = 64 * 1024 * 1024, PASSPHRASE_MAX = 1024, CARD_MAX = 16 * 1024 };

const struct admin_command admin_commands[] = {
    {"init", admin_init, "--name NAME --listen ENDPOINT [--lab] FOLDER",
     "make a node's folder with new keys", "name: listen: lab",
     "Makes FOLDER with the node's keys, sealed by a passphrase that is asked for twice "
     "(or read\n"
     "with --passphrase-file). Nothing else is needed to be a member: hand out the card "
     "that\n"
     "`cohortiumd consortium card` writes. A node behind a firewall may listen nowhere\n"
     "(--listen \"\"): it dials the others and is a full member all the same.\n\n"
     "example: cohortiumd init --name hospital_a --listen tcp://0.0.0.0:7011 "
     "/srv/cohortium"},
    {"serve", admin_serve, "[--dir FOLDER] [--background]", "run the node", "background",
     "Runs the node until it gets SIGTERM. --background returns once it is ready; its "
     "lines go\n"
     "to FOLDER/node.log.\n\n"
     "FOLDER/node.yaml has `name` and `listen`, and may bound what this node carries for "
     "other\n"
     "members that cannot reach each other: relay_pair_mb_s (8) and relay_mb_s (32), MB a "
     "second\n"
     "of one pair and of all; relay_pair_waiting_mb (2) and relay_waiting_mb (64), MB that "
     "wait to\n"
     "leave. `cohortiumd status` says what it has carried.\n\n"
     "example: cohortiumd serve --dir /srv/cohortium"},
    {"stop", admin_stop, "[--dir FOLDER]", "end the node that serves a folder", "",
     "Returns when its last process is gone. What it acknowledged is on disk at any "
     "time.\n\n"
     "example: cohortiumd stop --dir /srv/cohortium"},
    {"status", admin_status, "[--dir FOLDER]",
     "what the node does and why it may not answer", "",
     "example: cohortiumd status --dir /srv/cohortium"},
    {"doctor", admin_doctor, "[--dir FOLDER] [--json]",
     "check everything, each problem with its remedy", "json",
     "example: cohortiumd doctor --dir /srv/cohortium"},
    {"backup", admin_backup, "[--dir FOLDER] --to NEW_FOLDER [--quiet]",
     "copy a node, running or not, into a new folder", "to: quiet",
     "Keys (sealed as they are), manifest, database as of one moment, and the data that "
     "answers;\n"
     "log and ledger are verified, every file's digest is in an index. NEW_FOLDER is whole "
     "or not\n"
     "there at all. Keep it where the data may be: it holds rows. The passphrase is not in "
     "it.\n\n"
     "example: cohortiumd backup --dir /srv/cohortium --to /backup/cohortium-2026-11-24"},
    {"restore", admin_restore, "[--digest DIGEST] BACKUP NEW_FOLDER",
     "make a node's folder from a backup", "digest:",
     "Every file is verified, log and ledger too. The node then answers nothing until "
     "another\n"
     "member has compared its log with what it saw of it: an older copy would forget what "
     "was\n"
     "released since. The old node must not run any more.\n\n"
     "example: cohortiumd restore /backup/cohortium-2026-11-24 /srv/cohortium"},
    {"consortium card", admin_card,
     "--endpoint ENDPOINT [--endpoint ENDPOINT] --officer CARD [--officer CARD]\n"
     "       [--title TEXT] "
     "[--outbound-only] [--new-link-key] -o FILE",
     "this node's member card, to hand to the founders",
     "endpoint: officer: title: outbound-only new-link-key out:",
     "Other officers, another address or a new link key: write a new card, which takes the "
     "place "
     "of\n"
     "the old one by the next manifest (`consortium invite`).\n\n"
     "example: cohortiumd consortium card --endpoint tcp://node.hospital-a.org:7011 \\\n"
     "           --officer officer.card -o hospital_a.member"},
    {"consortium create", admin_create,
     "--name NAME --governance CARD ... [--threshold N] [--lab] -o FILE MEMBER ...",
     "a genesis manifest from member cards, to be signed",
     "name: governance: threshold: lab days: permit-signatures: out:",
     "example: cohortiumd consortium create --name oncology --governance a.card "
     "--governance "
     "b.card \\\n           --governance c.card -o manifest *.member"},
    {"consortium sign", admin_sign_manifest, "--key KEY FILE",
     "add a governance signature to a manifest", "key: manifest:",
     "A later version needs the threshold of the version before and its own. Where no "
     "node's "
     "folder\n"
     "is at hand, --manifest CHAIN (of `consortium export`) tells what came before.\n\n"
     "example: cohortiumd consortium sign --key governance.key manifest"},
    {"consortium join", admin_join, "--genesis DIGEST FILE",
     "join the consortium of a signed manifest, or of a chain of them", "genesis:",
     "FILE is the genesis manifest, or, in a consortium that runs, what a member writes "
     "with\n"
     "`consortium export`. Compare DIGEST with what the members tell you by another way "
     "than "
     "this\nfile.\n\n"
     "example: cohortiumd consortium join --genesis 3b1f... manifest"},
    {"consortium adopt", admin_join, "--genesis DIGEST FILE",
     "the older name of `consortium join`",
     "genesis:", "example: cohortiumd consortium adopt --genesis 3b1f... manifest"},
    {"consortium export", admin_export, "[--dir FOLDER] -o FILE",
     "the chain of manifests in one file, for a new member",
     "manifest: out:", "example: cohortiumd consortium export -o oncology.consortium"},
    {"consortium invite", admin_invite,
     "--reason TEXT [--without NAME] [--days N] -o FILE CARD ...",
     "the next manifest, with these member cards, to be signed",
     "reason: without: days: permit-signatures: threshold: manifest: out:",
     "The card of a node that is a member already replaces what was known of it: "
     "addresses, "
     "officers,\n"
     "link key. A node with a new signing key is a new member: leave the old one out with "
     "--without.\n\n"
     "example: cohortiumd consortium invite --reason \"hospital_d joins\" "
     "hospital_d.member \\\n"
     "           -o manifest.2"},
    {"consortium revoke", admin_revoke_member, "--reason TEXT [--days N] -o FILE NAME ...",
     "the next manifest, without these members, to be signed",
     "reason: days: permit-signatures: threshold: manifest: out:",
     "example: cohortiumd consortium revoke --reason \"its key was stolen\" hospital_b -o "
     "manifest.3"},
    {"consortium leave", admin_leave, "--reason TEXT -o FILE",
     "the next manifest, without this node, to be signed",
     "reason: days: permit-signatures: threshold: out:",
     "`cohortiumd stop` ends its answers at once; the manifest ends its membership.\n\n"
     "example: cohortiumd consortium leave --reason \"the study ended\" -o manifest.4"},
    {"consortium rotate-key", admin_rotate_key,
     "--reason TEXT [--from CARD] [--to CARD] [--threshold N] -o FILE",
     "the next manifest, with other governance keys, to be signed",
     "reason: from: to: threshold: days: permit-signatures: manifest: out:",
     "--from is a key that goes, --to one that comes; both may be given several times. "
     "Officers'\n"
     "keys and a node's link key change with its member card: `consortium invite`.\n\n"
     "example: cohortiumd consortium rotate-key --reason \"b retires\" --from b.card --to "
     "d.card \\\n           -o manifest.5"},
    {"consortium renew", admin_renew, "--reason TEXT [--days N] -o FILE",
     "the next manifest, with later dates, to be signed",
     "reason: days: permit-signatures: threshold: manifest: out:",
     "example: cohortiumd consortium renew --reason \"another year\" --days 365 -o "
     "manifest.6"},
    {"consortium publish", admin_publish, "[--dir FOLDER] FILE",
     "give a signed manifest to the running node, which tells the others", "",
     "The node verifies it by the rules of the manifest before it, adopts it and gossips "
     "it over "
     "its\n"
     "links. Nobody restarts; links of who is no member any more end within five "
     "seconds.\n\n"
     "example: cohortiumd consortium publish manifest.2"},
    {"consortium thaw", admin_thaw, "--reason TEXT [--take] [--dir FOLDER]",
     "let a node answer again that has seen two manifests of one version", "reason: take",
     "Ask the other members first which version holds. This node goes on with its own, or, "
     "with\n"
     "--take and after a restart, with the other one. Both stay in its folder as evidence "
     "against\nthe governors.\n\n"
     "example: cohortiumd consortium thaw --reason \"all members hold ours; minutes of 3 "
     "May\""},
    {"consortium show", admin_show_manifest, "[--dir FOLDER | FILE]",
     "the manifest in force, or a file's, in words", "manifest:",
     "Of a FILE it tells who has signed and, where the version before is at hand, what it "
     "changes.\n\n"
     "example: cohortiumd consortium show"},
    {"codebook draft", admin_codebook_draft,
     "--name DATASET --id COLUMN [-o FILE] FILE.csv", "propose a codebook for a file",
     "name: id: out:",
     "example: cohortiumd codebook draft --name lung --id rid lung.csv > lung.yaml"},
    {"codebook check", admin_codebook_check, "FILE.yaml", "is this codebook valid?", "",
     "example: cohortiumd codebook check lung.yaml"},
    {"codebook sign", admin_codebook_sign, "--key KEY -o FILE FILE.yaml",
     "compile and sign a codebook as an officer", "key: out:",
     "example: cohortiumd codebook sign --key officer.key lung.yaml -o lung.codebook"},
    {"codebook add", admin_codebook_add, "FILE", "take a signed codebook into use", "",
     "example: cohortiumd codebook add lung.codebook"},
    {"codebook show", admin_codebook_show, "DATASET", "the codebook in use", "",
     "example: cohortiumd codebook show lung"},
    {"data import", admin_data_import, "[--mapping FILE.yaml] DATASET FILE.csv",
     "import a file as the dataset's newest version", "mapping: quiet",
     "Every problem is reported with row and column, and nothing is imported if there is "
     "one.\n\n"
     "example: cohortiumd data import lung lung.csv"},
    {"data list", admin_data_list, "[--dir FOLDER]", "the datasets and their versions", "",
     "example: cohortiumd data list"},
    {"data drop", admin_data_drop, "--reason TEXT DATASET", "remove a dataset", "reason:",
     "The ledger of its patients stays.\n\nexample: cohortiumd data drop --reason \"study "
     "ended\" "
     "lung"},
    {"policy new", admin_policy_new, "[--template cautious|standard|open] [-o FILE]",
     "a policy to begin with, every field explained",
     "template: out:",
     "Writes a YAML file (or prints it, without -o) with every field, what it means, its range and\n"
     "its price, in plain words. Without --template it says what each of the three is for. Nothing\n"
     "is signed: edit it, give its reason, then `policy check` and `policy sign`.\n\n"
     "example: cohortiumd policy new --template standard -o policy.yaml"},
    {"data withdraw", admin_data_withdraw, "--reason TEXT DATASET FILE",
     "leave patients who withdrew out of every new sum", "reason:",
     "FILE (- is standard input) has their identifiers, one a line, as the data files have them. From\n"
     "then on no row of theirs counts, in any dataset of the same patients, also of files to come.\n"
     "Answers that were given stay as they are, and are given again, until as many patients have\n"
     "withdrawn or changed as the policy's minimum_frequency_threshold says: before, whoever compares\n"
     "old and new answers would learn about them. New questions that would tell are refused.\n"
     "Nothing takes a withdrawal back.\n\n"
     "example: cohortiumd data withdraw --reason \"consent forms of 3 May\" lung withdrawn.txt"},
    {"policy check", admin_policy_check, "[--lab] FILE.yaml",
     "what this policy would allow, in plain words", "lab",
     "example: cohortiumd policy check policy.yaml"},
    {"policy diff", admin_policy_diff, "[--dir FOLDER] A B",
     "what B would let out or hold back in the place of A, in sentences", "",
     "Of every field that differs: whether it loosens or tightens, and what that means; then how\n"
     "many officers must sign B. A and B are policy files, signed or not, templates (cautious,\n"
     "standard, open, exact-for-testing), or in-force: what the running node answers by.\n\n"
     "example: cohortiumd policy diff in-force policy.yaml"},
    {"policy sign", admin_policy_sign,
     "--key KEY [--key KEY] [--reason TEXT] -o FILE FILE.yaml",
     "compile and sign a policy as an officer", "key: out: reason:",
     "Tightening needs one officer, loosening two (one where the institution has one). "
     "FILE may\n"
     "be `cautious` or, in a lab, `exact-for-testing`.\n\n"
     "example: cohortiumd policy sign --key officer.key policy.yaml -o policy.signed"},
    {"policy apply", admin_policy_apply, "FILE", "take a signed policy into force", "",
     "example: cohortiumd policy apply policy.signed"},
    {"policy show", admin_policy_show, "[--dir FOLDER]",
     "the policy in force, in plain words", "", "example: cohortiumd policy show"},
    {"policy history", admin_policy_history, "[--dir FOLDER]",
     "every policy there was, and what each changed", "",
     "example: cohortiumd policy history"},
    {"policy spent", admin_policy_spent, "[--dir FOLDER]",
     "what noised answers have spent: by patients, permit, researcher", "",
     "Rows are never taken back, whatever became of a question.\n\n"
     "example: cohortiumd policy spent"},
    {"policy simulate", admin_policy_simulate, "--policy FILE.yaml [--json]",
     "every past question of the log under another policy; nothing leaves",
     "policy: json",
     "Each question that the log keeps is judged anew on this site's rows, under the policy in\n"
     "force and under FILE: which would be newly released, newly refused, or changed, and by\n"
     "which rule. Nothing is charged, logged or remembered. Of a pooled question a site can judge\n"
     "its own patients only, and the output says so. FILE may be `cautious` and need not be\n"
     "signed.\n\n"
     "example: cohortiumd policy simulate --policy stricter.yaml"},
    {"policy redteam", admin_policy_redteam,
     "DATASET [--policy FILE.yaml] [-o SHEET] [--json] | --check SHEET",
     "attacks on this site's own patients under a policy; a signed sheet; nothing leaves",
     "policy: out: json check:",
     "Victims are picked among the patients who are alone in a cell of all quasi-identifiers, and\n"
     "never named. Each attack asks its questions of the real gate as a researcher would, on this\n"
     "site's patients as if they were all, from an empty memory. Nothing is charged or remembered.\n"
     "The sheet says pass or fail by attack and is signed by this node; --check verifies one.\n"
     "Without --policy it is the policy in force. Exit status 1: some attack learned something.\n\n"
     "example: cohortiumd policy redteam lung --policy looser.yaml -o sheet.txt"},
    {"review list", admin_review_list, "[--all]",
     "answers that wait for an officer (reviewed_statistics)", "all",
     "The policy's reviewed_statistics names the analyses of which an officer looks at each\n"
     "answer before it leaves. --all also shows what was decided, by whom and why.\n\n"
     "example: cohortiumd review list"},
    {"review show", admin_review_show, "NAME",
     "the question in words, and the very numbers that would leave", "",
     "example: cohortiumd review show 3f09ab12"},
    {"review accept", admin_review_accept, "--key KEY --reason TEXT NAME",
     "let an answer leave as it is", "key: reason:",
     "The yes is for the very numbers that `review show` shows. They leave when the question\n"
     "comes again; one that was left with --later comes by itself.\n\n"
     "example: cohortiumd review accept --key officer.key --reason \"fits the study\" 3f09ab12"},
    {"review round", admin_review_round, "--multiple N --key KEY --reason TEXT NAME",
     "let it leave with its counts rounded more coarsely", "multiple: key: reason:",
     "Only where this site alone makes the numbers (--by-site). A pooled answer is made by all\n"
     "sites together under masks: it can be accepted or refused.\n\n"
     "example: cohortiumd review round --multiple 20 --key officer.key --reason \"few sites\" "
     "3f09ab12"},
    {"review refuse", admin_review_refuse, "--key KEY --reason TEXT NAME",
     "answer NOT_RELEASED, for good", "key: reason:",
     "Whoever asked hears what they hear of any refusal; the reason stays in this site's log.\n\n"
     "example: cohortiumd review refuse --key officer.key --reason \"not of this study\" "
     "3f09ab12"},
    {"permit new", admin_permit_new,
     "--title TEXT --purpose TEXT --dataset D --researcher CARD --member NAME|all [--days "
     "N] "
     "[--budget N] [--by-site] -o FILE",
     "write a permit, to be signed",
     "title: purpose: dataset: researcher: member: days: by-site manifest: variable: "
     "analysis: "
     "budget: out:",
     "--dataset, --researcher, --member, --variable and --analysis may be given several "
     "times.\n\n"
     "example: cohortiumd permit new --title \"lung survival\" --purpose \"...\" --dataset "
     "lung \\\n"
     "           --researcher ada.card --member all --days 365 -o lung.permit"},
    {"permit sign", admin_permit_sign, "--key KEY FILE", "sign a permit as an officer",
     "key:",
     "The signature is added to FILE.\n\nexample: cohortiumd permit sign --key officer.key "
     "lung.permit"},
    {"permit show", admin_permit_show, "ID | FILE", "a permit in words",
     "manifest:", "example: cohortiumd permit show lung.permit"},
    {"permit add", admin_permit_add, "FILE", "let this node honour a signed permit", "",
     "example: cohortiumd permit add lung.permit"},
    {"permit revoke", admin_permit_revoke, "--key KEY --reason TEXT [-o FILE] ID|PERMIT | PAPER",
     "take a permit back, for good", "key: reason: out: manifest:",
     "An officer signs a paper that says so, and this node takes it and tells it to every member;\n"
     "with -o it is written to FILE only, and a node takes it from there: `permit revoke FILE`.\n"
     "Each site obeys its own officers, and the member that drew the permit up; what others have\n"
     "revoked it shows. It holds from the next request on, and a question that runs under the\n"
     "permit ends at its next step. To narrow a permit, sign a new one and revoke the old.\n\n"
     "example: cohortiumd permit revoke --key officer.key --reason \"the ethics vote ended\" 3b1f..."},
    {"permit revocations", admin_permit_revocations, "[--dir FOLDER]",
     "the papers that took permits and credentials back, and which bind this site", "",
     "example: cohortiumd permit revocations"},
    {"permit list", admin_permit_list, "[--dir FOLDER]",
     "the permits that this node honours", "", "example: cohortiumd permit list"},
    {"researcher issue", admin_researcher_issue, "[--days N] -o FILE CARD",
     "a credential for a researcher of this institution",
     "days: out:", "example: cohortiumd researcher issue ada.card -o ada.credential"},
    {"researcher list", admin_researcher_list, "[--dir FOLDER]",
     "the credentials issued here", "", "example: cohortiumd researcher list"},
    {"researcher revoke", admin_researcher_revoke,
     "--reason TEXT NAME|KEY | --key KEY --reason TEXT [-o FILE] CREDENTIAL | PAPER",
     "end a researcher's credentials", "reason: key: out: manifest:",
     "This node takes back what it has issued, by a paper that it signs and tells to every member.\n"
     "An officer takes a credential back by their own paper, at this site also one that another\n"
     "member has issued. Links end at once; a new credential is another one.\n\n"
     "example: cohortiumd researcher revoke --reason \"left the hospital\" ada"},
    {"explain", admin_explain, "[--dir FOLDER] REFERENCE | NUMBER | RULE | rules",
     "why an answer was not released, and what can be done (for officers)", "",
     "Of the reference that the researcher was given: who asked what, the true reason from this\n"
     "site's own log, its rule by number, what that means, and what an officer or the researcher\n"
     "can do. A NUMBER is that of a record of the log. RULE is R1 to R25, and `rules` all of them;\n"
     "they need no node. What it says of an answer must not go back to the researcher.\n\n"
     "example: cohortiumd explain 0f3a5c7e9b1d2f40"},
    {"ledger part", admin_ledger_part, "--reason TEXT DATASET",
     "answer again after a site has left that was always asked together with this one", "reason:",
     "Sites that have answered about a dataset together are asked together, because two answers of\n"
     "which one leaves a site out give that site's numbers. When one of them has left the consortium,\n"
     "this site answers again after this command, judging by its own patients alone and by all that\n"
     "was released before. What old and new answers differ by is then the part of who left: agree on\n"
     "it with them first. The others of the group do the same. Nothing takes it back.\n\n"
     "example: cohortiumd ledger part --reason \"hospital_c has agreed, letter of 3 May\" lung"},
    {"ledger report", admin_ledger_report, "[--dir FOLDER] [--json]",
     "how much of what the patients bear was released, by data set and permit", "json",
     "Every released number is remembered as columns over the patients that it rests on. Of each\n"
     "data set: how many columns are held and about how many fit, which permits brought them, and\n"
     "the highest leverage of a patient here: the largest part that one patient has in anything\n"
     "that can be worked out from all answers, 0 to 1. Never which patient.\n\n"
     "example: cohortiumd ledger report --dir /srv/cohortium"},
    {"audit verify", admin_audit_verify, "[--dir FOLDER]",
     "recompute the whole log, and ask peers what they hold of it", "",
     "The tree is rebuilt from the records; then every linked peer is asked for the checkpoints\n"
     "of this log that it has cosigned. What does not fit is named, and by whom it is held.\n\n"
     "example: cohortiumd audit verify"},
    {"audit show", admin_audit_show, "[--last N] [--kind KIND]", "the newest records",
     "last: kind:", "example: cohortiumd audit show --last 50"},
    {"audit explain", admin_explain, "REFERENCE",
     "the older name of `explain`", "",
     "example: cohortiumd audit explain 0f3a5c7e9b1d2f40"},
    {"audit accept-restore", admin_audit_accept_restore, "--reason TEXT",
     "let a restored node answer that nobody can compare", "reason:",
     "Only where no other member can be reached for long: the regions of what was released "
     "after\n"
     "the backup are forgotten. The reason stays in the log.\n\n"
     "example: cohortiumd audit accept-restore --reason \"the others' nodes are gone\""},
    {"audit witnesses", admin_audit_witnesses, "[--dir FOLDER]",
     "who has cosigned this log, what is held of others', contradictions", "",
     "example: cohortiumd audit witnesses"},
    {"audit prove", admin_audit_prove, "[-o FILE] NUMBER | REFERENCE",
     "one record with its proof and the cosigned checkpoint, as a text file", "out:",
     "The form is that of c2sp.org/tlog-proof: the record itself (a packed LogRecord) stands in\n"
     "the line `extra`. Anybody who has the members' keys can check it without this node.\n\n"
     "example: cohortiumd audit prove 57 -o record57.tlog-proof"},
    {"audit export", admin_audit_export, "FILE | -", "the whole log as JSON lines", "",
     "Every record with its leaf and hash; the last line is a signed checkpoint of them. Details\n"
     "of records are for officers: the file must not go to researchers.\n\n"
     "example: cohortiumd audit export log.jsonl"},
    {"audit report", admin_audit_report, "[--from DAY] [--to DAY] [--html] [-o FILE]",
     "a page to print: who asked what, why, under which permit; decision, budget",
     "from: to: html out:",
     "Days are UTC and both included; without them the last 30 days. For officers: what it says\n"
     "must not go back to researchers.\n\n"
     "example: cohortiumd audit report --from 2026-11-01 --to 2026-11-30 --html -o november.html"},
};
const size_t admin_command_count = COUNT(admin_commands);

static bool takes_value(const struct invocation *in, const char *name)
{
    const char *lists[] = {"dir: passphrase-file: ", in->command->options};
    size_t n = strlen(name);

    for (size_t k = 0; k < COUNT(lists); k++)
        for (const char *p = lists[k]; (p = strstr(p, name)) != NULL; p += n)
            if ((p == lists[k] || p[-1] == ' ') && p[n] == ':')
                return true;
    return false;
}

const char *option_nth(const struct invocation *in, const char *name, size_t nth)
{
    for (int i = 0; i < in->argc; i++) {
        const char *a = strcmp(in->argv[i], "-o") == 0 ? "--out" : in->argv[i];

        if (strncmp(a, "--", 2) != 0)
            continue;
        bool value = takes_value(in, a + 2);
        if (strcmp(a + 2, name) == 0 && nth-- == 0)
            return value ? (i + 1 < in->argc ? in->argv[i + 1] : NULL) : "";
        i += value;
    }
    return NULL;
}

const char *option(const struct invocation *in, const char *name)
{
    return option_nth(in, name, 0);
}

bool has_option(const struct invocation *in, const char *name)
{
    return option(in, name) != NULL;
}

enum fault need_option(struct invocation *in, const char *name, const char *what,
                       const char **ret)
{
    bool out = strcmp(name, "out") == 0;

    *ret = option(in, name);
    if (*ret == NULL || **ret == '\0')
        return cx_fail(in->cx, FAULT_USAGE, "expected %s%s %s; see `cohortiumd %s --help`",
                       out ? "-" : "--", out ? "o" : name, what, in->command->words);
    return FAULT_NONE;
}

enum fault need_words(struct invocation *in, size_t least, size_t most, const char *what)
{
    if (in->n_words > most)
        return cx_fail(in->cx, FAULT_USAGE,
                       "`%.60s` is one word too many; usage: cohortiumd %s %s",
                       in->words[most], in->command->words, in->command->usage);
    if (in->n_words < least)
        return cx_fail(in->cx, FAULT_USAGE, "expected %s; usage: cohortiumd %s %s", what,
                       in->command->words, in->command->usage);
    return FAULT_NONE;
}

enum fault whole_option(struct invocation *in, const char *name, long lowest, long highest,
                        long standard, long *ret)
{
    const char *text = option(in, name);
    char *end;

    *ret = standard;
    if (text == NULL)
        return FAULT_NONE;
    errno = 0;
    *ret = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *ret < lowest || *ret > highest)
        return cx_fail(in->cx, FAULT_USAGE,
                       "--%s %.20s: expected a whole number from %ld to %ld", name, text,
                       lowest, highest);
    return FAULT_NONE;
}

static size_t without_newline(const char *text)
{
    size_t n = strlen(text);

    while (n > 0 && text[n - 1] == '\n')
        n--;
    return n;
}

enum fault ask_node(struct invocation *in, const char *command, const char *const *words,
                    size_t n_words, const struct bytes *blobs, size_t n_blobs,
                    struct admin_reply *ret)
{
    struct admin_reply own, *reply = ret != NULL ? ret : &own;

    TRY(admin_call(in->cx, in->folder, command, words, n_words, blobs, n_blobs, reply));
    if (reply->status != 0) {
        in->status = reply->status;
        return cx_fail(in->cx, FAULT_IO, "%.*s", (int)without_newline(reply->text),
                       reply->text);
    }
    if (ret == NULL)
        (void)fputs(reply->text, stdout);
    for (size_t i = 0; i < reply->n_notices; i++)
        (void)fprintf(stderr, "note: %s\n", reply->notices[i]);
    return FAULT_NONE;
}

/* ---- passphrases ---- */

static void strip_newline(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = '\0';
}

static enum fault ask_terminal(struct cx *cx, const char *prompt, char *text)
{
    struct termios before, silent;
    FILE *tty = fopen("/dev/tty", "r+");

    if (tty == NULL || tcgetattr(fileno(tty), &before) != 0) {
        if (tty != NULL)
            (void)fclose(tty);
        return cx_fail(cx, FAULT_USAGE,
                       "%s: no terminal to ask at; give --passphrase-file FILE", prompt);
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    (void)setvbuf(tty, NULL, _IONBF, 0); /* no copy of it in a buffer */
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &silent);
    (void)fprintf(tty, "%s: ", prompt);
    bool ok = fgets(text, PASSPHRASE_MAX, tty) != NULL;
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
    (void)fputc('\n', tty);
    (void)fclose(tty);
    strip_newline(text);
    return ok ? FAULT_NONE : cx_fail(cx, FAULT_USAGE, "no passphrase was given");
}

static enum fault read_file_secret(struct cx *cx, const char *path, char *text)
{
    FILE *f = fopen(path, "r");

    if (f == NULL)
        return cx_fail(cx, FAULT_IO, "passphrase file %s: %s", path, strerror(errno));
    (void)setvbuf(f, NULL, _IONBF, 0);
    bool ok = fgets(text, PASSPHRASE_MAX, f) != NULL;
    (void)fclose(f);
    strip_newline(text);
    return ok && text[0] != '\0'
               ? FAULT_NONE
               : cx_fail(cx, FAULT_FORMAT, "passphrase file %s is empty", path);
}

enum fault read_secret(struct invocation *in, const char *what, bool fresh, char **ret)
{
    const char *path = option(in, "passphrase-file");
    char *text = sodium_malloc(PASSPHRASE_MAX), *again;
    enum fault fault;

    if (text == NULL)
        return cx_fail(in->cx, FAULT_MEMORY, "out of guarded memory");
    text[0] = '\0';
    if (path == NULL)
        path = getenv("COHORTIUM_PASSPHRASE_FILE");
    if (path != NULL) {
        fault = read_file_secret(in->cx, path, text);
    } else {
        fault = ask_terminal(in->cx, cx_printf(in->cx, "passphrase of %s", what), text);
        if (fault == FAULT_NONE && fresh &&
            (again = sodium_malloc(PASSPHRASE_MAX)) != NULL) {
            again[0] = '\0';
            fault = ask_terminal(in->cx, "the same again", again);
            if (fault == FAULT_NONE && strcmp(text, again) != 0)
                fault = cx_fail(in->cx, FAULT_USAGE, "the two passphrases differ");
            sodium_free(again);
        }
    }
    if (fault == FAULT_NONE && fresh && strlen(text) < 8)
        fault =
            cx_fail(in->cx, FAULT_USAGE, "a passphrase of at least 8 characters is needed");
    if (fault != FAULT_NONE) {
        sodium_free(text);
        return fault;
    }
    *ret = text;
    return FAULT_NONE;
}

enum fault read_signing_key(struct invocation *in, const char *path, const char *use,
                            struct keys **ret)
{
    char *secret = NULL;
    enum fault fault = keys_read(in->cx, path, use, NULL, ret); /* a lab's key has none */

    if (fault != FAULT_DENIED)
        return fault;
    TRY(read_secret(in, path, false, &secret));
    fault = keys_read(in->cx, path, use, secret, ret);
    sodium_free(secret);
    return fault;
}

/* ---- documents ---- */

enum fault read_document(struct invocation *in, const char *path, struct bytes *ret)
{
    return file_read(in->cx, "document", path, DOCUMENT_MAX, false, ret);
}

enum fault write_document(struct invocation *in, struct bytes b)
{
    const char *path;

    TRY(need_option(in, "out", "FILE", &path));
    return file_write(in->cx, "document", path, b, 0644, FILE_REPLACE);
}

enum fault read_card(struct invocation *in, const char *path, Cohortium__Card **ret)
{
    static const char first[] = "cohortium card 1\n";
    struct bytes text;
    uint8_t *packed;
    size_t n;

    TRY(file_read(in->cx, "card", path, CARD_MAX, false, &text));
    CX_NEW(in->cx, packed, text.n);
    if (text.n <= sizeof first - 1 || memcmp(text.p, first, sizeof first - 1) != 0 ||
        sodium_base642bin(packed, text.n, (const char *)text.p + sizeof first - 1,
                          text.n - (sizeof first - 1), " \n\r", &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return cx_fail(
            in->cx, FAULT_FORMAT,
            "%s is no card; expected the .card file that `cohortium key new` writes "
            "beside a key",
            path);
    return pb_unpack(in->cx, &cohortium__card__descriptor, bytes_of(packed, n), CARD_MAX,
                     ret);
}

enum fault read_manifest(struct invocation *in, struct manifest **ret)
{
    const char *path = option(in, "manifest");
    struct bytes *chain;
    size_t n;

    if (path == NULL) {
        struct node_settings settings;

        TRY(folder_settings(in->cx, in->folder, &settings));
        return folder_manifest(in->cx, in->folder, ret);
    }
    TRY(chain_read(in, path, &chain, &n));
    return manifest_load(in->cx, chain, n, NULL, ret);
}
