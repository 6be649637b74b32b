/* cmd_key.c - a key pair, and the card to hand over. */
#include <sodium.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/profile.h"
#include "node/cli/render.h"
#include "protocol/files.h"

enum { CARD_MAX = 16 * 1024 };

static enum fault write_card(struct cx *cx, const struct keys *keys, const char *path)
{
    Cohortium__Card card = COHORTIUM__CARD__INIT;
    struct bytes packed, text;

    card.name = (char *)keys_name(keys);
    card.use = (char *)keys_use(keys);
    card.signing_key = PB_DATA(bytes_of(keys_signing_public(keys), KEY_BYTES));
    card.noise_key = PB_DATA(bytes_of(keys_link_public(keys), KEY_BYTES));
    TRY(pb_pack(cx, &card.base, &packed));
    TRY(armor(cx, card_line, packed, &text));
    return file_write(cx, "card", path, text, 0644, FILE_NEW);
}

enum fault run_key_new(struct cli *cli, const struct args *args)
{
    static const char *const uses[] = {"researcher", "officer", "governance"};
    struct cx *cx = cli->cx;
    const char *use = args_get(args, "--use"), *name = args_get(args, "--name");
    const char *path = args_get(args, "-o");
    AUTO_KEYS struct keys *keys = NULL;
    char *passphrase = NULL;
    bool known = false;

    TRY(args_words(cx, args, 0, 0));
    use = use == NULL ? uses[0] : use;
    for (size_t i = 0; i < COUNT(uses); i++)
        known = known || strcmp(uses[i], use) == 0;
    if (!known)
        return usage_fail(
            cx, args, "--use: `%.32s`; expected researcher, officer or governance", use);
    if (name == NULL || path == NULL)
        return usage_fail(cx, args, "%s is missing; usage: cohortium key new %s",
                          name == NULL ? "--name" : "-o", args->command->usage);
    const char *card = cx_printf(cx, "%s.card", path);
    if (card == NULL)
        return FAULT_MEMORY;
    TRY(keys_new(cx, use, name, &keys));
    if (!args_has(args, "--lab"))
        TRY(passphrase_read(cx, args_get(args, "--passphrase-file"),
                            "passphrase of the new key", true, &passphrase));
    enum fault fault = keys_write(cx, keys, passphrase, path);
    if (passphrase != NULL)
        sodium_free(passphrase);
    TRY(fault);
    TRY(write_card(cx, keys, card));
    (void)fprintf(cli->out,
                  "key   %s\n      keep it secret, and a copy of it with its passphrase "
                  "apart\ncard  %s\n      hand it over %s; it holds nothing secret\n",
                  path, card,
                  strcmp(use, "researcher") == 0 ? "to your institution's operator, who "
                                                   "issues a credential for it"
                  : strcmp(use, "officer") == 0
                      ? "to your institution's operator, who puts it on the member card"
                      : "to the founders, who put it into the manifest");
    return FAULT_NONE;
}

static enum fault read_public(struct cx *cx, const char *path, Cohortium__Card *ret)
{
    Cohortium__KeyFile *f;
    Cohortium__Card *card;
    struct bytes packed;

    cohortium__card__init(ret);
    if (unarmor(cx, "card", path, card_line, CARD_MAX, &packed) == FAULT_NONE) {
        TRY(pb_unpack(cx, &cohortium__card__descriptor, packed, CARD_MAX, &card));
        *ret = *card;
        return FAULT_NONE;
    }
    if (cx_fault(cx) != FAULT_FORMAT)
        return cx_fault(cx);
    /* Before its mode is judged it must be a key file at all. */
    TRY(file_read(cx, "key file", path, CARD_MAX, false, &packed));
    if (pb_unpack(cx, &cohortium__key_file__descriptor, packed, CARD_MAX, &f) != FAULT_NONE)
        return cx_fail(cx, FAULT_FORMAT, "%s is neither a key file nor a card", path);
    TRY(key_file_public(cx, path, &f));
    ret->name = f->name;
    ret->use = f->use;
    ret->signing_key = f->public_key;
    ret->noise_key = f->noise_public_key;
    return FAULT_NONE;
}

enum fault run_key_show(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, 1 << 20);
    Cohortium__Card card;
    uint8_t id[DIGEST_BYTES];

    TRY(args_words(cx, args, 1, 1));
    TRY(read_public(cx, args->words[0], &card));
    digest_of(PB_BYTES(card.signing_key), id);
    const struct {
        const char *name, *value;
    } lines[] = {
        {"name", card.name},
        {"use", card.use},
        {"signing_key", bytes_hex(cx, card.signing_key.data, card.signing_key.len)},
        {"noise_key", bytes_hex(cx, card.noise_key.data, card.noise_key.len)},
        {"id", bytes_hex(cx, id, sizeof id)}};
    bool json = args_has(args, "--json");
    buffer_text(&out, json ? "{\"cohortium\":1" : "");
    for (size_t i = 0; i < COUNT(lines); i++) {
        const char *value = lines[i].value != NULL ? lines[i].value : "";

        if (json) {
            buffer_printf(&out, ",\"%s\":", lines[i].name);
            put_json_text(&out, value);
        } else {
            buffer_printf(&out, "%-12s %s\n", lines[i].name, value);
        }
    }
    buffer_text(&out, json ? "}\n" : "");
    TRY(out.fault);
    (void)fwrite(out.p, 1, out.n, cli->out);
    return FAULT_NONE;
}
