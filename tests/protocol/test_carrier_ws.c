/* The accepting side of a WebSocket, byte by byte: requests and frames (RFC 6455). */
#include "protocol/carrier_ws.h"

#include <string.h>

#include "protocol/sha1.h"
#include "tests/check.h"

/* FIPS 180-4 examples, and lengths about the padding's edges against each other. */
static void test_sha1__published_digests(void **state)
{
    static const struct {
        const char *text;
        uint8_t head[4];
    } rows[] = {
        {"", {0xda, 0x39, 0xa3, 0xee}},
        {"abc", {0xa9, 0x99, 0x3e, 0x36}},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         {0x84, 0x98, 0x3e, 0x44}},
        {"0123456701234567012345670123456701234567012345670123456701234567",
         {0xe0, 0xc0, 0x94, 0xe8}},
    };
    uint8_t digest[SHA1_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        sha1(bytes_of(rows[i].text, strlen(rows[i].text)), digest);
        CHECK_(rows[i].text, memcmp(digest, rows[i].head, sizeof rows[i].head) == 0);
    }
}

#define HEADS                                                                              \
    "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                             \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static void test_ws__requests(void **state)
{
    static const struct {
        const char *what, *text, *answer;
        enum ws_request want;
    } rows[] = {
        {"RFC 6455's own", "GET / HTTP/1.1\r\n" HEADS,
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_REQUEST_GOOD},
        {"as nng asks", "GET  HTTP/1.1\r\n" HEADS, "HTTP/1.1 101 ", WS_REQUEST_GOOD},
        {"another path", "GET /x HTTP/1.1\r\n" HEADS, "HTTP/1.1 404 ", WS_REQUEST_BAD},
        {"HTTP/1.0", "GET / HTTP/1.0\r\n" HEADS, "HTTP/1.1 404 ", WS_REQUEST_BAD},
        {"another method", "POST / HTTP/1.1\r\n" HEADS, NULL, WS_REQUEST_BAD},
        {"a TLS hello", "\x16\x03\x01\x02", NULL, WS_REQUEST_BAD},
        {"its first letter", "G", NULL, WS_REQUEST_PART},
        {"no end yet", "GET / HTTP/1.1\r\nHost: x\r\n", NULL, WS_REQUEST_PART},
        {"no headers", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", WS_REQUEST_BAD},
        {"no key",
         "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 ", WS_REQUEST_BAD},
        {"two keys", "GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n" HEADS, "HTTP/1.1 400 ",
         WS_REQUEST_BAD},
        {"another version",
         "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 400 ", WS_REQUEST_BAD},
        {"a proxy's words",
         "GET / HTTP/1.1\r\nhost: x\r\nupgrade: WebSocket\r\nconnection: keep-alive, "
         "UPGRADE\r\nsec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ== \r\n"
         "sec-websocket-version: 13\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_REQUEST_GOOD},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char answer[WS_ANSWER_MAX + 1] = "";
        size_t n = 0, n_answer = 0, size = strlen(rows[i].text);

        CHECK_EQ_(rows[i].what,
                  ws_request((const uint8_t *)rows[i].text, size, &n, answer, &n_answer),
                  rows[i].want);
        answer[n_answer] = '\0';
        CHECK_EQ_(rows[i].what, n_answer > 0, rows[i].answer != NULL);
        if (rows[i].answer != NULL)
            CHECK_(rows[i].what, strstr(answer, rows[i].answer) != NULL);
        if (rows[i].want == WS_REQUEST_GOOD)
            CHECK_EQ_(rows[i].what, n, size);
    }
}

static void test_ws__a_request_has_a_bound(void **state)
{
    static char text[WS_REQUEST_MAX + 200] = "GET / HTTP/1.1\r\n";
    char answer[WS_ANSWER_MAX];
    size_t n, n_answer, at = strlen(text);

    (void)state;
    while (at + 20 < WS_REQUEST_MAX)
        at += (size_t)sprintf(text + at, "X-%zu: y\r\n", at);
    CHECK_EQ_("below it", ws_request((uint8_t *)text, at, &n, answer, &n_answer),
              WS_REQUEST_PART);
    while (at <= WS_REQUEST_MAX)
        text[at++] = 'x';
    CHECK_EQ_("beyond", ws_request((uint8_t *)text, at, &n, answer, &n_answer),
              WS_REQUEST_BAD);
    CHECK_("says why", memcmp(answer, "HTTP/1.1 431 ", 13) == 0);
}

/* A masked frame into p. */
static size_t frame(uint8_t *p, uint8_t first, const char *text, size_t n)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t at = 0;

    p[at++] = first;
    p[at++] = (uint8_t)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        p[at++] = (uint8_t)(n >> 8);
        p[at++] = (uint8_t)n;
    }
    memcpy(p + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < n; i++)
        p[at++] = (uint8_t)text[i] ^ mask[i & 3];
    return at;
}

/* The same bytes come out however they are cut; a ping between them is answered. */
static void test_ws__frames_in_any_pieces(void **state)
{
    static char large[300];
    static uint8_t wire[1024];

    (void)state;
    memset(large, 'z', sizeof large);
    for (size_t piece = 1; piece < 64; piece++) {
        struct ws ws = {.open = true};
        size_t n = frame(wire, 0x02, "first ", 6), got = 0;
        uint8_t out[1024], lead[WS_LEAD_MAX];

        n += frame(wire + n, 0x89, "are you there", 13);
        n += frame(wire + n, 0x8a, "unasked", 7);
        n += frame(wire + n, 0x80, "second", 6);
        n += frame(wire + n, 0x82, "", 0);
        n += frame(wire + n, 0x82, large, sizeof large);
        for (size_t at = 0; at < n; at += piece) {
            size_t k = n - at < piece ? n - at : piece, took;
            const char *why;
            uint8_t part[64];

            memcpy(part, wire + at, k);
            assert_true(ws_take(&ws, part, k, &took, &why));
            memcpy(out + got, part, took);
            got += took;
        }
        CHECK_EQ_("all of it", got, 12 + sizeof large);
        CHECK_("in order", memcmp(out, "first second", 12) == 0 &&
                               memcmp(out + 12, large, sizeof large) == 0);
        CHECK_("a pong is due", ws.pong_due);
        CHECK_EQ_("and goes first", ws_lead(&ws, lead, 5), 2 + 13 + 2);
        CHECK_("with its words", lead[0] == 0x8a && lead[1] == 13 &&
                                     memcmp(lead + 2, "are you there", 13) == 0);
        CHECK_("then the frame", lead[15] == 0x82 && lead[16] == 5);
        CHECK_EQ_("once", ws_lead(&ws, lead, 0), 0);
        CHECK_EQ_("a long one", ws_lead(&ws, lead, 65535), 4);
        CHECK_("its length", lead[1] == 126 && lead[2] == 255 && lead[3] == 255);
    }
}

static void test_ws__frames_without_a_place(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[14];
        bool good;
    } rows[] = {
        {"binary", {0x82, 0x80}, true},
        {"not masked", {0x82, 0x01, 'x'}, false},
        {"text", {0x81, 0x80}, false},
        {"a reserved bit", {0xc2, 0x80}, false},
        {"a reserved kind", {0x83, 0x80}, false},
        {"a reserved kind of control", {0x8b, 0x80}, false},
        {"a close", {0x88, 0x80}, false},
        {"a ping in two", {0x09, 0x80}, false},
        {"a ping of 126", {0x89, 0xfe, 0, 126}, false},
        {"64 kB", {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, true},
        {"a byte more", {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1}, false},
        {"2^63", {0x82, 0xff, 0x80}, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws ws = {.open = true};
        uint8_t p[14];
        size_t n;
        const char *why = NULL;

        memcpy(p, rows[i].bytes, sizeof p);
        size_t size = (p[1] & 0x7f) == 127 ? 14 : (p[1] & 0x7f) == 126 ? 8 : 6;
        CHECK_EQ_(rows[i].what, ws_take(&ws, p, size, &n, &why), rows[i].good);
        CHECK_(rows[i].what, rows[i].good || why != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1__published_digests),
        cmocka_unit_test(test_ws__requests),
        cmocka_unit_test(test_ws__a_request_has_a_bound),
        cmocka_unit_test(test_ws__frames_in_any_pieces),
        cmocka_unit_test(test_ws__frames_without_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
