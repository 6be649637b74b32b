/* kernel.c - which kernel this processor runs. */
#include "node/vault/kernel.h"

#include <stdlib.h>
#include <string.h>

extern const struct kernel kernel_portable;
#ifdef __x86_64__
extern const struct kernel kernel_avx2, kernel_avx512;
#endif

/* Best first. */
static size_t available(const struct kernel *list[3])
{
    size_t n = 0;

#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        list[n++] = &kernel_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        list[n++] = &kernel_avx2;
#endif
    list[n++] = &kernel_portable;
    return n;
}

const struct kernel *kernel_find(const char *name)
{
    const struct kernel *list[3];
    size_t n = available(list);

    for (size_t i = 0; name != NULL && i < n; i++)
        if (strcmp(list[i]->name, name) == 0)
            return list[i];
    return list[0];
}
