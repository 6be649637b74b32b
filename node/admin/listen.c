/* listen.c - may this node listen where its settings say? */
#include "node/admin/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/endpoint.h"

enum { HOST_MAX = 256, PORT_MAX_TEXT = 8 };

/* "tcp://HOST:PORT" or "ws://[V6]:PORT"; "*" or nothing for HOST: any. */
static bool split(const char *endpoint, char host[HOST_MAX], char port[PORT_MAX_TEXT])
{
    const char *first = endpoint_place(endpoint);
    const char *colon = first != NULL ? strrchr(first, ':') : NULL;

    if (colon == NULL)
        return false;
    size_t n = (size_t)(colon - first);
    if (n >= 2 && first[0] == '[' && first[n - 1] == ']') {
        first++;
        n -= 2;
    }
    if (n >= HOST_MAX || colon[1] == '\0' || strlen(colon + 1) >= PORT_MAX_TEXT)
        return false;
    (void)snprintf(host, HOST_MAX, "%.*s", n == 1 && *first == '*' ? 0 : (int)n, first);
    (void)snprintf(port, PORT_MAX_TEXT, "%s", colon + 1);
    return true;
}

/* 0 or the errno of binding there; as net will do it, so that a port whose last links are
 * still ending counts as free. */
static int try_bind(const struct addrinfo *a)
{
    int on = 1, fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

    if (fd < 0)
        return errno;
    int bad = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                      bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 1) == 0
                  ? 0
                  : errno;
    (void)close(fd);
    return bad;
}

enum fault listen_check(struct cx *cx, const char *folder, const char *endpoint)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    char host[HOST_MAX], port[PORT_MAX_TEXT];

    if (endpoint[0] == '\0')
        return FAULT_NONE;
    if (!split(endpoint, host, port))
        return cx_fail(
            cx, FAULT_FORMAT,
            "%s/node.yaml: cannot listen at `%.100s`: expected tcp://ADDRESS:PORT, "
            "such as tcp://0.0.0.0:7011, or ws://ADDRESS:PORT",
            folder, endpoint);
    int bad = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
    if (bad != 0)
        return cx_fail(cx, FAULT_IO,
                       "%s/node.yaml: cannot listen at %.100s: %s; correct `listen`",
                       folder, endpoint, gai_strerror(bad));
    int why = try_bind(found);
    freeaddrinfo(found);
    if (why == 0)
        return FAULT_NONE;
    if (why == EADDRINUSE)
        return cx_fail(
            cx, FAULT_CONFLICT,
            "cannot listen at %.100s: another program listens there; end it (`ss "
            "-ltnp` shows which), or give another port as `listen` in "
            "%s/node.yaml and tell the members of your consortium",
            endpoint, folder);
    return cx_fail(
        cx, FAULT_IO,
        "cannot listen at %.100s: %s; give an address of this machine and a port "
        "that this user may open as `listen` in %s/node.yaml",
        endpoint, strerror(why), folder);
}
