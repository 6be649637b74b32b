/*
 * column.h - immutable column files: how one is written, mapped and checked.
 *
 *   header (4096 bytes: magic "CXCOL001", type, rows, missing, digest of the rest, name)
 *   values, 64-byte aligned: u8 | u16 | i32 | f64
 *   validity bitmap, 64-byte aligned, 1 bit a row (absent when nothing is missing)
 *
 * A dataset version is one folder: v<hex id>/{<variable>.col ..., _patients.col}; no
 * variable's name begins with `_`. _patients.col: row -> patient ordinal (u32, ascending
 * without gaps: rows are grouped by patient), then the sorted keyed 128-bit hashes, one a
 * patient. Nothing is ever rewritten in place; a value of a missing row is 0, so that no
 * reader must look twice.
 */
#pragma once

#include "analyses/codebook.h"

enum { COLUMN_HEADER = 4096, COLUMN_ALIGN = 64 };

enum column_type { COLUMN_U8, COLUMN_U16, COLUMN_I32, COLUMN_F64 };

struct column {
    enum column_type type;
    uint64_t rows;
    uint64_t missing;
    const void *values;
    const uint64_t *valid; /* NULL: every row is valid; padded to 64 bytes */
    const uint8_t *digest; /* BLAKE2b-256 of what follows the header */
    void *map;             /* munmap(map, map_size) */
    size_t map_size;
};

/* Which type a variable is stored as: by levels and bounds. */
enum column_type column_type_for(const Cohortium__Variable *v);

/* values: doubles (level codes, days, numbers) and valid flags (NULL: all) in final row
 * order; name: the variable's. Writes (mode 0400, FAULT_CONFLICT if it exists), fsyncs.
 * Fails (FAULT_NUMERIC) rather than store what the type cannot hold exactly; no file is
 * left then. */
CHECKED enum fault column_write(struct cx *cx, int folder_fd, const char *name,
                                enum column_type type, const double *values,
                                const uint8_t *valid, uint64_t rows,
                                uint8_t ret_digest[32]);
/* Maps and checks size and header; with `deep` also the digest and that bitmap and missing
 * rows are as they must be (FAULT_STORAGE names the file: "age.col is damaged: ..."; the
 * caller puts dataset and version in front). FAULT_MISSING: no such file. */
CHECKED enum fault column_open(struct cx *cx, int folder_fd, const char *name, bool deep,
                               struct column *ret);
void column_close(struct column *c);
/* A row's value; 0 where it is missing. */
double column_value(const struct column *c, uint64_t row);
static inline bool column_is_valid(const struct column *c, uint64_t row)
{
    return c->valid == NULL || (c->valid[row / 64] >> (row % 64) & 1);
}

struct patients {
    uint64_t rows, count;
    const uint32_t *ordinal;     /* by row */
    const uint8_t (*hashes)[16]; /* by ordinal, sorted */
    const uint8_t *digest;
    void *map;
    size_t map_size;
};
CHECKED enum fault patients_write(struct cx *cx, int folder_fd, const uint32_t *ordinal,
                                  uint64_t rows, const uint8_t (*hashes)[16],
                                  uint64_t count, uint8_t ret_digest[32]);
CHECKED enum fault patients_open(struct cx *cx, int folder_fd, bool deep,
                                 struct patients *ret);
void patients_close(struct patients *p);

/* The patient's hash: keyed BLAKE2b-128(key, namespace || 0 || identifier text). */
void patient_hash(const uint8_t key[32], const char *name_space, const char *id, size_t n,
                  uint8_t ret[16]);
