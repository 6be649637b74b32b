/* registry.h - the analyses that exist: one line each. */
#pragma once

#include "analyses/analysis.h"

extern const struct analysis
    analysis_count_patients; /* count.c; analysis_count() is taken */
extern const struct analysis analysis_table;
extern const struct analysis analysis_describe;
extern const struct analysis analysis_lm;
extern const struct analysis analysis_glm;
/* The same under noise; each named by the one above. */
extern const struct analysis analysis_noised_count;
extern const struct analysis analysis_noised_table;
extern const struct analysis analysis_noised_describe;
extern const struct analysis analysis_noised_lm;
extern const struct analysis analysis_noised_glm;
