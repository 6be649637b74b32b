/*
 * store_cut.c - a version without the rows of patients who withdrew: the same columns, fewer
 * rows, published like an import.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include "node/vault/store_private.h"

struct cutting { /* malloc memory: a column of the whole dataset at a time */
    const struct dataset *d;
    uint64_t rows, patients; /* that stay */
    uint32_t *ordinal;
    uint8_t (*hashes)[16];
    double *values;
    uint8_t *valid;
};

static void cutting_free(struct cutting *c)
{
    free(c->ordinal);
    free(c->hashes);
    if (c->values != NULL)
        sodium_memzero(c->values, (size_t)c->d->rows * sizeof *c->values);
    free(c->values);
    free(c->valid);
}

static enum fault cutting_make(struct cx *cx, const struct dataset *d, struct cutting *c)
{
    size_t rows = (size_t)d->rows + 1, patients = (size_t)d->patients.count + 1;

    *c = (struct cutting){.d = d,
                          .ordinal = calloc(rows, sizeof *c->ordinal),
                          .hashes = calloc(patients, sizeof *c->hashes),
                          .values = calloc(rows, sizeof *c->values),
                          .valid = calloc(rows, sizeof *c->valid)};
    if (c->ordinal == NULL || c->hashes == NULL || c->values == NULL || c->valid == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a version without who withdrew");
    return FAULT_NONE;
}

/* Rows are in the order of patients, so ordinals close ranks as they come. */
static enum fault cut_patients(struct cx *cx, struct cutting *c, int fd)
{
    const struct patients *p = &c->d->patients;
    uint8_t digest[32];

    for (uint64_t row = 0; row < p->rows; row++) {
        if (dataset_left_out(c->d, p->ordinal[row]))
            continue;
        if (c->patients == 0 ||
            memcmp(c->hashes[c->patients - 1], p->hashes[p->ordinal[row]], 16) != 0)
            memcpy(c->hashes[c->patients++], p->hashes[p->ordinal[row]], 16);
        c->ordinal[c->rows++] = (uint32_t)(c->patients - 1);
    }
    return patients_write(cx, fd, c->ordinal, c->rows, (const uint8_t(*)[16])c->hashes,
                          c->patients, digest);
}

static enum fault cut_column(struct cx *cx, struct cutting *c, int fd, size_t variable)
{
    const struct column *from = &c->d->columns[variable];
    uint8_t digest[32];
    uint64_t n = 0;

    if (from->map == NULL)
        return FAULT_NONE;
    for (uint64_t row = 0; row < c->d->rows; row++) {
        if (dataset_left_out(c->d, c->d->patients.ordinal[row]))
            continue;
        c->values[n] = column_value(from, row);
        c->valid[n++] = column_is_valid(from, row);
    }
    return column_write(cx, fd, c->d->cb->body->variables[variable]->name, from->type,
                        c->values, c->valid, n, digest);
}

static enum fault cut_all(struct cx *cx, struct cutting *c, int data_fd, const char *staging)
{
    int fd = openat(data_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return cx_fail(cx, FAULT_STORAGE, "%s: %s", staging, strerror(errno));
    enum fault fault = cut_patients(cx, c, fd);

    for (size_t i = 0; fault == FAULT_NONE && i < c->d->cb->body->n_variables; i++)
        fault = cut_column(cx, c, fd, i);
    (void)close(fd);
    return fault;
}

enum fault store_cut(struct cx *cx, struct store *store, const char *name, db_work *work,
                     void *user, uint8_t ret_version[16])
{
    AUTO_DATASET struct dataset *d = NULL;
    uint8_t random[16];
    struct bytes codebook;
    struct cutting c;

    TRY(store_current(cx, store, name, &d));
    TRY(store_codebook(cx, store, name, d->cb->digest, &codebook));
    randombytes_buf(random, sizeof random);
    const char *staging =
        cx_printf(cx, STORE_STAGING "%s", bytes_hex(cx, random, sizeof random));

    if (staging == NULL)
        return FAULT_MEMORY;
    if (mkdirat(store->data_fd, staging, 0700) != 0)
        return cx_fail(cx, FAULT_STORAGE, "a staging folder could not be made: %s",
                       strerror(errno));
    enum fault fault = cutting_make(cx, d, &c);

    if (fault == FAULT_NONE)
        fault = cut_all(cx, &c, store->data_fd, staging);
    if (fault == FAULT_NONE)
        fault = store_publish(cx, store, staging, name, codebook, c.rows, c.patients, work,
                              user, ret_version);
    cutting_free(&c);
    if (fault != FAULT_NONE)
        store_remove_folder(store->data_fd, staging);
    return fault;
}
