/* cmd_profile.c - where home is, told once. */
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/profile.h"
#include "node/cli/render.h"
#include "protocol/endpoint.h"
#include "protocol/envelope.h"
#include "protocol/files.h"

enum { COPY_MAX = 64 * 1024 };

static enum fault needed(struct cx *cx, const struct args *args, const char *name,
                         const char **ret)
{
    *ret = args_get(args, name);
    if (*ret == NULL || (*ret)[0] == '\0')
        return usage_fail(cx, args, "%s is missing; usage: cohortium %s %s", name,
                          args->command->words, args->command->usage);
    return FAULT_NONE;
}

static enum fault needed_hex(struct cx *cx, const struct args *args, const char *name,
                             uint8_t ret[32])
{
    const char *text;

    TRY(needed(cx, args, name, &text));
    if (bytes_from_hex(cx, text, ret, 32) != FAULT_NONE)
        return usage_fail(cx, args, "%s: expected 64 hex digits", name);
    return FAULT_NONE;
}

static enum fault copy_file(struct cx *cx, const char *what, const char *from,
                            bool private_only, const char *folder, const char *name)
{
    const char *to = cx_printf(cx, "%s/%s", folder, name);
    struct bytes content;

    if (to == NULL)
        return FAULT_MEMORY;
    TRY(file_read(cx, what, from, COPY_MAX, private_only, &content));
    return file_write(cx, what, to, content, 0600, FILE_NEW);
}

/* That the three files belong together is known here or never: home says only that it does
 * not know us. */
static enum fault check_credential(struct cx *cx, const struct args *args, const char *path,
                                   const Cohortium__KeyFile *key, const uint8_t node[32])
{
    struct bytes packed;
    struct envelope e;
    Cohortium__Credential *c;

    TRY(file_read(cx, "credential", path, COPY_MAX, false, &packed));
    if (envelope_open(cx, ENVELOPE_CREDENTIAL, packed, &e) != FAULT_NONE ||
        pb_unpack(cx, &cohortium__credential__descriptor, e.body,
                  envelope_bound(ENVELOPE_CREDENTIAL), &c) != FAULT_NONE ||
        c->stamp == NULL)
        return usage_fail(cx, args,
                          "--credential: %s is no credential; expected what `cohortiumd "
                          "researcher issue` writes",
                          path);
    if (!bytes_equal(PB_BYTES(c->signing_key), PB_BYTES(key->public_key)))
        return usage_fail(cx, args, "--credential: %s is for another key, that of %.60s",
                          path, c->name);
    if (!bytes_equal(PB_BYTES(c->stamp->issuer), bytes_of(node, DIGEST_BYTES)))
        return usage_fail(cx, args,
                          "--credential: %s was issued by another node than --node", path);
    return FAULT_NONE;
}

enum fault run_profile_add(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct profile p = {0}, there;
    const char *key, *credential;
    Cohortium__KeyFile *public;

    TRY(args_words(cx, args, 1, 1));
    p.name = args->words[0];
    TRY(profile_folder(cx, p.name, &p.folder));
    if (profile_open(cx, p.name, &there) == FAULT_NONE)
        return cx_fail(
            cx, FAULT_CONFLICT,
            "the profile %s exists already: %s; choose another name or remove it", p.name,
            there.folder);
    TRY(needed(cx, args, "--home", &p.home));
    if (endpoint_place(p.home) == NULL)
        return usage_fail(cx, args, "--home: expected tcp://host:port or ws://host:port");
    TRY(needed_hex(cx, args, "--node", p.node));
    TRY(needed_hex(cx, args, "--noise", p.noise));
    TRY(needed_hex(cx, args, "--genesis", p.genesis));
    TRY(needed(cx, args, "--key", &key));
    TRY(needed(cx, args, "--credential", &credential));
    p.permit = args_get(args, "--permit");
    TRY(key_file_public(cx, key, &public));
    if (strcmp(public->use, "researcher") != 0)
        return usage_fail(cx, args,
                          "--key: %s is a key for the use %s, expected researcher", key,
                          public->use);
    TRY(check_credential(cx, args, credential, public, p.node));
    TRY(folder_make(cx, p.folder));
    TRY(copy_file(cx, "key file", key, true, p.folder, "researcher.key"));
    TRY(copy_file(cx, "credential", credential, false, p.folder, "credential"));
    /* Last: a profile without it does not exist for the other commands. */
    TRY(profile_write(cx, &p));
    (void)fprintf(cli->out, "profile %s: %s\ntry it: cohortium status --profile %s\n",
                  p.name, p.folder, p.name);
    return FAULT_NONE;
}

enum fault run_profile_list(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, 1 << 20);
    const char **names;
    size_t n;

    TRY(args_words(cx, args, 0, 0));
    TRY(profiles_list(cx, &names, &n));
    bool json = args_has(args, "--json");
    buffer_text(&out, json ? "{\"cohortium\":1,\"profiles\":[" : "");
    for (size_t i = 0; i < n; i++) {
        struct profile p;
        enum fault fault = profile_open(cx, names[i], &p);

        if (json) {
            buffer_text(&out, i > 0 ? "," : "");
            put_json_text(&out, names[i]);
        } else {
            buffer_printf(&out, "%-20s %s\n", names[i],
                          fault == FAULT_NONE ? p.home : cx_message(cx));
        }
    }
    buffer_text(&out, json ? "]}\n" : "");
    if (n == 0 && !json)
        buffer_text(&out, "no profile yet; `cohortium profile add` makes one\n");
    TRY(out.fault);
    (void)fwrite(out.p, 1, out.n, cli->out);
    return FAULT_NONE;
}

enum fault run_profile_show(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, 1 << 20);
    struct profile p;

    TRY(args_words(cx, args, 0, 1));
    TRY(profile_open(cx, args->n_words > 0 ? args->words[0] : NULL, &p));
    const struct {
        const char *name, *value;
    } lines[] = {{"name", p.name},
                 {"folder", p.folder},
                 {"home", p.home},
                 {"node", bytes_hex(cx, p.node, sizeof p.node)},
                 {"noise", bytes_hex(cx, p.noise, sizeof p.noise)},
                 {"genesis", bytes_hex(cx, p.genesis, sizeof p.genesis)},
                 {"permit", p.permit},
                 {"lab", p.lab}};
    bool json = args_has(args, "--json");
    buffer_text(&out, json ? "{\"cohortium\":1" : "");
    for (size_t i = 0; i < COUNT(lines); i++) {
        if (lines[i].value == NULL)
            continue;
        if (json) {
            buffer_printf(&out, ",\"%s\":", lines[i].name);
            put_json_text(&out, lines[i].value);
        } else {
            buffer_printf(&out, "%-8s %s\n", lines[i].name, lines[i].value);
        }
    }
    buffer_text(&out, json ? "}\n" : "");
    TRY(out.fault);
    (void)fwrite(out.p, 1, out.n, cli->out);
    return FAULT_NONE;
}
