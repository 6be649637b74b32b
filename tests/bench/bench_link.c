/*
 * bench_link.c - two nodes on loopback: time to link with mutual authentication, and the round
 * trip of a small call over a link that stands.
 *
 * usage: bench_link [links] [calls]
 */
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link.h"

struct side {
    struct hub *hub;
    uint8_t secret[32], key[32];
    struct link *link;
    bool up;
    size_t replies;
};

static bool admit(void *user, struct link_peer *peer)
{
    (void)user;
    memcpy(peer->id, peer->noise_key, 32);
    return true;
}

static void up(void *user, struct link *link)
{
    struct side *s = user;

    s->link = link;
    s->up = true;
}

static void serve(void *user, struct link *link, enum service service, struct bytes body,
                  struct served *served)
{
    (void)user;
    (void)link;
    (void)service;
    served_reply(served, body);
}

static void replied(void *user, enum fault fault, struct bytes body)
{
    (void)body;
    if (fault != FAULT_NONE)
        exit(1);
    ((struct side *)user)->replies++;
}

static bool is_up(void *user)
{
    return ((struct side *)user)->up;
}

static bool has_reply(void *user)
{
    return ((struct side *)user)->replies > 0;
}

static struct hub *make_hub(struct cx *cx, struct side *s)
{
    struct hub_setup setup = {.link_secret = s->secret,
                              .prologue = bytes_of("bench", 5),
                              .user = s,
                              .admit = admit,
                              .up = up,
                              .serve = serve};

    if (hub_new(cx, &setup, &s->hub) != FAULT_NONE) {
        (void)fprintf(stderr, "%s\n", cx_message(cx));
        exit(1);
    }
    hub_set_own_id(s->hub, s->key);
    return s->hub;
}

static void *run_server(void *user)
{
    struct side *s = user;
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);

    if (cx == NULL || hub_run(cx, s->hub, NULL, NULL) != FAULT_NONE)
        exit(1);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(const char *what, double *t, size_t n)
{
    qsort(t, n, sizeof *t, by_time);
    (void)printf("%-40s n %zu  min %.0f  median %.0f  p99 %.0f us\n", what, n, t[0], t[n / 2],
                 t[n * 99 / 100]);
}

int main(int argc, char **argv)
{
    size_t links = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    size_t calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 5000;
    static double t[100000];
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static struct side server, client;
    uint8_t body[200] = {0};
    char endpoint[64];
    pthread_t thread;

    if (sodium_init() < 0 || cx == NULL || links > COUNT(t) || calls > COUNT(t) || links == 0)
        return 1;
    randombytes_buf(server.secret, 32);
    (void)crypto_scalarmult_base(server.key, server.secret);
    (void)make_hub(cx, &server);
    if (hub_listen(cx, server.hub, "tcp://127.0.0.1:0") != FAULT_NONE)
        return 1;
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", hub_port(server.hub));
    if (pthread_create(&thread, NULL, run_server, &server) != 0)
        return 1;
    for (size_t i = 0; i < links; i++) {
        memset(&client, 0, sizeof client);
        randombytes_buf(client.secret, 32);
        (void)crypto_scalarmult_base(client.key, client.secret);
        int64_t began = clock_mono_us();
        (void)make_hub(cx, &client);
        if (hub_dial(cx, client.hub, endpoint, server.key, server.key, (struct bytes){0},
                     false) != FAULT_NONE ||
            hub_run(cx, client.hub, is_up, &client) != FAULT_NONE)
            return 1;
        t[i] = (double)(clock_mono_us() - began);
        if (i + 1 < links)
            hub_free(&client.hub);
    }
    print("linking, mutual authentication", t, links);
    for (size_t i = 0; i < calls; i++) {
        int64_t began = clock_mono_us();

        client.replies = 0;
        if (link_call(cx, client.link, SERVICE_CATALOG, bytes_of(body, sizeof body),
                      CX_NO_DEADLINE, replied, NULL, &client, NULL) != FAULT_NONE ||
            hub_run(cx, client.hub, has_reply, &client) != FAULT_NONE)
            return 1;
        t[i] = (double)(clock_mono_us() - began);
    }
    print("a call of 200 bytes", t, calls);
    hub_free(&client.hub);
    hub_stop(server.hub);
    (void)pthread_join(thread, NULL);
    hub_free(&server.hub);
    return 0;
}
