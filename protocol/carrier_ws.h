/*
 * carrier_ws.h - the accepting side of a WebSocket (RFC 6455), as bytes in and bytes out;
 * it knows neither sockets nor links.
 *
 * Written out here because nng's HTTP server bounds nothing before an upgrade: not the
 * connections that say nothing, nor the time that they may take, nor how many headers come.
 * So a caller at a ws:// port is an unauthenticated link from its first byte on, with the
 * bounds of any other. What it may say: one GET of WS_REQUEST_MAX bytes, then masked binary
 * frames of WS_FRAME_MAX.
 */
#pragma once

#include "protocol/base/bytes.h"

enum {
    WS_REQUEST_MAX = 8 * 1024,
    WS_FRAME_MAX = 64 * 1024,
    WS_CONTROL_MAX = 125, /* of a ping; given back in a pong */
    WS_LEAD_MAX = 2 + WS_CONTROL_MAX + 4,
    WS_ANSWER_MAX = 256
};

struct ws {
    bool open; /* the request was answered */
    uint8_t head[14];
    size_t n_head;
    uint64_t left; /* of the frame that arrives */
    uint8_t mask[4], opcode;
    size_t at; /* in the mask */
    uint8_t control[WS_CONTROL_MAX];
    size_t n_control;
    bool pong_due;
};

enum ws_request { WS_REQUEST_PART, WS_REQUEST_GOOD, WS_REQUEST_BAD };
/* Reads a request at the front of n bytes; for another path than "/" the answer is 404.
 * *ret_n: its length, where it is whole. answer: what is sent back, also to a bad one
 * (*ret_answer 0: nothing). */
enum ws_request ws_request(const uint8_t *p, size_t n, size_t *ret_n,
                           char answer[WS_ANSWER_MAX], size_t *ret_answer);

/* Takes n bytes from the wire and leaves their payload at p. False: the peer broke the
 * protocol, or closed; *ret_why says which. */
bool ws_take(struct ws *ws, uint8_t *p, size_t n, size_t *ret_n, const char **ret_why);

/* What goes before so many bytes of payload (0: none), with a pong that is due. */
size_t ws_lead(struct ws *ws, uint8_t lead[WS_LEAD_MAX], size_t payload);
