/* A probe tells who accepts and why others do not, all at once; and a clock that is off. */
#include "protocol/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"

enum { MS = 500 };

/* A port of this machine; listening or only taken. */
static int port_new(bool listens, int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    if (listens)
        assert_int_equal(listen(fd, 4), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void test_probe__who_accepts_and_why_not(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    int open_port, closed_port;
    int open_fd = port_new(true, &open_port), closed_fd = port_new(false, &closed_port);
    struct probe probes[] = {
        {.endpoint = cx_printf(cx, "tcp://127.0.0.1:%d", open_port)},
        {.endpoint = cx_printf(cx, "tcp://localhost:%d", open_port)},
        {.endpoint =
             cx_printf(cx, "tcp://0.0.0.0:%d", open_port)}, /* every address: here */
        {.endpoint = cx_printf(cx, "tcp://127.0.0.1:%d", closed_port)},
        {.endpoint = "tcp://127.0.0.1"},
        {.endpoint = "127.0.0.1:7011"},
        {.endpoint = "tcp://[::1:7011"},
        {.endpoint = "tcp://name.invalid:7011"},
    };

    (void)state;
    CHECK_OK_("all", cx, probe_all(cx, probes, COUNT(probes), MS));
    for (size_t i = 0; i < COUNT(probes); i++)
        CHECK_EQ_(probes[i].endpoint, probes[i].why == NULL, i < 3);
    assert_non_null(strstr(probes[3].why, "refused"));
    assert_non_null(strstr(probes[4].why, "tcp://HOST:PORT"));
    assert_non_null(strstr(probes[5].why, "tcp://HOST:PORT"));
    CHECK_OK_("one", cx, probe_one(cx, probes[0].endpoint, MS));
    CHECK_EQ_("one", probe_one(cx, probes[3].endpoint, MS), FAULT_UNAVAILABLE);
    assert_non_null(strstr(cx_message(cx), "refused"));
    (void)close(open_fd);
    (void)close(closed_fd);
}

static void test_probe__a_clock_is_off_by_what_it_must_be(void **state)
{
    static const struct {
        const char *what;
        uint64_t theirs;
        int64_t asked, heard, want;
    } rows[] = {
        {"within the call", 1500, 1000, 2000, 0},
        {"at its ends", 1000, 1000, 2000, 0},
        {"at its ends", 2000, 1000, 2000, 0},
        {"behind", 400, 1000, 2000, -600},
        {"ahead", 2600, 1000, 2000, 600},
        {"not told", 0, 1000, 2000, 0},
        {"more than any clock says", UINT64_MAX, 1000, 2000, INT64_MAX / 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].what, clock_off(rows[i].theirs, rows[i].asked, rows[i].heard),
                  rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe__who_accepts_and_why_not),
        cmocka_unit_test(test_probe__a_clock_is_off_by_what_it_must_be),
    };

    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
