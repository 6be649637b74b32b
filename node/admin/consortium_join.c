/*
 * consortium_join.c - the chain of manifests as one file: written for a new member, joined
 * with, and the next version given to the running node.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "node/admin/consortium.h"
#include "node/folder.h"
#include "protocol/base/clock.h"

static const char chain_line[] = "cohortium consortium 1\n";

static bool is_chain(struct bytes text)
{
    return text.n >= sizeof chain_line - 1 &&
           memcmp(text.p, chain_line, sizeof chain_line - 1) == 0;
}

/* One envelope a line, base64. */
static enum fault read_lines(struct invocation *in, const char *path, struct bytes text,
                             struct bytes *list, size_t *n)
{
    const char *p = (const char *)text.p + sizeof chain_line - 1,
               *end = (const char *)text.p + text.n;

    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t line = (size_t)((stop != NULL ? stop : end) - p), got = 0;
        uint8_t *packed;

        CX_NEW(in->cx, packed, line);
        if (*n == MANIFEST_CHAIN_MAX || line == 0 ||
            sodium_base642bin(packed, line, p, line, "\r", &got, NULL,
                              sodium_base64_VARIANT_ORIGINAL) != 0)
            return cx_fail(in->cx, FAULT_FORMAT,
                           "%s: line %zu is damaged; expected the file as `cohortiumd "
                           "consortium export` writes it",
                           path, *n + 2);
        list[(*n)++] = bytes_of(packed, got);
        p += line + 1;
    }
    return FAULT_NONE;
}

enum fault chain_read(struct invocation *in, const char *path, struct bytes **ret,
                      size_t *ret_n)
{
    struct bytes text, *list;

    TRY(read_document(in, path, &text));
    *ret_n = 0;
    if (!is_chain(text)) {
        CX_NEW(in->cx, *ret, 1);
        (*ret)[(*ret_n)++] = text;
        return FAULT_NONE;
    }
    CX_NEW(in->cx, list, MANIFEST_CHAIN_MAX);
    TRY(read_lines(in, path, text, list, ret_n));
    if (*ret_n == 0)
        return cx_fail(in->cx, FAULT_FORMAT, "%s holds no manifest", path);
    *ret = list;
    return FAULT_NONE;
}

enum fault admin_export(struct invocation *in)
{
    struct buffer out = buffer_new(in->cx, 256 * 1024 * 1024);
    struct manifest *m;
    const char *path;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "out", "FILE", &path));
    TRY(read_manifest(in, &m));
    buffer_text(&out, chain_line);
    for (size_t i = 0; i < m->n_chain; i++) {
        size_t size =
            sodium_base64_ENCODED_LEN(m->chain[i].n, sodium_base64_VARIANT_ORIGINAL);
        char *text;

        CX_NEW(in->cx, text, size);
        (void)sodium_bin2base64(text, size, m->chain[i].p, m->chain[i].n,
                                sodium_base64_VARIANT_ORIGINAL);
        buffer_printf(&out, "%s\n", text);
    }
    TRY(out.fault);
    TRY(write_document(in, bytes_of(out.p, out.n)));
    (void)printf(
        "%s holds manifest versions 1 to %zu of %s\ngenesis %s\ntell a new member the "
        "genesis digest by another way than the file; it joins with: cohortiumd "
        "consortium join --genesis DIGEST %s\n",
        path, m->n_chain, m->body->consortium_name,
        bytes_hex(in->cx, m->consortium, DIGEST_BYTES), path);
    return FAULT_NONE;
}

enum fault admin_join(struct invocation *in)
{
    const char *hex;
    struct node_settings settings;
    struct manifest *m;
    uint8_t genesis[32];
    struct bytes *chain;
    size_t n;

    TRY(need_words(in, 1, 1, "the manifest, or the chain of manifests, to join with"));
    TRY(need_option(in, "genesis", "DIGEST", &hex));
    if (bytes_from_hex(in->cx, hex, genesis, sizeof genesis) != FAULT_NONE)
        return cx_prefix(in->cx, "--genesis: ");
    TRY(folder_settings(in->cx, in->folder, &settings));
    TRY(chain_read(in, in->words[0], &chain, &n));
    if (n == 1) { /* what it is not is said better of one document */
        struct envelope e;
        Cohortium__Manifest *body;

        TRY(manifest_open_claimed(in, in->words[0], chain[0], &e, &body));
        if (body->version > 1)
            return cx_fail(
                in->cx, FAULT_FORMAT,
                "%s is manifest version %" PRIu64 " alone; to join, expected the "
                "whole chain: a member writes it with `cohortiumd consortium export "
                "-o FILE` (a running member takes one version with `cohortiumd "
                "consortium publish`)",
                in->words[0], body->version);
    }
    TRY(folder_join(in->cx, in->folder, chain, n, genesis));
    TRY(folder_manifest(in->cx, in->folder, &m));
    (void)printf(
        "%s belongs to consortium %s now\nnext: cohortiumd serve --background --dir %s, "
        "then a policy, a codebook, data and permits\n",
        settings.name, m->body->consortium_name, in->folder);
    return FAULT_NONE;
}

enum fault admin_publish(struct invocation *in)
{
    struct bytes *chain;
    size_t n;

    TRY(need_words(in, 1, 1, "the signed manifest"));
    TRY(chain_read(in, in->words[0], &chain, &n));
    for (size_t i = 0; i < n; i++) {
        struct envelope e;
        Cohortium__Manifest *body;

        TRY(manifest_open_claimed(in, in->words[0], chain[i], &e, &body));
    }
    return ask_node(in, "manifest publish", NULL, 0, chain, n, NULL);
}

enum fault admin_thaw(struct invocation *in)
{
    const char *reason;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "reason", "TEXT", &reason));
    const char *words[] = {reason, "take"};
    return ask_node(in, "manifest thaw", words, has_option(in, "take") ? 2 : 1, NULL, 0,
                    NULL);
}
