/*
 * dataset.h - an opened dataset version: mapped columns, shared by pointer, counted.
 */
#pragma once

#include "node/vault/column.h"

struct dataset {
    char name[33];
    uint8_t version[16]; /* public, random */
    const struct codebook *cb;
    uint64_t rows;
    struct patients patients;
    struct column *columns; /* by variable of the codebook; map == NULL where not stored */
    const uint64_t *_Atomic cell_keys; /* by ordinal; NULL: not made yet */
    /* private to dataset.c */
    struct cx *cx;
    int references;
};

/* deep: verify every digest, and that every value is one that the codebook allows (the
 * engine's bounds rest on it). The codebook must be the version's own. */
CHECKED enum fault dataset_open(struct cx *cx, int data_fd, const char *name,
                                const uint8_t version[16], struct bytes codebook, bool deep,
                                struct dataset **ret);
/* The same for a folder of any name: an import's staging folder. */
CHECKED enum fault dataset_open_folder(struct cx *cx, int data_fd, const char *folder,
                                       const char *name, const uint8_t version[16],
                                       struct bytes codebook, bool deep,
                                       struct dataset **ret);
/* The patients' secret numbers (R18), made once: keyed BLAKE2b of the patient's hash, by a key
 * that follows from this one. Any thread. */
CHECKED enum fault dataset_make_keys(struct cx *cx, struct dataset *d,
                                     const uint8_t patient_key[32]);
struct dataset *dataset_hold(struct dataset *d); /* thread-safe count */
void dataset_release(struct dataset **d);
#define AUTO_DATASET __attribute__((cleanup(dataset_release)))

/* Digest of all columns' digests and names: changes with any byte of the rows, and when a
 * file is replaced, added or lost. Stays inside the vault. */
void dataset_content(const struct dataset *d, uint8_t ret[32]);
/* "v<hex>": the folder of a version. */
enum { DATASET_FOLDER = 34 };
void dataset_folder(const uint8_t version[16], char ret[DATASET_FOLDER]);
