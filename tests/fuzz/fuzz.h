/*
 * fuzz.h - one harness, two ways to run it.
 *
 * Built with clang's -fsanitize=fuzzer (which brings a main of its own) a harness searches
 * by itself: compile with -DFUZZ_BY_CLANG. Else it runs over the files given as arguments.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Says what is broken and ends: both ways take that for a find. */
#define FUZZ_CHECK(claim)                                                                  \
    do {                                                                                   \
        if (!(claim)) {                                                                    \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #claim);      \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

#ifndef FUZZ_BY_CLANG
int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];

    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        size_t n;

        if (f == NULL) {
            (void)fprintf(stderr, "%s: cannot be read; expected a file of the corpus\n",
                          argv[i]);
            return 1;
        }
        n = fread(data, 1, sizeof data, f);
        (void)fclose(f);
        (void)LLVMFuzzerTestOneInput(data, n);
    }
    (void)printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 1;
}
#endif
