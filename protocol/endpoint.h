/*
 * endpoint.h - where a node is reached or listens: "tcp://HOST:PORT", or "ws://HOST:PORT",
 * the same bytes as binary frames of a WebSocket, for proxies that let nothing else
 * through.
 */
#pragma once

#include <stdbool.h>

/* Its "HOST:PORT" or "[V6]:PORT", as far as the scheme tells; NULL: another scheme. */
const char *endpoint_place(const char *endpoint);
bool endpoint_is_ws(const char *endpoint);
