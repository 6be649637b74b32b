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
    /* Patients who withdrew: their rows are read by nobody. Both NULL: nobody did. */
    uint64_t n_left_out;
    uint64_t *left_out;      /* by ordinal, a bit each */
    uint64_t *left_out_rows; /* by row, a bit each, padded to KERNEL_ROWS */
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
/* Of these patients (sorted hashes; others are passed over) no row counts. Once, before the
 * dataset is shared. */
CHECKED enum fault dataset_leave_out(struct cx *cx, struct dataset *d,
                                     const uint8_t (*hashes)[16], size_t n);
static inline bool dataset_left_out(const struct dataset *d, uint64_t ordinal)
{
    return d->left_out != NULL && (d->left_out[ordinal / 64] >> (ordinal % 64) & 1);
}
struct dataset *dataset_hold(struct dataset *d); /* thread-safe count */
void dataset_release(struct dataset **d);
#define AUTO_DATASET __attribute__((cleanup(dataset_release)))

/* Digest of all columns' digests and names: changes with any byte of the rows, and when a
 * file is replaced, added or lost. Stays inside the vault. */
void dataset_content(const struct dataset *d, uint8_t ret[32]);
struct dataset_changes {
    uint64_t came, went, changed; /* patients; changed: some value of theirs */
};
/* From one version to the next, withdrawn ones taken as gone from `after`. A variable that
 * only one of them has is no change, nor is another order of a patient's rows. */
CHECKED enum fault dataset_compare(struct cx *cx, const struct dataset *before,
                                   const struct dataset *after, struct dataset_changes *ret);
/* "v<hex>": the folder of a version. */
enum { DATASET_FOLDER = 34 };
void dataset_folder(const uint8_t version[16], char ret[DATASET_FOLDER]);
