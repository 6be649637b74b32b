/* crate_page.c - the crate for people: one page, no script, nothing from elsewhere. */
#include <string.h>

#include "node/cli/crate.h"
#include "protocol/base/clock.h"

enum { PAGE_BYTES_MAX = 64 * 1024 * 1024 };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>";
static const char style[] =
    "</title>\n<style>\n"
    "body { font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em "
    "}\n"
    "pre, code { font: 14px/1.4 monospace } pre { overflow-x: auto; background: #f4f4f4; "
    "padding: 1em }\n"
    "dt { font-weight: bold } li, dd { overflow-wrap: anywhere }\n"
    ".testing { background: #fc6; padding: 1em; font-weight: bold }\n"
    "</style>\n</head>\n<body>\n";

/* Names and titles are other people's words. */
static void put_text(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&':
            buffer_text(out, "&amp;");
            break;
        case '<':
            buffer_text(out, "&lt;");
            break;
        case '>':
            buffer_text(out, "&gt;");
            break;
        case '"':
            buffer_text(out, "&quot;");
            break;
        default:
            buffer_put(out, text, 1);
        }
}

static void put_term(struct buffer *out, const char *term, const char *text)
{
    buffer_printf(out, "<dt>%s</dt>\n<dd>", term);
    put_text(out, text == NULL ? "" : text);
    buffer_text(out, "</dd>\n");
}

static const char *hex_of(struct crate const *c, struct bytes b)
{
    const char *hex = bytes_hex(c->cx, b.p, b.n);

    return hex == NULL ? "" : hex;
}

static void put_safes(struct buffer *out, const struct crate *c)
{
    const struct receipt_facts *f = c->facts;
    struct buffer data = buffer_new(c->cx, 1024 * 1024);
    struct buffer logs = buffer_new(c->cx, 1024 * 1024);
    char when[32];

    for (size_t i = 0; i < f->n_sites; i++) {
        const struct receipt_site *s = &f->sites[i];

        buffer_printf(&data, "%s%s, version %s", i > 0 ? "; " : "", s->member->name,
                      hex_of(c, s->version));
        buffer_printf(&logs, "%s%s logged \"%s\" on %s", i > 0 ? "; " : "", s->member->name,
                      s->record->decision,
                      clock_format((int64_t)s->record->time, when, sizeof when));
    }
    buffer_text(out, "<h2>The five safes</h2>\n<dl>\n");
    put_term(out, "Safe people",
             cx_printf(c->cx, "%s, whose credential %s signed", f->request.who.body->name,
                       f->request.who.home->name));
    put_term(out, "Safe projects",
             cx_printf(c->cx,
                       "permit \"%s\", signed by an officer of every site; purpose: %s",
                       f->permit->title, f->permit->purpose));
    put_term(out, "Safe data",
             cx_printf(c->cx, "%s at %s. No row left a site.",
                       f->request.body->question->dataset, buffer_string(&data)));
    put_term(out, "Safe settings",
             cx_printf(c->cx,
                       "consortium \"%s\", genesis %s; policy class %s; %s (said by the "
                       "home node)",
                       f->manifest->body->consortium_name,
                       hex_of(c, bytes_of(f->manifest->consortium, DIGEST_BYTES)),
                       crate_release(c, 0)->policy->policy_class, c->receipt->software));
    put_term(out, "Safe outputs", buffer_string(&logs));
    buffer_text(out, "</dl>\n");
}

static enum fault put_result(struct buffer *out, const struct crate *c)
{
    struct buffer text = buffer_new(c->cx, PAGE_BYTES_MAX);

    buffer_text(out, "<h2>The answer</h2>\n");
    if (c->answer != NULL && crate_is_released(c)) {
        TRY(render_text(c->answer, &text));
    } else if (crate_is_released(c)) {
        buffer_printf(&text, "The released numbers are in %s and %s.\n", crate_csv,
                      crate_json);
    } else {
        buffer_printf(
            &text, "%s\n",
            not_released_text(c->cx, hex_of(c, PB_BYTES(crate_release(c, 0)->reference))));
    }
    const char *all = buffer_string(&text);
    if (all == NULL)
        return FAULT_MEMORY;
    buffer_text(out, "<pre>");
    put_text(out, all);
    buffer_text(out, "</pre>\n");
    return FAULT_NONE;
}

enum fault crate_page(const struct crate *c, struct bytes *ret)
{
    struct buffer out = buffer_new(c->cx, PAGE_BYTES_MAX);

    buffer_text(&out, head);
    put_text(&out, c->words);
    buffer_text(&out, style);
    buffer_text(&out, "<h1>");
    put_text(&out, c->words);
    buffer_text(&out, "</h1>\n");
    if (c->facts->exact_for_testing)
        buffer_text(&out, "<p class=\"testing\">Exact for testing: a lab's answer, without "
                          "disclosure control.</p>\n");
    TRY(put_result(&out, c));
    put_safes(&out, c);
    buffer_text(&out, "<h2>What is proved</h2>\n<ul>\n");
    for (size_t i = 0; i < c->facts->n_statements; i++) {
        buffer_text(&out, "<li>");
        put_text(&out, c->facts->statements[i]);
        buffer_text(&out, "</li>\n");
    }
    buffer_printf(&out,
                  "</ul>\n<p>Check it yourself, offline:</p>\n<pre>cohortium verify "
                  "%s --genesis %s</pre>\n<h2>Files</h2>\n<ul>\n",
                  crate_receipt,
                  hex_of(c, bytes_of(c->facts->manifest->consortium, DIGEST_BYTES)));
    for (size_t i = 0; i < c->n_files; i++)
        buffer_printf(&out, "<li><a href=\"%s\">%s</a>: %s</li>\n", c->files[i].path,
                      c->files[i].path, c->files[i].name);
    buffer_text(&out, "<li><a href=\"ro-crate-metadata.json\">ro-crate-metadata.json</a>: "
                      "the same for programs (RO-Crate 1.1, Five Safes)</li>\n</ul>\n"
                      "</body>\n</html>\n");
    *ret = bytes_of(out.p, out.n);
    return out.fault;
}
