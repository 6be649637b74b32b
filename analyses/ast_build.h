/*
 * ast_build.h - one typed node from its operands: what the parser and ast_open share.
 *
 * Inside analyses' languages only. A literal text has no type until it meets a variable: it
 * is an operand with `text`, and becomes a level or a date here.
 */
#pragma once

#include "analyses/ast.h"

struct operand {
    struct ast *ast; /* NULL for a text that has not met its variable */
    const char *text;
    size_t depth;  /* of the tree: 1 for a leaf */
    size_t column; /* where it stands in the text; 0: nowhere */
};

/* What was wrong: a stable word and a sentence without the place; the guilty operand. */
struct build_error {
    const char *code, *text;
    size_t operand; /* n: the operator itself */
};

/* Builds op over n operands. On a type error *ret is NULL and *error says why. FAULT_MEMORY
 * only. op: everything but leaves. */
CHECKED enum fault ast_build(struct cx *cx, const struct codebook *cb, Cohortium__AstOp op,
                             const struct operand *operands, size_t n, struct ast **ret,
                             struct build_error *error);
/* A variable that a question may name; *ret NULL and error otherwise. */
CHECKED enum fault ast_build_variable(struct cx *cx, const struct codebook *cb,
                                      const char *name, struct ast **ret,
                                      struct build_error *error);
/* Whether the finished tree may stand where `want` is expected. */
CHECKED enum fault ast_build_wanted(struct cx *cx, const struct codebook *cb,
                                    const struct operand *top, enum ast_type want,
                                    bool *ret_ok, struct build_error *error);

/* A node with room for n operands; NULL without memory. */
struct ast *ast_node(struct cx *cx, Cohortium__AstOp op, enum ast_type type, size_t n);
/* A level or date literal of this variable. */
struct ast *ast_level(struct cx *cx, const struct codebook *cb, int variable, double value);
bool ast_is_comparison(Cohortium__AstOp op); /* EQ NE LT LE GT GE */
bool ast_is_literal(const struct ast *a);    /* a number, level or date */
/* Nodes and depth of a tree. */
size_t ast_size(const struct ast *a);
size_t ast_depth(const struct ast *a);
/* FAULT_INVALID when the tree is beyond AST_NODES_MAX or AST_DEPTH_MAX. */
CHECKED enum fault ast_is_bounded(struct cx *cx, const struct ast *a);
