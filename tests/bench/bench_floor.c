/*
 * bench_floor.c - what a logged and signed answer costs at the least on this machine.
 *
 *   client  sign a request of 512 bytes | send, wait | verify a reply of 2 KiB
 *   server  verify | hash and commit one row (WAL, synchronous=FULL) | sign the reply
 *
 * Two processes, loopback TCP, Ed25519 at both ends, one durable commit: nobody who
 * authenticates, logs and answers over TCP does with less. Reads numbers from standard
 * input, makes as many round trips for each, and prints a line of microseconds; so another
 * program can interleave it with what it compares.
 *
 * usage: bench_floor FOLDER     (its database is made there and left there)
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST = 512, REPLY = 2048, SIGNATURE = crypto_sign_BYTES, TRIPS_MAX = 100000 };

struct keys {
    uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
};

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_floor: %s\n", what);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool receive(int fd, uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = read(fd, p + at, n - at);

        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    return true;
}

static void transmit(int fd, const uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = write(fd, p + at, n - at);

        if (k <= 0)
            die("the other side is gone");
        at += (size_t)k;
    }
}

/* ---- the server ---- */

struct journal {
    sqlite3 *sql;
    sqlite3_stmt *insert;
};

static struct journal journal_open(const char *folder)
{
    struct journal j = {0};
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/floor.db", folder);
    if (sqlite3_open(path, &j.sql) != SQLITE_OK ||
        sqlite3_exec(j.sql,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "CREATE TABLE IF NOT EXISTS journal(n INTEGER PRIMARY KEY, at INTEGER,"
                     " request BLOB, digest BLOB, signature BLOB)",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(j.sql,
                           "INSERT INTO journal(at, request, digest, signature)"
                           " VALUES(?,?,?,?)",
                           -1, &j.insert, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(j.sql));
    return j;
}

static void journal_add(const struct journal *j, const uint8_t request[REQUEST + SIGNATURE])
{
    uint8_t digest[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256(digest, request, REQUEST);
    if (sqlite3_bind_int64(j->insert, 1, (int64_t)time(NULL)) != SQLITE_OK ||
        sqlite3_bind_blob(j->insert, 2, request, REQUEST, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_blob(j->insert, 3, digest, sizeof digest, SQLITE_STATIC) !=
            SQLITE_OK ||
        sqlite3_bind_blob(j->insert, 4, request + REQUEST, SIGNATURE, SQLITE_STATIC) !=
            SQLITE_OK ||
        sqlite3_step(j->insert) != SQLITE_DONE || sqlite3_reset(j->insert) != SQLITE_OK)
        die(sqlite3_errmsg(j->sql));
}

static void answer_all(int fd, const char *folder, const struct keys *client,
                       const struct keys *server)
{
    struct journal j = journal_open(folder);
    uint8_t request[REQUEST + SIGNATURE], reply[REPLY + SIGNATURE] = {0};

    while (receive(fd, request, sizeof request)) {
        if (crypto_sign_verify_detached(request + REQUEST, request, REQUEST,
                                        client->public) != 0)
            die("a request does not carry its signature");
        journal_add(&j, request);
        memcpy(reply, request, sizeof(uint64_t)); /* which request */
        (void)crypto_sign_detached(reply + REPLY, NULL, reply, REPLY, server->secret);
        transmit(fd, reply, sizeof reply);
    }
    (void)sqlite3_finalize(j.insert);
    (void)sqlite3_close(j.sql);
}

/* ---- the client ---- */

static double ask_once(int fd, const struct keys *client, const struct keys *server)
{
    static uint64_t number;
    uint8_t request[REQUEST + SIGNATURE] = {0}, reply[REPLY + SIGNATURE];
    double begin = now_us();

    number++;
    memcpy(request, &number, sizeof number);
    (void)crypto_sign_detached(request + REQUEST, NULL, request, REQUEST, client->secret);
    transmit(fd, request, sizeof request);
    if (!receive(fd, reply, sizeof reply) ||
        crypto_sign_verify_detached(reply + REPLY, reply, REPLY, server->public) != 0 ||
        memcmp(reply, &number, sizeof number) != 0)
        die("a reply does not hold");
    return now_us() - begin;
}

static void ask_all(int fd, const struct keys *client, const struct keys *server)
{
    char line[64];

    while (fgets(line, sizeof line, stdin) != NULL) {
        long n = strtol(line, NULL, 10);

        for (long i = 0; i < n && n <= TRIPS_MAX; i++)
            (void)printf("%s%.1f", i > 0 ? " " : "", ask_once(fd, client, server));
        (void)printf("\n");
        (void)fflush(stdout);
    }
}

/* A connected pair over loopback TCP: [0] the server's, [1] the client's. */
static void connect_pair(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || fds[1] < 0 || bind(listener, (struct sockaddr *)&at, n) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &n) != 0 ||
        connect(fds[1], (struct sockaddr *)&at, n) != 0 ||
        (fds[0] = accept(listener, NULL, NULL)) < 0)
        die("no connection over loopback");
    for (int i = 0; i < 2; i++)
        if (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0)
            die("TCP_NODELAY");
    (void)close(listener);
}

int main(int argc, char **argv)
{
    struct keys client, server;
    int fds[2];

    if (argc != 2)
        die("usage: bench_floor FOLDER");
    if (sodium_init() < 0 || crypto_sign_keypair(client.public, client.secret) != 0 ||
        crypto_sign_keypair(server.public, server.secret) != 0)
        die("no keys");
    connect_pair(fds);
    pid_t child = fork();
    if (child < 0)
        die("no second process");
    if (child == 0) {
        (void)close(fds[1]);
        answer_all(fds[0], argv[1], &client, &server);
        _exit(0);
    }
    (void)close(fds[0]);
    ask_all(fds[1], &client, &server);
    (void)close(fds[1]);
    return waitpid(child, NULL, 0) == child ? 0 : 1;
}
