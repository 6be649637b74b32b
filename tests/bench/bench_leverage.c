/* What the memory of released regions costs one question: time to judge and to add a new
 * patient set, and memory, at 100,000 patients and bases of 500 and 2,000 columns. */
#include "node/vault/leverage.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t random_state = 88172645463325252ULL;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int stop(struct cx *cx, enum fault fault)
{
    (void)fprintf(stderr, "%s: %s\n", fault_name(fault), cx_message(cx));
    return 1;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    enum { PATIENTS = 100000, WORDS = (PATIENTS + 63) / 64, TIMES = 100 };
    size_t most = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 2000;
    struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct leverage *l;
    uint64_t set[WORDS];
    static uint64_t products[LEVERAGE_RANK_MAX + 1];
    double judge[TIMES];
    bool yes = true, joined;
    enum fault fault = leverage_new(cx, PATIENTS, &l);

    for (size_t rank = 0; fault == FAULT_NONE && rank < most; rank++) {
        struct leverage_column c = {.set = set};
        bool measured = (rank + TIMES >= 500 && rank < 500) || rank + TIMES >= most;

        for (size_t i = 0; i < WORDS; i++)
            set[i] = draw() & draw();
        set[WORDS - 1] &= ((uint64_t)1 << (PATIENTS % 64)) - 1;
        cx_reset(cx);
        double start = ms();
        fault = leverage_products(cx, l, &c, 1, products);
        if (fault == FAULT_NONE && measured)
            fault = leverage_judge(cx, l, &c, 1, products, 0.2, NULL, &yes);
        judge[rank % TIMES] = ms() - start;
        if (fault == FAULT_NONE)
            fault = leverage_add(cx, l, &c, 1, products, &yes, &joined);
        if (rank + 1 == 500 || rank + 1 == most) {
            qsort(judge, TIMES, sizeof *judge, by_number);
            printf("%zu columns, %d patients: %.1f ms to judge a new set (median of %d; p99 "
                   "%.1f), %.1f MB\n",
                   rank + 1, PATIENTS, judge[TIMES / 2], TIMES, judge[TIMES - 2],
                   (double)mallinfo2().uordblks / 1e6 + (double)mallinfo2().hblkhd / 1e6);
        }
    }
    int status = fault == FAULT_NONE ? 0 : stop(cx, fault);
    leverage_free(&l);
    cx_free(&cx);
    return status;
}
