/* policies.c - policies to begin with: nothing here is signed or sent. */
#include <stdio.h>

#include "node/admin/options.h"
#include "node/data/policy_template.h"
#include "protocol/files.h"

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
