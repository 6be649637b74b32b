/*
 * sha1.h - SHA-1 (FIPS 180-4), which the WebSocket's handshake asks for and libsodium
 * lacks.
 *
 * It proves nothing there and is used for nothing else: SHA-1 is broken.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { SHA1_BYTES = 20 };
void sha1(struct bytes text, uint8_t ret[SHA1_BYTES]);
