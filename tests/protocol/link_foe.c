/* link_foe.c - hostile peers of a server, for the tests of links. */
#include "tests/protocol/link_foe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"

struct peer *server;
static unsigned next_address;

int connect_from(bool fresh)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)hub_port(server->hub))};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    const struct timeval patience = {.tv_sec = 8};

    next_address += fresh ? 1 : 0;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(0x7f010000u + 2 + next_address);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

void hang_up(int fd, bool reset)
{
    const struct linger now = {.l_onoff = 1};

    if (reset)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

bool send_all(int fd, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = send(fd, (const uint8_t *)p + at, n - at, MSG_NOSIGNAL);

        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    return true;
}

bool is_dropped(int fd)
{
    uint8_t bin[4096];
    ssize_t n;

    while ((n = recv(fd, bin, sizeof bin, 0)) > 0)
        continue;
    return n == 0 || errno == ECONNRESET;
}

void check_honest(const char *after)
{
    struct peer *honest = peer_new(1, 0, 0);
    int64_t begun = clock_mono_ms();
    struct result r;

    peer_dial(honest, server, hub_port(server->hub), true);
    CHECK_(after, peer_until(honest, &honest->ups, 1, 3000));
    r = peer_call(honest, ASK_ECHO, bytes_of("honest", 6), 3000);
    CHECK_EQ_(after, r.fault, FAULT_NONE);
    CHECK_(after, r.equal);
    CHECK_(after, clock_mono_ms() - begun < 1000);
    peer_free(honest);
}

struct hub_counters counters(void)
{
    struct hub_counters c;

    peer_stop(server);
    c = hub_counters(server->hub);
    peer_start(server);
    return c;
}

size_t foe_read(struct foe *foe, uint8_t *p)
{
    uint8_t head[2];
    size_t n;

    if (recv(foe->fd, head, 2, MSG_WAITALL) != 2)
        return 0;
    n = (size_t)head[0] << 8 | head[1];
    return recv(foe->fd, p, n, MSG_WAITALL) == (ssize_t)n ? n : 0;
}

bool foe_write(struct foe *foe, uint8_t *p, size_t n)
{
    put_u16(p, (unsigned)n);
    return send_all(foe->fd, p, n + 2);
}

struct foe foe_new(struct bytes hello)
{
    struct foe foe = {.fd = connect_from(true), .cx = cx_new(1 << 20, CX_NO_DEADLINE)};
    uint8_t secret[32], message[4096], payload[4096];
    struct noise_setup setup = {.protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
                                .initiator = true,
                                .prologue = bytes_of("cohortium/1 test", 16),
                                .static_secret = secret,
                                .remote_static = server->key};
    size_t n;

    randombytes_buf(secret, 32);
    CHECK_OK_("noise", foe.cx, noise_new(foe.cx, &setup, &foe.noise));
    CHECK_OK_("1", foe.cx,
              noise_write(foe.cx, foe.noise, bytes_of(NULL, 0), message + 2, 4000, &n));
    assert_true(foe_write(&foe, message, n));
    n = foe_read(&foe, message);
    CHECK_OK_("2", foe.cx,
              noise_read(foe.cx, foe.noise, bytes_of(message, n), payload, 4096, &n));
    CHECK_OK_("3", foe.cx, noise_write(foe.cx, foe.noise, hello, message + 2, 4000, &n));
    assert_true(foe_write(&foe, message, n));
    n = foe_read(&foe, message);
    CHECK_OK_("welcome", foe.cx,
              noise_decrypt(foe.cx, foe.noise, bytes_of(message, n), payload));
    assert_int_equal(payload[0], FRAME_WELCOME);
    return foe;
}

void foe_free(struct foe *foe)
{
    (void)close(foe->fd);
    noise_free(&foe->noise);
    cx_free(&foe->cx);
}

bool foe_say(struct foe *foe, const uint8_t *plain, size_t n)
{
    static uint8_t message[2 + NOISE_MESSAGE_MAX];

    CHECK_OK_("encrypt", foe->cx,
              noise_encrypt(foe->cx, foe->noise, bytes_of(plain, n), message + 2));
    return foe_write(foe, message, n + NOISE_TAG);
}

size_t frame(uint8_t *p, unsigned type, unsigned flags, uint32_t stream, uint32_t claim,
             const void *body, size_t n)
{
    p[0] = (uint8_t)type;
    p[1] = (uint8_t)flags;
    put_u32(p + 2, stream);
    put_u32(p + 6, claim);
    if (n > 0)
        memcpy(p + FRAME_HEAD, body, n);
    return FRAME_HEAD + n;
}

size_t open_frame(uint8_t *p, uint32_t stream, unsigned service, uint32_t total, size_t n,
                  bool last)
{
    uint8_t body[FRAME_MAX] = {0};

    put_u16(body, service);
    put_u32(body + 2, total);
    return frame(p, FRAME_OPEN, last ? FLAG_LAST : 0, stream, (uint32_t)(6 + n), body,
                 6 + n);
}
