/* audit_private.h - what the audit*.c files share. */
#pragma once

#include "node/vault/audit.h"

enum { AUDIT_LEAF_MAX = 64 * 1024 };

void audit_details_hash(struct bytes salt, const char *details, uint8_t ret[32]);
/* merkle_store's callback: user is the sqlite3. Level 0 is in log, the others in log_node.
 */
CHECKED enum fault audit_node(struct cx *cx, void *user, unsigned level, uint64_t index,
                              uint8_t ret[32]);
