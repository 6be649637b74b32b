/* question.c - the words of a command line as a question. */
#include <string.h>
#include <strings.h>

#include "analyses/cohort.h"
#include "analyses/formula.h"
#include "analyses/glm_family.h"
#include "node/cli/ask.h"

/* ---- families and links, as R names them ---- */

static const struct glm_family *find_family(const char *name)
{
    const struct glm_family *f;

    for (size_t i = 0; (f = glm_family_at(i)) != NULL; i++)
        if (strcasecmp(f->name, name) == 0)
            return f;
    return NULL;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "binomial(link = 'probit')" in two names; link "" without parentheses. */
static bool split_family(struct cx *cx, const char *text, char **ret_family,
                         char **ret_link)
{
    size_t n = 0;

    while (is_name_byte(text[n]))
        n++;
    *ret_family = cx_printf(cx, "%.*s", (int)n, text);
    const char *p = text + n + strspn(text + n, " ");
    if (*p == '\0') {
        *ret_link = cx_strdup(cx, "");
        return n > 0;
    }
    if (n == 0 || *p++ != '(')
        return false;
    p += strspn(p, " ");
    if (strncmp(p, "link", 4) == 0 && strchr(" =", p[4]) != NULL && p[4] != '\0')
        p += 4 + strspn(p + 4, " =");
    p += strspn(p, "\"'");
    for (n = 0; is_name_byte(p[n]);)
        n++;
    *ret_link = cx_printf(cx, "%.*s", (int)n, p);
    p += n;
    return strcmp(p + strspn(p, "\"' "), ")") == 0;
}

static enum fault choose_link(struct cx *cx, const struct glm_family *f, const char *link,
                              const char **ret)
{
    struct buffer list = buffer_new(cx, 1024);
    size_t n = 0;

    for (; n < COUNT(f->links) && f->links[n] != NULL; n++) {
        if (strcmp(f->links[n], link) == 0 || (link[0] == '\0' && n == 0)) {
            *ret = f->links[n];
            return FAULT_NONE;
        }
        buffer_printf(&list, "%s%s", n > 0 ? ", " : "", f->links[n]);
    }
    const char *near = bytes_nearest(link, f->links, n), *all = buffer_string(&list);
    if (near != NULL)
        return cx_fail(cx, FAULT_USAGE, "--link: no link `%.32s` of %s; did you mean `%s`?",
                       link, f->name, near);
    return cx_fail(cx, FAULT_USAGE, "--link: no link `%.32s` of %s; there are: %s", link,
                   f->name, all == NULL ? "" : all);
}

enum fault family_parse(struct cx *cx, const char *family, const char *link,
                        const char **ret_family, const char **ret_link)
{
    const char *names[16];
    size_t n_names = 0;
    char *name, *inner;

    while (n_names < COUNT(names) && glm_family_at(n_names) != NULL) {
        names[n_names] = glm_family_at(n_names)->name;
        n_names++;
    }
    if (!split_family(cx, family, &name, &inner))
        return cx_fail(
            cx, FAULT_USAGE,
            "--family: `%.64s` is not read; expected binomial or 'binomial(probit)'",
            family);
    if (name == NULL || inner == NULL)
        return FAULT_MEMORY;
    const struct glm_family *f = find_family(name);
    const char *near = f == NULL ? bytes_nearest(name, names, n_names) : NULL;
    if (near != NULL)
        return cx_fail(cx, FAULT_USAGE, "--family: no family `%.32s`; did you mean `%s`?",
                       name, near);
    if (f == NULL)
        return cx_fail(
            cx, FAULT_USAGE,
            "--family: no family `%.32s`; there are: gaussian, binomial, poisson, Gamma, "
            "quasibinomial, quasipoisson",
            name);
    if (inner[0] != '\0' && link != NULL && strcmp(inner, link) != 0)
        return cx_fail(cx, FAULT_USAGE, "--family names the link %.32s and --link %.32s",
                       inner, link);
    *ret_family = f->name;
    return choose_link(cx, f,
                       inner[0] != '\0' ? inner
                       : link != NULL   ? link
                                        : "",
                       ret_link);
}

/* ---- parameters ---- */

static enum fault as_usage(enum fault fault)
{
    return fault == FAULT_INVALID || fault == FAULT_BOUND ? FAULT_USAGE : fault;
}

static enum fault make_variables(struct cx *cx, const struct codebook *cb,
                                 const struct args *args, const char *analysis,
                                 Cohortium__Params *params)
{
    const char **names;
    size_t n = args->n_words - 1;

    if (strcmp(analysis, "table") == 0) {
        TRY(as_usage(formula_parse_variables(cx, cb, args->words[1], &names, &n)));
    } else {
        CX_NEW(cx, names, n);
        for (size_t i = 0; i < n; i++) {
            names[i] = args->words[i + 1];
            if (codebook_find(cb, names[i]) < 0)
                return usage_fail(cx, args, "no variable `%.64s` in %s%s", names[i],
                                  cb->body->name, codebook_hint(cx, cb, names[i]));
        }
    }
    params->n_variables = n;
    CX_NEW(cx, params->variables, n);
    for (size_t i = 0; i < n; i++) {
        params->variables[i] = cx_strdup(cx, names[i]);
        if (params->variables[i] == NULL)
            return FAULT_MEMORY;
    }
    params->missing = args_has(args, "--missing");
    const char *by = args_get(args, "--by");
    if (by != NULL && codebook_find(cb, by) < 0)
        return usage_fail(cx, args, "--by: no variable `%.64s` in %s%s", by, cb->body->name,
                          codebook_hint(cx, cb, by));
    if (by != NULL)
        params->by = (char *)by;
    return FAULT_NONE;
}

static enum fault make_model(struct cx *cx, const struct codebook *cb,
                             const struct args *args, const char *analysis,
                             Cohortium__Params *params)
{
    const char *weights = args_get(args, "--weights"), *family = NULL, *link = NULL;

    if (strcmp(analysis, "glm") == 0) {
        if (args_get(args, "--family") == NULL)
            return usage_fail(cx, args,
                              "--family is missing: gaussian, binomial, poisson or "
                              "Gamma");
        TRY(family_parse(cx, args_get(args, "--family"), args_get(args, "--link"), &family,
                         &link));
    }
    TRY(as_usage(formula_parse(cx, cb, args->words[1], &params->model)));
    if (family != NULL) {
        params->model->family = (char *)family;
        params->model->link = (char *)link;
    }
    if (weights != NULL && codebook_find(cb, weights) < 0)
        return usage_fail(cx, args, "--weights: no variable `%.64s` in %s%s", weights,
                          cb->body->name, codebook_hint(cx, cb, weights));
    if (weights != NULL)
        params->model->weights = (char *)weights;
    return FAULT_NONE;
}

static enum fault make_params(struct cx *cx, const struct codebook *cb,
                              const struct args *args, const char *analysis,
                              Cohortium__Question *q)
{
    Cohortium__Params *params;
    double confidence;

    TRY(args_number(cx, args, "--confidence", 0.5, 0.999, 0.0, &confidence));
    if (strcmp(analysis, "count") == 0)
        return FAULT_NONE;
    CX_NEW(cx, params, 1);
    cohortium__params__init(params);
    if (strcmp(analysis, "lm") == 0 || strcmp(analysis, "glm") == 0)
        TRY(make_model(cx, cb, args, analysis, params));
    else
        TRY(make_variables(cx, cb, args, analysis, params));
    /* 0.95 written out and left out are the same question, so they must be the same bytes.
     */
    if (confidence != 0.95)
        params->confidence = confidence;
    q->params = params;
    return FAULT_NONE;
}

/* "Everybody" has one form: no cohort. */
static enum fault make_cohort(struct cx *cx, const struct codebook *cb, const char *where,
                              Cohortium__Question *q)
{
    struct ast *parsed, *canonical;

    if (where == NULL)
        return FAULT_NONE;
    TRY(as_usage(cohort_parse(cx, cb, where, &parsed)));
    TRY(ast_canonical(cx, cb, parsed, &canonical));
    if (canonical == NULL || canonical->op == COHORTIUM__AST_OP__AST_TRUE)
        return FAULT_NONE;
    if (canonical->op == COHORTIUM__AST_OP__AST_FALSE)
        return cx_fail(
            cx, FAULT_USAGE,
            "--where: no row that the codebook of %s allows can be in this cohort; "
            "check its comparisons against bounds and levels",
            cb->body->name);
    return ast_to_pb(cx, cb, canonical, &q->cohort);
}

enum fault question_make(struct cx *cx, const struct codebook *cb, const struct args *args,
                         const char *analysis, Cohortium__Question **ret)
{
    const struct analysis *a = analysis_find(analysis);
    Cohortium__Question *q;

    if (a == NULL)
        return cx_fail(cx, FAULT_INTERNAL, "this program was built without the analysis %s",
                       analysis);
    CX_NEW(cx, q, 1);
    cohortium__question__init(q);
    q->dataset = cb->body->name;
    q->codebook = PB_DATA(bytes_of(cb->digest, sizeof cb->digest));
    q->analysis = (char *)a->name;
    q->analysis_version = a->version;
    TRY(make_params(cx, cb, args, analysis, q));
    TRY(make_cohort(cx, cb, args_get(args, "--where"), q));
    *ret = q;
    return FAULT_NONE;
}

enum fault question_try(struct cx *cx, const struct codebook *cb,
                        const Cohortium__Question *question, unsigned rows_log2)
{
    struct complaints c = complaints_new(cx);
    struct buffer text = buffer_new(cx, 64 * 1024);
    struct asked asked;
    struct plan plan;
    struct regions regions;
    const struct analysis *analysis;

    /* The testing class has the fewest rules: what it complains about, every site will. */
    TRY(question_open(cx, cb, question, true, rows_log2, &c, &asked, &plan, &regions,
                      &analysis));
    if (c.n == 0)
        return FAULT_NONE;
    for (size_t i = 0; i < c.n; i++)
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", c.list[i]->text);
    const char *all = buffer_string(&text);
    return cx_fail(cx, FAULT_USAGE, "%s", all == NULL ? "" : all);
}
