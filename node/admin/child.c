/*
 * child.c - what vault and net are when the supervisor has started them: the passphrase is
 * read, rights are given up, and the process does its one work until its control pipe ends.
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/admin/supervisor.h"
#include "node/folder.h"
#include "node/log.h"
#include "node/net/net.h"
#include "node/sandbox.h"
#include "node/vault/vault.h"
#include "protocol/keys.h"

static char *read_passphrase(void)
{
    char *p = sodium_malloc(PASSPHRASE_MAX);
    size_t n = 0;
    ssize_t k;

    if (p == NULL)
        return NULL;
    while (n < PASSPHRASE_MAX - 1 &&
           (k = read(CHILD_FD_SECRET, p + n, PASSPHRASE_MAX - 1 - n)) > 0)
        n += (size_t)k;
    (void)close(CHILD_FD_SECRET);
    p[n] = '\0';
    return p;
}

static enum fault run_vault(struct cx *cx, const char *folder, const char *passphrase)
{
    struct vault_setup setup = {folder, passphrase, CHILD_FD_PAIR, CHILD_FD_CONTROL,
                                CHILD_FD_ADMIN};

    TRY(sandbox_enter(cx, SANDBOX_VAULT, folder));
    return vault_run(cx, &setup);
}

/* The link key that the manifest lists: a new one takes the old one's place. */
static enum fault read_link_key(struct cx *cx, const char *folder, const char *passphrase,
                                const struct manifest *m, struct keys **ret)
{
    const char *path = cx_printf(cx, "%s/keys/noise.key", folder);
    const char *next = cx_printf(cx, "%s/keys/" LINK_KEY_NEXT, folder);

    if (path == NULL || next == NULL)
        return FAULT_MEMORY;
    if (access(next, F_OK) == 0) {
        AUTO_KEYS struct keys *fresh = NULL;

        TRY(keys_read(cx, next, "node_noise", passphrase, &fresh));
        if (manifest_find_noise(m, keys_link_public(fresh)) != NULL &&
            rename(next, path) != 0)
            return cx_fail(cx, FAULT_IO, "%s: %s", next, strerror(errno));
    }
    return keys_read(cx, path, "node_noise", passphrase, ret);
}

static enum fault run_net(struct cx *cx, const char *folder, const char *passphrase)
{
    AUTO_KEYS struct keys *keys = NULL;
    struct node_settings settings;
    struct net_setup setup = {.vault_fd = CHILD_FD_PAIR, .control_fd = CHILD_FD_CONTROL};

    TRY(folder_settings(cx, folder, &settings));
    TRY(folder_manifest(cx, folder, &setup.manifest));
    TRY(read_link_key(cx, folder, passphrase, setup.manifest, &keys));
    setup.listen = settings.listen[0] != '\0' ? settings.listen : NULL;
    setup.relay = settings.relay;
    setup.link_secret = keys_link_secret(keys);
    TRY(sandbox_enter(cx, SANDBOX_NET, folder));
    return net_run(cx, &setup);
}

int child_main(int argc, char **argv)
{
    bool vault = strcmp(argv[1], "vault-process") == 0;
    AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    char *passphrase = read_passphrase();

    log_open(vault ? "vault" : "net");
    if (cx == NULL || passphrase == NULL || argc != 3)
        return CHILD_FATAL;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT,
                 SIG_IGN); /* Ctrl-C reaches the whole group: the supervisor decides */
    const char *phrase = passphrase[0] != '\0' ? passphrase : NULL;
    enum fault fault =
        vault ? run_vault(cx, argv[2], phrase) : run_net(cx, argv[2], phrase);
    sodium_free(passphrase);
    if (fault == FAULT_NONE)
        return 0;
    log_warning("%s", cx_message(cx));
    /* Gone children are started again; what an operator must mend is not tried in a loop.
     */
    return fault == FAULT_UNAVAILABLE || fault == FAULT_MEMORY ? 1 : CHILD_FATAL;
}
