/*
 * link_foe.h - hostile peers of a server, for the tests of links.
 *
 * A foe has a key, or none, and says what it likes, by blocking calls. Each connects from
 * a loopback address of its own: the bound on connections is one an address.
 */
#pragma once

#include "protocol/link_private.h"
#include "tests/protocol/link_peers.h"

extern struct peer *server; /* whom they attack; on a thread of its own */

/* Connects from 127.1.x.y; a fresh address unless the last one is asked for again. */
int connect_from(bool fresh);
void hang_up(int fd, bool reset);
bool send_all(int fd, const void *p, size_t n);
/* Whether the server hangs up within its handshake deadline. */
bool is_dropped(int fd);
/* An honest peer links and calls: the point of every test here. */
void check_honest(const char *after);
/* The loop stands still while its counters are read. */
struct hub_counters counters(void);

struct foe {
    int fd;
    struct cx *cx;
    struct noise *noise;
};
/* hello: the id that it takes (32 bytes), or nothing. */
struct foe foe_new(struct bytes hello);
void foe_free(struct foe *foe);
/* The next Noise message as it came; 0 at the end. */
size_t foe_read(struct foe *foe, uint8_t *p);
bool foe_write(struct foe *foe, uint8_t *p, size_t n); /* p: 2 bytes free in front */
bool foe_say(struct foe *foe, const uint8_t *plain, size_t n);

/* A frame into p; its length field may lie. */
size_t frame(uint8_t *p, unsigned type, unsigned flags, uint32_t stream, uint32_t claim,
             const void *body, size_t n);
size_t open_frame(uint8_t *p, uint32_t stream, unsigned service, uint32_t total, size_t n,
                  bool last);
