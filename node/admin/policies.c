/* policies.c - policies to begin with, and compared: nothing here is signed or sent. */
#include <stdio.h>
#include <string.h>

#include "node/admin/options.h"
#include "node/admin/papers.h"
#include "node/data/policy_template.h"
#include "protocol/base/clock.h"
#include "protocol/envelope.h"
#include "protocol/files.h"

enum { TEXT_MAX = 64 * 1024 };

static void tell_templates(void)
{
    const struct policy_template *t;

    (void)fputs("the templates:\n", stdout);
    for (size_t i = 0; (t = policy_template_at(i)) != NULL; i++)
        (void)printf("  %-10s %s\n", t->name, t->summary);
    (void)fputs("next: cohortiumd policy new --template NAME -o policy.yaml\n", stdout);
}

enum fault admin_policy_new(struct invocation *in)
{
    const char *name = option(in, "template"), *path = option(in, "out");
    struct bytes text;

    TRY(need_words(in, 0, 0, "no further word"));
    if (name == NULL && path == NULL) {
        tell_templates();
        return FAULT_NONE;
    }
    TRY(need_option(in, "template", "NAME", &name));
    TRY(policy_template_text(in->cx, name, &text));
    if (path == NULL) {
        if (fwrite(text.p, 1, text.n, stdout) != text.n)
            return cx_fail(in->cx, FAULT_IO, "standard output could not be written");
        return FAULT_NONE;
    }
    TRY(file_write(in->cx, "policy", path, text, 0644, FILE_NEW));
    (void)printf("%s is written; read it, change it, give its `reason:`, then\n"
                 "  cohortiumd policy check %s\n",
                 path, path);
    return FAULT_NONE;
}

/* ---- diff ---- */

struct side { /* one of the two that are compared */
    const char *word;
    struct policy numbers;
    bool dated; /* it says itself how long it holds */
};

static enum fault open_signed(struct invocation *in, struct bytes packed, struct side *ret)
{
    struct envelope e;
    Cohortium__Policy *body;

    TRY(envelope_open(in->cx, ENVELOPE_POLICY, packed, &e));
    TRY(pb_unpack(in->cx, &cohortium__policy__descriptor, e.body,
                  envelope_bound(ENVELOPE_POLICY), &body));
    ret->dated = true;
    return policy_open(in->cx, body, true, &ret->numbers);
}

static enum fault open_in_force(struct invocation *in, struct side *ret)
{
    struct admin_reply reply;

    TRY(ask_node(in, "policy show", NULL, 0, NULL, 0, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_INTERNAL, "the node gave no policy");
    return open_signed(in, reply.blobs[0], ret);
}

/* A lab's class may be compared anywhere: nothing comes of it. */
static enum fault open_side(struct invocation *in, const char *word, struct side *ret)
{
    Cohortium__Policy *body;
    struct bytes packed;

    *ret = (struct side){.word = word};
    if (strcmp(word, "in-force") == 0)
        return open_in_force(in, ret);
    if (policy_template_find(word, &ret->numbers))
        return FAULT_NONE;
    if (strcmp(word, "exact-for-testing") != 0) {
        TRY(read_document(in, word, &packed));
        struct envelope e;
        if (envelope_open(in->cx, ENVELOPE_POLICY, packed, &e) == FAULT_NONE)
            return open_signed(in, packed, ret);
        ret->dated = true;
    }
    TRY(read_policy_yaml(in, word, true, &body));
    return policy_open(in->cx, body, true, &ret->numbers);
}

static enum fault print_changes(struct invocation *in, const struct side *a,
                                const struct side *b)
{
    struct buffer text = buffer_new(in->cx, TEXT_MAX);
    struct policy_change *list;
    size_t n, counts[3] = {0};

    TRY(policy_changes(in->cx, &a->numbers, &b->numbers, &list, &n));
    TRY(policy_put_changes(in->cx, &a->numbers, &b->numbers, &text));
    for (size_t i = 0; i < n; i++)
        counts[list[i].way < 0 ? 0 : list[i].way > 0 ? 1 : 2]++;
    const char *lines = buffer_string(&text);
    if (lines == NULL)
        return FAULT_MEMORY;
    if (n == 0)
        (void)fputs("they let out the same\n", stdout);
    else
        (void)printf("%s\n%zu loosen%s, %zu tighten%s, %zu neither\n", lines, counts[0],
                     counts[0] == 1 ? "s" : "", counts[1], counts[1] == 1 ? "s" : "",
                     counts[2]);
    return FAULT_NONE;
}

static void print_dates(const struct side *side)
{
    char from[32], until[32];

    if (side->dated)
        (void)printf("%s holds from %s until %s\n", side->word,
                     clock_format((int64_t)side->numbers.not_before, from, sizeof from),
                     clock_format((int64_t)side->numbers.not_after, until, sizeof until));
}

/* Of the member whose node is at hand; elsewhere nobody can tell how many officers it has.
 */
static void print_officers(struct invocation *in, const struct side *a,
                           const struct side *b)
{
    const Cohortium__Member *self = NULL;
    struct manifest *m;
    const char *why = policy_is_looser(&b->numbers, &a->numbers)
                          ? "for it lets more out"
                          : "for it lets no more out";

    if (read_manifest(in, &m) == FAULT_NONE && own_member(in, m, &self) == FAULT_NONE) {
        size_t n = policy_officers_needed(&b->numbers, &a->numbers, self->one_officer);

        (void)printf("%s of %s must sign %s in the place of %s, %s%s\n",
                     n == 2 ? "two officers" : "one officer", self->name, b->word, a->word,
                     why, self->one_officer ? " (it has one officer)" : "");
        return;
    }
    size_t n = policy_officers_needed(&b->numbers, &a->numbers, false);

    (void)printf("%s must sign %s in the place of %s, %s%s\n",
                 n == 2 ? "two officers" : "one officer", b->word, a->word, why,
                 n == 2 ? " (one, where the manifest says that the institution has one)"
                        : "");
}

enum fault admin_policy_diff(struct invocation *in)
{
    struct side a, b;

    TRY(need_words(in, 2, 2, "two policies: files, templates or in-force"));
    TRY(open_side(in, in->words[0], &a));
    TRY(open_side(in, in->words[1], &b));
    TRY(print_changes(in, &a, &b));
    print_dates(&a);
    print_dates(&b);
    print_officers(in, &a, &b);
    return FAULT_NONE;
}
