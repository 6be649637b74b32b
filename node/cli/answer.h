/*
 * answer.h - a verified receipt as an answer that can be shown.
 */
#pragma once

#include "node/cli/render.h"
#include "protocol/receipt.h"

/* facts: of a receipt that holds; cb: the codebook that its question names. Derives what an
 * analysis shows from released numbers. Everything lives in cx. */
CHECKED enum fault answer_make(struct cx *cx, const struct codebook *cb,
                               const struct receipt_facts *facts, struct answer *ret);
/* "hospital_a", or the id's first digits when it is no member. In cx. */
const char *member_name(struct cx *cx, const struct manifest *manifest,
                        struct bytes node_id);
