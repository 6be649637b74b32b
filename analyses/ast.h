/*
 * ast.h - typed expressions over codebook variables: cohorts and the parts of formulas.
 *
 * On the wire they are postfix (Ast in cohortium.proto); here a tree that has been checked
 * against a codebook. Truth is SQL's three-valued logic: a comparison with a missing value
 * is unknown, a row is in the cohort only if the whole is true.
 */
#pragma once

#include "analyses/codebook.h"
#include "protocol/papers.h"

enum { AST_NODES_MAX = 4096, AST_DEPTH_MAX = 64 };

/* ANY is only ever wanted, of a factor: a number, one variable of any type, or a
 * comparison. */
enum ast_type {
    AST_TYPE_NUMBER,
    AST_TYPE_LEVEL,
    AST_TYPE_DATE,
    AST_TYPE_BOOL,
    AST_TYPE_ANY
};

struct ast {
    Cohortium__AstOp op;
    enum ast_type type;
    int variable;  /* AST_VARIABLE: index in the codebook; AST_LEVEL: whose level */
    double number; /* AST_NUMBER; AST_LEVEL: level index, or day number of a date */
    size_t n;
    struct ast **args;
};

/* Rebuilds and type-checks a received expression. What is wrong goes to complaints (unknown
 * variable or level, type, unusable variable, too deep); *ret is NULL then. An absent pb
 * gives NULL without complaint (everybody). FAULT_MEMORY only. */
CHECKED enum fault ast_open(struct cx *cx, const struct codebook *cb,
                            const Cohortium__Ast *pb, enum ast_type want,
                            struct complaints *c, struct ast **ret);
CHECKED enum fault ast_to_pb(struct cx *cx, const struct codebook *cb,
                             const struct ast *ast, Cohortium__Ast **ret);
/* Text that parses back to the same tree; the names of R's terms come from here too
 * ("I(lwt^2)" is written by the caller around it). NULL ast: "everybody". */
const char *ast_text(struct cx *cx, const struct codebook *cb, const struct ast *ast);
/* The same of a received expression, without a codebook. Total: what cannot be read is said
 * in words. */
const char *ast_words(struct cx *cx, const Cohortium__Ast *ast);
/* As R writes a number: the fewest digits that read back to it. */
const char *number_words(struct cx *cx, double x);

/* Same meaning, one form: not pushed to the leaves, and/or flattened, sorted and without
 * duplicates, constants folded, > and >= turned into < and <= with not; for integers (and
 * dates) `x > 46` = `x >= 47`, between split, in/== on levels as one sorted set, complement
 * of a level set as a set plus validity, comparisons that bounds decide replaced by
 * validity. Equal cohorts in other syntax should meet here as far as that is cheap and
 * sound under three-valued logic. */
CHECKED enum fault ast_canonical(struct cx *cx, const struct codebook *cb,
                                 const struct ast *ast, struct ast **ret);
bool ast_equal(const struct ast *a, const struct ast *b);
int ast_compare(const struct ast *a, const struct ast *b); /* total order */

/* Builders (in cx; NULL without memory): and/or of n parts (0 parts: true/false; 1:
 * itself). */
struct ast *ast_number(struct cx *cx, double number);
struct ast *ast_variable(struct cx *cx, const struct codebook *cb, int variable);
struct ast *ast_is_level(struct cx *cx, const struct codebook *cb, int variable, int level);
struct ast *ast_join(struct cx *cx, Cohortium__AstOp and_or, struct ast **parts, size_t n);
struct ast *ast_not(struct cx *cx, struct ast *a);
struct ast *ast_constant(struct cx *cx, bool value);

/* Marks each variable that the tree names in used[] (n = variables of the codebook). */
void ast_variables(const struct ast *ast, bool *used);

/* Closed language of a production policy (DISCLOSURE.md 0.5): complaints for comparisons of
 * quasi-identifiers, and of whatever else has a grid (R12), off the codebook grid,
 * comparisons of two variables, arithmetic in a cohort. Levels, is missing, and cut points
 * on the grid (or at the bounds) pass. */
void ast_complain_closed(struct complaints *c, struct cx *cx, const struct codebook *cb,
                         const struct ast *cohort);
