/*
 * clock_step.c - preloaded into a program under test: the day's clock, moved while it runs.
 *
 * COHORTIUM_CLOCK_STEP names a file of eight bytes, milliseconds to add to the real-time
 * clock. It is mapped before the program closes itself in, so whoever writes the file moves
 * the clock of all processes that have it at once, as an operator does with `date -s`. The
 * monotonic clock stays true.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SHOWN                                                                              \
    __attribute__((visibility("default"))) /* all else is hidden in this project */

static const int64_t *volatile step;

__attribute__((constructor)) static void map_step(void)
{
    const char *path = getenv("COHORTIUM_CLOCK_STEP");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    void *p = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, fd, 0);

    (void)close(fd);
    if (p != MAP_FAILED)
        step = p;
}

static int64_t step_ms(void)
{
    return step == NULL ? 0 : *(const volatile int64_t *)step;
}

SHOWN int clock_gettime(clockid_t id, struct timespec *t)
{
    int done = (int)syscall(SYS_clock_gettime, id, t);

    if (done == 0 && id == CLOCK_REALTIME) {
        int64_t ns = (int64_t)t->tv_nsec + step_ms() % 1000 * 1000000;

        t->tv_sec += step_ms() / 1000;
        if (ns < 0 || ns >= 1000000000) {
            t->tv_sec += ns < 0 ? -1 : 1;
            ns += ns < 0 ? 1000000000 : -1000000000;
        }
        t->tv_nsec = (long)ns;
    }
    return done;
}

SHOWN int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0)
        return -1;
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}

SHOWN time_t time(time_t *ret)
{
    struct timespec t;

    if (clock_gettime(CLOCK_REALTIME, &t) != 0)
        return (time_t)-1;
    if (ret != NULL)
        *ret = t.tv_sec;
    return t.tv_sec;
}
