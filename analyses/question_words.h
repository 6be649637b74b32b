/*
 * question_words.h - a signed question as the command line that asks it, without a codebook.
 */
#pragma once

#include "protocol/base/bytes.h"
#include "protocol/cohortium.pb-c.h"

/* "glm lung 'status ~ age + sex' --family binomial --where 'age >= 50'", without sites and
 * permit. From the typed parts that were signed, never from what somebody typed. Total:
 * what cannot be read is said in words. NULL without memory. */
const char *question_words(struct cx *cx, const Cohortium__Question *question);
