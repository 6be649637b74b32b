/* probe.c - see probe.h. */
#include "protocol/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/endpoint.h"

enum {
    NAMES_MS = 15000, /* after that, further names are not looked up */
    ADDRESSES_MAX = 4 /* of one name that are tried, at once */
};

/* "tcp://HOST:PORT" or "ws://[V6]:PORT". */
static enum fault split(struct cx *cx, const char *endpoint, const char **ret_host,
                        const char **ret_port)
{
    const char *first = endpoint_place(endpoint);
    const char *colon = first != NULL ? strrchr(first, ':') : NULL;

    if (colon == NULL || colon == first || colon[1] == '\0')
        return cx_fail(cx, FAULT_FORMAT, "expected tcp://HOST:PORT or ws://HOST:PORT");
    size_t n = (size_t)(colon - first);
    if (n >= 2 && first[0] == '[' && first[n - 1] == ']') {
        first++;
        n -= 2;
    }
    const char *host = cx_printf(cx, "%.*s", (int)n, first);
    if (host == NULL)
        return FAULT_MEMORY;
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
        host = "127.0.0.1";
    *ret_host = strcmp(host, "::") == 0 ? "::1" : host;
    *ret_port = colon + 1;
    return FAULT_NONE;
}

static void failed(struct cx *cx, struct probe *p, int why)
{
    const char *text = cx_strdup(cx, strerror(why));

    p->why = text != NULL ? text : "out of memory";
}

/* A socket that connects to one address of a name; -1 where it cannot even begin to. */
static int begin_one(struct cx *cx, struct probe *p, const struct addrinfo *a)
{
    int fd =
        socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);

    if (fd >= 0 && (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS))
        return fd;
    failed(cx, p, errno);
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static size_t begin(struct cx *cx, struct probe *p, struct pollfd fds[ADDRESSES_MAX])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    const char *host = NULL, *port = NULL;
    size_t begun = 0;

    if (split(cx, p->endpoint, &host, &port) != FAULT_NONE) {
        p->why = "expected tcp://HOST:PORT or ws://HOST:PORT";
        return 0;
    }
    int bad = getaddrinfo(host, port, &hints, &found);
    if (bad != 0) {
        p->why = gai_strerror(bad);
        return 0;
    }
    size_t i = 0;
    for (const struct addrinfo *a = found; a != NULL && i < ADDRESSES_MAX;
         a = a->ai_next, i++) {
        fds[i].fd = begin_one(cx, p, a);
        begun += fds[i].fd >= 0;
    }
    freeaddrinfo(found);
    return begun;
}

static void finish(struct cx *cx, struct probe *p, struct pollfd *fd)
{
    int why = 0;
    socklen_t n = sizeof why;

    if (getsockopt(fd->fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0)
        why = errno;
    if (why == 0)
        p->why = NULL;
    else if (p->why != NULL) /* another of its addresses may have accepted */
        failed(cx, p, why);
    (void)close(fd->fd);
    fd->fd = -1; /* poll leaves it alone */
}

enum fault probe_all(struct cx *cx, struct probe *probes, size_t n, int64_t ms)
{
    struct pollfd *fds;
    int64_t names_until = clock_mono_ms() + NAMES_MS;
    size_t waiting = 0, n_fds = n * ADDRESSES_MAX;

    CX_NEW(cx, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = (struct pollfd){.fd = -1, .events = POLLOUT};
    for (size_t i = 0; i < n; i++) {
        bool late = clock_mono_ms() >= names_until;

        probes[i].why =
            late ? "names are looked up too slowly; it was not tried" : "no answer in time";
        if (!late)
            waiting += begin(cx, &probes[i], fds + i * ADDRESSES_MAX);
    }
    for (int64_t end = clock_mono_ms() + ms; waiting > 0;) {
        int64_t left = end - clock_mono_ms();

        if (left <= 0 || (poll(fds, n_fds, (int)left) < 0 && errno != EINTR))
            break;
        for (size_t i = 0; i < n_fds; i++)
            if (fds[i].fd >= 0 && fds[i].revents != 0) {
                finish(cx, &probes[i / ADDRESSES_MAX], &fds[i]);
                waiting--;
            }
    }
    for (size_t i = 0; i < n_fds; i++)
        if (fds[i].fd >= 0)
            (void)close(fds[i].fd);
    return FAULT_NONE;
}

enum fault probe_one(struct cx *cx, const char *endpoint, int64_t ms)
{
    struct probe p = {.endpoint = endpoint};

    TRY(probe_all(cx, &p, 1, ms));
    return p.why == NULL ? FAULT_NONE
                         : cx_fail(cx, FAULT_UNAVAILABLE, "%s: %s", endpoint, p.why);
}
