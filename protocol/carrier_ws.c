/* carrier_ws.c - the accepting side of a WebSocket: the request, and frames. */
#include "protocol/carrier_ws.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "protocol/sha1.h"

enum { KEY_TEXT = 24, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

/* ---- the request ---- */

/* The value of a header of this name; false where there is none, or two. */
static bool find_header(struct bytes head, const char *name, struct bytes *ret)
{
    size_t n = strlen(name), found = 0;
    const char *p = (const char *)head.p, *end = p + head.n;

    while (p < end) {
        const char *line_end = memmem(p, (size_t)(end - p), "\r\n", 2);

        if (line_end == NULL)
            break;
        if ((size_t)(line_end - p) > n && p[n] == ':' && strncasecmp(p, name, n) == 0) {
            const char *v = p + n + 1, *last = line_end;

            while (v < last && (*v == ' ' || *v == '\t'))
                v++;
            while (last > v && (last[-1] == ' ' || last[-1] == '\t'))
                last--;
            *ret = bytes_of(v, (size_t)(last - v));
            found++;
        }
        p = line_end + 2;
    }
    return found == 1;
}

/* "keep-alive, Upgrade" names "upgrade". */
static bool names(struct bytes value, const char *word)
{
    size_t n = strlen(word);
    const char *p = (const char *)value.p, *end = p + value.n;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *last = comma != NULL ? comma : end;

        while (p < last && *p == ' ')
            p++;
        while (last > p && last[-1] == ' ')
            last--;
        if ((size_t)(last - p) == n && strncasecmp(p, word, n) == 0)
            return true;
        p = comma != NULL ? comma + 1 : end;
    }
    return false;
}

static bool has(struct bytes head, const char *name, const char *word)
{
    struct bytes value;

    return find_header(head, name, &value) && names(value, word);
}

static enum ws_request refuse(char answer[WS_ANSWER_MAX], size_t *ret_answer,
                              const char *status)
{
    *ret_answer = (size_t)snprintf(
        answer, WS_ANSWER_MAX,
        "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status);
    return WS_REQUEST_BAD;
}

static enum ws_request accept_key(struct bytes key, char answer[WS_ANSWER_MAX],
                                  size_t *ret_answer)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[KEY_TEXT + sizeof magic - 1], digest[SHA1_BYTES];
    char accept[sodium_base64_ENCODED_LEN(SHA1_BYTES, sodium_base64_VARIANT_ORIGINAL)];

    memcpy(text, key.p, KEY_TEXT);
    memcpy(text + KEY_TEXT, magic, sizeof magic - 1);
    sha1(bytes_of(text, sizeof text), digest);
    (void)sodium_bin2base64(accept, sizeof accept, digest, sizeof digest,
                            sodium_base64_VARIANT_ORIGINAL);
    *ret_answer =
        (size_t)snprintf(answer, WS_ANSWER_MAX,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    return WS_REQUEST_GOOD;
}

/* The first line is known; what follows it must ask for a WebSocket. */
static enum ws_request judge(struct bytes head, char answer[WS_ANSWER_MAX],
                             size_t *ret_answer)
{
    struct bytes host, key;

    if (!find_header(head, "Host", &host) || !has(head, "Upgrade", "websocket") ||
        !has(head, "Connection", "upgrade") || !has(head, "Sec-WebSocket-Version", "13") ||
        !find_header(head, "Sec-WebSocket-Key", &key) || key.n != KEY_TEXT)
        return refuse(answer, ret_answer, "400 Bad Request");
    return accept_key(key, answer, ret_answer);
}

enum ws_request ws_request(const uint8_t *p, size_t n, size_t *ret_n,
                           char answer[WS_ANSWER_MAX], size_t *ret_answer)
{
    /* nng 1.5.2 names no path where its endpoint has none. */
    static const char *const lines[] = {"GET / HTTP/1.1\r\n", "GET  HTTP/1.1\r\n"};
    static const char get[] = "GET ";
    size_t line = 0;
    const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

    *ret_answer = 0;
    /* Who does not speak HTTP hears nothing. */
    if (memcmp(p, get, n < sizeof get - 1 ? n : sizeof get - 1) != 0)
        return WS_REQUEST_BAD;
    if ((end == NULL ? n : (size_t)(end - p) + 4) > WS_REQUEST_MAX)
        return refuse(answer, ret_answer, "431 Request Header Fields Too Large");
    if (end == NULL)
        return WS_REQUEST_PART;
    *ret_n = (size_t)(end - p) + 4;
    for (size_t i = 0; i < COUNT(lines) && line == 0; i++)
        if (*ret_n > strlen(lines[i]) && memcmp(p, lines[i], strlen(lines[i])) == 0)
            line = strlen(lines[i]);
    if (line == 0)
        return refuse(answer, ret_answer, "404 Not Found");
    return judge(bytes_of(p + line, *ret_n - line - 2), answer, ret_answer);
}

/* ---- frames that arrive ---- */

static size_t head_size(const struct ws *ws)
{
    unsigned n = ws->n_head > 1 ? ws->head[1] & 0x7f : 0;

    return ws->n_head < 2 ? 2 : (size_t)(n == 126 ? 8 : n == 127 ? 14 : 6);
}

static uint64_t get_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* A whole head: binary or its continuation, or small frames of control. */
static bool read_head(struct ws *ws, const char **ret_why)
{
    size_t n = ws->head[1] & 0x7f, size = head_size(ws);

    ws->opcode = ws->head[0] & 0x0f;
    ws->left = n == 126 ? get_be(ws->head + 2, 2) : n == 127 ? get_be(ws->head + 2, 8) : n;
    memcpy(ws->mask, ws->head + size - 4, 4);
    ws->at = ws->n_head = 0;
    *ret_why = "a WebSocket frame that has no place here";
    if ((ws->head[0] & 0x70) != 0 || ws->left > WS_FRAME_MAX)
        return false;
    if (ws->opcode >= OPCODE_CLOSE) {
        if ((ws->head[0] & 0x80) == 0 || ws->left > WS_CONTROL_MAX ||
            ws->opcode > OPCODE_PONG)
            return false;
        if (ws->opcode == OPCODE_PING) { /* the last one is answered */
            ws->n_control = 0;
            ws->pong_due = false;
        }
        *ret_why = "the peer closed the WebSocket";
        return ws->opcode != OPCODE_CLOSE;
    }
    return ws->opcode == 0 || ws->opcode == 2;
}

/* A pong asks for nothing; a ping is answered by the next thing that is sent. */
static void end_frame(struct ws *ws)
{
    ws->pong_due = ws->pong_due || ws->opcode == OPCODE_PING;
}

/* Unmasks n bytes of the frame's payload to where they belong; out is not beyond in. */
static void put_payload(struct ws *ws, uint8_t *out, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ ws->mask[(ws->at + i) & 3];
    ws->at += n;
    ws->left -= n;
}

bool ws_take(struct ws *ws, uint8_t *p, size_t n, size_t *ret_n, const char **ret_why)
{
    size_t out = 0; /* never beyond what was read: a payload is shorter than its frame */

    for (size_t i = 0; i < n;) {
        size_t run = ws->left < n - i ? (size_t)ws->left : n - i;

        if (run > 0) {
            bool ping = ws->opcode == OPCODE_PING;

            put_payload(ws, ping ? ws->control + ws->n_control : p + out, p + i, run);
            out += ws->opcode < OPCODE_CLOSE ? run : 0;
            ws->n_control += ping ? run : 0;
            i += run;
            if (ws->left == 0)
                end_frame(ws);
            continue;
        }
        ws->head[ws->n_head++] = p[i++];
        if (ws->n_head == 2 && (ws->head[1] & 0x80) == 0) {
            *ret_why = "a WebSocket frame that is not masked";
            return false;
        }
        if (ws->n_head < head_size(ws))
            continue;
        if (!read_head(ws, ret_why))
            return false;
        if (ws->left == 0)
            end_frame(ws);
    }
    *ret_n = out;
    return true;
}

/* ---- frames that leave ---- */

size_t ws_lead(struct ws *ws, uint8_t lead[WS_LEAD_MAX], size_t payload)
{
    size_t n = 0;

    if (ws->pong_due) {
        lead[n++] = 0x80 | OPCODE_PONG;
        lead[n++] = (uint8_t)ws->n_control;
        memcpy(lead + n, ws->control, ws->n_control);
        n += ws->n_control;
        ws->pong_due = false;
    }
    if (payload == 0)
        return n;
    lead[n++] = 0x82;
    if (payload < 126) {
        lead[n++] = (uint8_t)payload;
        return n;
    }
    lead[n++] = 126;
    lead[n++] = (uint8_t)(payload >> 8);
    lead[n++] = (uint8_t)payload;
    return n;
}
