/* policy_private.h - what the policy*.c files share. */
#pragma once

#include "node/vault/policy.h"

enum { POLICY_TABLE_VERSION = 4 };

/* The looser of two by one field: < 0 when a is looser than b, 0 when alike or only form.
 */
int policy_compare(enum policy_field f, double a, double b);
/* Whether an officer looks at an analysis under `after` and not under `before`. */
bool policy_reviews_more(const struct policy *after, const struct policy *before);
/* Whether the list of `after` holds an analysis that the list of `before` does not. */
bool policy_allows_more(const struct policy *after, const struct policy *before);
void policy_put_allowed(struct buffer *b, const struct policy *p);
void policy_put_reviewed(struct buffer *b, const struct policy *p);
