/* node.c - init, serve, status, doctor. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "node/admin/listen.h"
#include "node/admin/options.h"
#include "node/admin/supervisor.h"
#include "node/folder.h"
#include "node/sandbox.h"

/* What can be wrong is found before a passphrase is typed twice. */
static enum fault check_init(struct invocation *in, const char *name, const char *listen)
{
    if (!name_is_valid(name))
        return cx_fail(in->cx, FAULT_USAGE,
                       "--name %.40s: expected lower-case letters, digits and _, such as "
                       "hospital_a",
                       name);
    if (listen == NULL)
        return cx_fail(in->cx, FAULT_USAGE,
                       "expected --listen, where the other nodes' calls are taken: "
                       "tcp://0.0.0.0:7011 on every interface of this machine, "
                       "tcp://10.1.2.3:7011 on one, \"\" on none (then it only dials)");
    if (listen[0] != '\0')
        TRY(endpoint_check(in->cx, "--listen", listen));
    if (access(cx_printf(in->cx, "%s/node.yaml", in->words[0]), F_OK) == 0)
        return cx_fail(in->cx, FAULT_CONFLICT,
                       "%s is a node's folder already; choose a new one", in->words[0]);
    return FAULT_NONE;
}

enum fault admin_init(struct invocation *in)
{
    const char *name, *listen = option(in, "listen"), *folder = in->words[0];
    char *secret = NULL;

    TRY(need_words(in, 1, 1, "a folder to make"));
    TRY(need_option(in, "name", "NAME", &name));
    TRY(check_init(in, name, listen));
    if (!has_option(in, "lab"))
        TRY(read_secret(in, "the new node", true, &secret));
    enum fault fault = folder_init(in->cx, folder, name, listen, secret);
    if (secret != NULL)
        sodium_free(secret);
    TRY(fault);
    (void)printf("node %s is made in %s; it will listen %s%s (change it in %s/node.yaml)\n",
                 name, folder, listen[0] != '\0' ? "at " : "nowhere and dial the others",
                 listen, folder);
    if (!has_option(in, "lab"))
        (void)printf(
            "keep the passphrase, and a copy of %s/keys apart from it: without both "
            "nobody opens this node again\n",
            folder);
    (void)printf(
        "next: cohortiumd consortium card --dir %s --endpoint tcp://HOST:PORT --officer "
        "CARD -o %s.member\n",
        folder, name);
    return FAULT_NONE;
}

/* Whether the node's keys open without a passphrase (a lab). */
static bool has_passphrase(struct invocation *in)
{
    struct keys *keys = NULL;
    enum fault fault = keys_read(in->cx, cx_printf(in->cx, "%s/keys/noise.key", in->folder),
                                 "node_noise", NULL, &keys);

    keys_free(&keys);
    return fault == FAULT_DENIED;
}

static enum fault check_secret(struct invocation *in, const char *secret)
{
    struct keys *keys = NULL;
    enum fault fault = keys_read(in->cx, cx_printf(in->cx, "%s/keys/noise.key", in->folder),
                                 "node_noise", secret, &keys);

    keys_free(&keys);
    return fault;
}

/* Whether a node runs on this folder: its own port is no other program's. */
static bool is_served(struct invocation *in)
{
    int fd = open(cx_printf(in->cx, "%s/run/lock", in->folder), O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool served = flock(fd, LOCK_SH | LOCK_NB) != 0;
    (void)close(fd);
    return served;
}

enum fault admin_serve(struct invocation *in)
{
    struct serve_options o = {.folder = in->folder,
                              .background = has_option(in, "background")};
    struct node_settings settings;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(folder_settings(in->cx, in->folder, &settings));
    if (!is_served(in)) /* if it is, the supervisor says so */
        TRY(listen_check(in->cx, in->folder, settings.listen));
    if (has_passphrase(in))
        TRY(read_secret(in, settings.name, false, &o.passphrase));
    enum fault fault = check_secret(in, o.passphrase);
    if (fault == FAULT_NONE)
        fault = supervisor_run(in->cx, &o);
    if (o.passphrase != NULL)
        sodium_free(o.passphrase);
    if (fault == FAULT_NONE && o.background)
        (void)printf(
            "node %s serves %s in the background, listening %s%s\nits lines: %s/node.log; "
            "how it is: cohortiumd status --dir %s; end it: cohortiumd stop --dir %s\n",
            settings.name, in->folder, settings.listen[0] != '\0' ? "at " : "nowhere",
            settings.listen, in->folder, in->folder, in->folder);
    return fault;
}

enum fault admin_stop(struct invocation *in)
{
    struct node_settings settings;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(folder_settings(in->cx, in->folder, &settings));
    TRY(supervisor_stop(in->cx, in->folder));
    (void)printf("node %s is stopped\n", settings.name);
    return FAULT_NONE;
}

enum fault admin_status(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "status", NULL, 0, NULL, 0, NULL);
}
