/* ledger_private.h - what a row's digest and the chain are made of. */
#pragma once

#include "node/vault/ledger.h"

enum { LEDGER_EXPRESSION_MAX = 1024 * 1024 };

void ledger_digest(const char *dataset, const char *kind, const char *name,
                   struct bytes expression, uint8_t ret[32]);
void ledger_chain(const uint8_t before[32], const uint8_t digest[32], uint8_t ret[32]);
