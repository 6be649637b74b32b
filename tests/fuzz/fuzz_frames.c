/*
 * The frames of a link, as an authenticated peer may send them in any order: opens, replies
 * to calls that we made, data, cancels, windows, pings, goodbyes.
 *
 * An input is a list of Noise plaintexts: a length of two bytes, then so many bytes. After
 * each the link sends what it has to send, and some calls are answered late. Nothing may be
 * left in the counters when the link is down.
 */
#include <string.h>

#include "protocol/link_private.h"
#include "tests/fuzz/fuzz.h"

/* The link has no stream: these stand in front of nng's. */
void nng_stream_close(nng_stream *stream)
{
    (void)stream;
}

static struct served *late[SERVED_MAX];
static size_t n_late, n_done, n_calls;

static void serve(void *user, struct link *link, enum service service, struct bytes body,
                  struct served *served)
{
    (void)user;
    if (service == 1) {
        served_reply(served, body);
    } else if (service == 2) {
        served_progress(served, bytes_of("half", 4));
        served_fail(served, FAULT_REFUSED, bytes_of("no", 2));
    } else if (service == 3) {
        link_close(link, "as it was asked");
        served_reply(served, bytes_of("", 0));
    } else {
        FUZZ_CHECK(n_late < COUNT(late));
        served_progress(served, bytes_of("wait", 4));
        late[n_late++] = served;
    }
}

static void answer_late(void)
{
    if (n_late > 0)
        served_reply(late[--n_late], bytes_of("late", 4));
}

/* Every byte is read: the sanitizer sees whether it may be. */
static volatile uint8_t sum;

static void done(void *user, enum fault fault, struct bytes body)
{
    (void)user;
    (void)fault;
    for (size_t i = 0; i < body.n; i++)
        sum ^= body.p[i];
    n_done++;
}

static void progress(void *user, struct bytes body)
{
    (void)user;
    FUZZ_CHECK(body.n <= FRAME_MAX);
}

static void call_something(struct hub *hub, struct link *link, size_t n)
{
    static const uint8_t request[3000];

    if (link_call(hub->cx, link, SERVICE_CATALOG, bytes_of(request, n), CX_NO_DEADLINE,
                  done, progress, NULL, NULL) == FAULT_NONE)
        n_calls++;
}

static void send_all(struct link *link)
{
    static uint8_t room[PLAIN_MAX];

    link->n_control = 0;
    link->pong_due = false;
    for (int i = 0; i < 8 && link->state == LINK_UP && streams_wait(link); i++)
        FUZZ_CHECK(streams_fill(link, room, sizeof room) <= sizeof room);
}

static struct link *link_up(struct hub *hub)
{
    struct link *link = calloc(1, sizeof *link);

    FUZZ_CHECK(link != NULL);
    link->hub = hub;
    link->state = LINK_UP;
    link->was_up = true;
    link->next_stream = 1;
    link->out_end = &link->out;
    hub->links = link;
    return link;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct hub_setup setup = {.serve = serve};
    static struct hub *hub; /* one for all inputs: its end takes its time */

    if (hub == NULL) {
        AUTO_CX struct cx *cx = cx_new(1 << 16, CX_NO_DEADLINE);

        FUZZ_CHECK(cx != NULL && hub_new(cx, &setup, &hub) == FAULT_NONE);
    }
    n_late = n_done = n_calls = 0;
    struct link *link = link_up(hub);
    call_something(hub, link, 0);
    call_something(hub, link, 3000);
    while (n >= 2 && link->state == LINK_UP) {
        size_t size = (size_t)data[0] << 8 | data[1];

        size = size > n - 2 ? n - 2 : size;
        uint8_t *plain =
            malloc(size > 0 ? size : 1); /* its own: no byte beyond it is read */
        FUZZ_CHECK(plain != NULL);
        memcpy(plain, data + 2, size);
        link_frames(link, bytes_of(plain, size));
        free(plain);
        if (data[1] % 3 == 0)
            answer_late();
        if (data[1] % 5 == 0)
            call_something(hub, link, 100);
        send_all(link);
        data += 2 + size;
        n -= 2 + size;
    }
    link->state = LINK_CLOSED;
    streams_end(link);
    while (n_late > 0)
        answer_late();
    FUZZ_CHECK(n_done == n_calls);
    FUZZ_CHECK(hub->counters.receive_bytes == 0 && hub->orphans == NULL);
    FUZZ_CHECK(link->n_calls == 0 && link->n_served == 0 && link->received == 0 &&
               link->queued == 0 && link->reserved == 0);
    hub->links = NULL;
    free(link);
    return 0;
}
