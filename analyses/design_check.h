/*
 * design_check.h - the parts of design_open that judge what a model may say.
 */
#pragma once

#include "analyses/design.h"

/* Response, offset and weights. */
CHECKED enum fault design_open_response(struct cx *cx, struct design *d,
                                        const Cohortium__Model *model, const char *analysis,
                                        struct complaints *c);
/* The factor's index in d->factors (equal factors are one); untouched after a complaint. */
CHECKED enum fault design_open_factor(struct cx *cx, struct design *d,
                                      const Cohortium__Factor *pb, const char *analysis,
                                      struct complaints *c, size_t *ret);
