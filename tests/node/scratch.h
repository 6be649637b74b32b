/*
 * scratch.h - a folder of its own for a test, taken away at the end.
 */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"

struct scratch {
    char folder[64], db[80];
};

static inline void scratch_new(struct scratch *s)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(s->folder, sizeof s->folder, "%.30s/cohortium-test-XXXXXX",
                   base != NULL && strlen(base) <= 30 ? base : "/tmp");
    assert_non_null(mkdtemp(s->folder));
    (void)snprintf(s->db, sizeof s->db, "%s/vault.db", s->folder);
}

static inline int scratch_unlink(const char *path, const struct stat *st, int kind,
                                 struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void scratch_free(struct scratch *s)
{
    assert_int_equal(nftw(s->folder, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}
