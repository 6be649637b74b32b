/* client.c - one command to a running node over its admin socket. */
#include "node/admin/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/folder.h"
#include "protocol/cohortium.pb-c.h"

enum { REPLY_MAX = 16 * 1024 * 1024 };

static enum fault connect_to(struct cx *cx, const char *folder, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path;

    TRY(folder_admin_socket(cx, folder, &path));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cx_fail(cx, FAULT_IO, "socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int why = errno;

        (void)close(fd);
        if (why == ENOENT || why == ECONNREFUSED)
            return cx_fail(cx, FAULT_UNAVAILABLE,
                           "no node serves %s; start it with `cohortiumd serve --dir %s`",
                           folder, folder);
        return cx_fail(cx, FAULT_IO, "%s: %s", path, strerror(why));
    }
    *ret_fd = fd;
    return FAULT_NONE;
}

static bool send_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool read_all(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = read(fd, p, n);

        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static enum fault exchange(struct cx *cx, int fd, struct bytes call, struct bytes *ret)
{
    struct buffer out = buffer_new(cx, call.n + 4);
    uint8_t head[4], *body;

    buffer_u32(&out, (uint32_t)call.n);
    buffer_put(&out, call.p, call.n);
    TRY(out.fault);
    if (!send_all(fd, out.p, out.n) || !read_all(fd, head, sizeof head))
        return cx_fail(cx, FAULT_UNAVAILABLE,
                       "the node ended the conversation; see its log");
    size_t n =
        head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (n > REPLY_MAX)
        return cx_fail(cx, FAULT_BOUND, "the node's reply is too long");
    CX_NEW(cx, body, n);
    if (!read_all(fd, body, n))
        return cx_fail(cx, FAULT_UNAVAILABLE,
                       "the node ended the conversation; see its log");
    *ret = bytes_of(body, n);
    return FAULT_NONE;
}

enum fault admin_call(struct cx *cx, const char *folder, const char *command,
                      const char *const *words, size_t n_words, const struct bytes *blobs,
                      size_t n_blobs, struct admin_reply *ret)
{
    Cohortium__AdminCall call = COHORTIUM__ADMIN_CALL__INIT;
    Cohortium__AdminReply *reply;
    struct bytes packed, answer;
    int fd = -1;

    call.command = (char *)command;
    call.n_arguments = n_words;
    call.arguments = (char **)words;
    call.n_blobs = n_blobs;
    CX_NEW(cx, call.blobs, n_blobs);
    for (size_t i = 0; i < n_blobs; i++)
        call.blobs[i] = PB_DATA(blobs[i]);
    TRY(pb_pack(cx, &call.base, &packed));
    TRY(connect_to(cx, folder, &fd));
    enum fault fault = exchange(cx, fd, packed, &answer);
    (void)close(fd);
    TRY(fault);
    TRY(pb_unpack(cx, &cohortium__admin_reply__descriptor, answer, REPLY_MAX, &reply));
    *ret = (struct admin_reply){.status = reply->status,
                                .text = reply->text,
                                .json = reply->json,
                                .n_blobs = reply->n_blobs,
                                .n_notices = reply->n_notices,
                                .notices = reply->notices};
    CX_NEW(cx, ret->blobs, reply->n_blobs);
    for (size_t i = 0; i < reply->n_blobs; i++)
        ret->blobs[i] = PB_BYTES(reply->blobs[i]);
    return FAULT_NONE;
}
