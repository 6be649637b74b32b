/*
 * dataset.h - an opened dataset version: mapped columns, shared by pointer, counted.
 */
#pragma once

#include "node/vault/column.h"

struct dataset {
    char name[33];
    uint8_t version[16];          /* public, random */
    const struct codebook *cb;
    uint64_t rows;
    struct patients patients;
    struct column *columns;       /* by variable of the codebook; rows == 0 where not stored */
    /* private to dataset.c */
    struct cx *cx;
    int references;
};

/* deep: verify every digest. The codebook must be the version's own. */
CHECKED enum fault dataset_open(struct cx *cx, int data_fd, const char *name,
                                const uint8_t version[16], struct bytes codebook, bool deep,
                                struct dataset **ret);
struct dataset *dataset_hold(struct dataset *d); /* thread-safe count */
void dataset_release(struct dataset **d);
#define AUTO_DATASET __attribute__((cleanup(dataset_release)))
