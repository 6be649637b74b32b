/*
 * ask.h - one question, from the words of a command line to a verified answer.
 *
 *   question_make   words -> Question        (question.c; no link needed)
 *   ask             sign, call, keep the receipt, verify, render   (ask.c)
 */
#pragma once

#include "analyses/analysis.h"
#include "node/cli/home.h"
#include "protocol/receipt.h"

/* Dataset, analysis, parameters, cohort; sites and by_site are the caller's to set.
 * FAULT_USAGE with what was wrong. Everything lives in cx. */
CHECKED enum fault question_make(struct cx *cx, const struct codebook *cb,
                                 const struct args *args, const char *analysis,
                                 Cohortium__Question **ret);
/* Opens the question as a site would, so that what is wrong is known before anybody is
 * asked: the complaints that hold under any policy. FAULT_USAGE with all of them. */
CHECKED enum fault question_try(struct cx *cx, const struct codebook *cb,
                                const Cohortium__Question *question, unsigned rows_log2);

/* `binomial(probit)`, `Gamma(link = "log")`, `poisson`: R's spellings. The canonical link
 * when none is named. FAULT_USAGE with a suggestion. */
CHECKED enum fault family_parse(struct cx *cx, const char *family, const char *link,
                                const char **ret_family, const char **ret_link);

struct unwitnessed;
struct asking {
    const struct args *args;
    const char *permit; /* when args name none; may be NULL */
    bool json, csv;
    bool many; /* one of a file: receipts are not fsynced, errors in JSON too */
    bool save;
    int64_t wait_ms; /* for home to come back amid a question */
    struct unwitnessed *unwitnessed; /* of a file: asked about at its end; else NULL: now */
};
/* Prints the answer to cli->out. FAULT_REFUSED for NOT_RELEASED, too. Everything made on
 * the way lives in cx, which holds the message after a failure. */
CHECKED enum fault ask(struct cli *cli, struct home *home, struct cx *cx,
                       const struct asking *asking);
