/*
 * client.h - one command to a running node over its admin socket.
 */
#pragma once

#include "protocol/base/bytes.h"

struct admin_reply {
    unsigned status; /* exit status of the command */
    const char *text;
    const char *json; /* the same for programs, where a command has it; "" */
    size_t n_blobs;
    struct bytes *blobs;
    size_t n_notices;
    char **notices; /* what expires soon or waits for somebody */
};

/* FAULT_UNAVAILABLE when no node serves this folder. A command's own failure is a reply. */
CHECKED enum fault admin_call(struct cx *cx, const char *folder, const char *command,
                              const char *const *words, size_t n_words,
                              const struct bytes *blobs, size_t n_blobs,
                              struct admin_reply *ret);
