/*
 * verified.h - signatures that this process has verified or made already.
 *
 * In one question the same credential, permit, request and own messages are checked several
 * times, and Ed25519 costs 50 microseconds a time. A positive verdict for exactly these
 * bytes is remembered under a keyed hash (key random, of this process); a negative one
 * never is. A message of more than VERIFIED_MAX bytes is not remembered: hashing it twice
 * costs more than is saved, and a vector of many numbers is checked once. Any thread.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { VERIFIED_MAX = 32 * 1024 };

bool verified_before(const uint8_t key[32], struct bytes message,
                     const uint8_t signature[64]);
void verified_remember(const uint8_t key[32], struct bytes message,
                       const uint8_t signature[64]);
