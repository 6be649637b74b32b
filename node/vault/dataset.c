/* dataset.c - opening a dataset version, and sharing it. */
#include "node/vault/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CODEBOOK_MEMORY = 64 * 1024 * 1024, ROWS_PADDED = 4096 };

static const char CELL_KEY_LABEL[] = "cohortium cell keys 1";
static const char CONTENT_LABEL[] = "cohortium dataset content 1";

void dataset_folder(const uint8_t version[16], char ret[DATASET_FOLDER])
{
    ret[0] = 'v';
    (void)sodium_bin2hex(ret + 1, DATASET_FOLDER - 1, version, 16);
}

static bool is_stored(const Cohortium__Variable *v)
{
    return v->role != COHORTIUM__ROLE__DIRECT_IDENTIFIER;
}

/* A counter of rows that are not as they must be, one loop a type, so that it stays quick.
 */
#define COUNT_OUTSIDE(kind)                                                                \
    for (uint64_t i = 0; i < c->rows; i++) {                                               \
        double x = ((const kind *)c->values)[i];                                           \
        outside += !(x >= lower && x <= upper);                                            \
        if (whole)                                                                         \
            outside += x != floor(x);                                                      \
    }

static uint64_t outside_of(const struct column *c, double lower, double upper, bool whole)
{
    uint64_t outside = 0;

    switch (c->type) {
    case COLUMN_U8:
        COUNT_OUTSIDE(uint8_t)
        break;
    case COLUMN_U16:
        COUNT_OUTSIDE(uint16_t)
        break;
    case COLUMN_I32:
        COUNT_OUTSIDE(int32_t)
        break;
    case COLUMN_F64:
        COUNT_OUTSIDE(double)
        break;
    }
    return outside;
}

/* Missing rows hold 0, which the range need not allow. */
static uint64_t zeros_of_missing(const struct column *c, double lower, double upper)
{
    return lower <= 0 && upper >= 0 ? 0 : c->missing;
}

static enum fault check_range(struct cx *cx, const Cohortium__Variable *v,
                              const struct column *c)
{
    bool free =
        !v->bounded && !variable_has_levels(v) && v->type != COHORTIUM__VAR_TYPE__BINARY;
    double lower = -HUGE_VAL, upper = HUGE_VAL;

    if (c->type != column_type_for(v))
        return cx_fail(
            cx, FAULT_STORAGE,
            "%s.col is stored as another type than the codebook asks for; import "
            "the data again",
            v->name);
    if (!free)
        variable_range(v, &lower, &upper);
    bool whole = v->type != COHORTIUM__VAR_TYPE__REAL && c->type == COLUMN_F64;

    if (outside_of(c, lower, upper, whole) != zeros_of_missing(c, lower, upper))
        return cx_fail(cx, FAULT_STORAGE,
                       "%s.col holds values that the codebook does not allow; import the "
                       "data again",
                       v->name);
    return FAULT_NONE;
}

static enum fault open_column(struct cx *cx, int fd, struct dataset *d, size_t i, bool deep)
{
    const Cohortium__Variable *v = d->cb->body->variables[i];
    struct column *c = &d->columns[i];

    if (!is_stored(v))
        return FAULT_NONE;
    enum fault fault = column_open(cx, fd, v->name, deep, c);

    if (fault == FAULT_MISSING) /* the site has no such variable: all rows are missing */
        return FAULT_NONE;
    TRY(fault);
    if (c->rows != d->rows)
        return cx_fail(cx, FAULT_STORAGE,
                       "%s.col has another number of rows than the patients' file; restore "
                       "the folder from a backup or import again",
                       v->name);
    return deep ? check_range(cx, v, c) : FAULT_NONE;
}

static enum fault open_all(struct cx *cx, int fd, struct dataset *d, bool deep)
{
    enum fault fault = patients_open(cx, fd, deep, &d->patients);

    if (fault == FAULT_MISSING)
        return cx_fail(cx, FAULT_STORAGE,
                       "the patients' file is gone; restore the folder from a backup or "
                       "import again");
    TRY(fault);
    d->rows = d->patients.rows;
    for (size_t i = 0; i < d->cb->body->n_variables; i++)
        TRY(open_column(cx, fd, d, i, deep));
    return FAULT_NONE;
}

/* Everything of a dataset lives in a cx of its own: it outlives the caller's. */
static enum fault dataset_new(struct cx *cx, const char *name, const uint8_t version[16],
                              struct bytes codebook, struct dataset **ret)
{
    struct dataset *d = calloc(1, sizeof *d);
    struct codebook *cb = NULL;

    if (d == NULL || (d->cx = cx_new(CODEBOOK_MEMORY, CX_NO_DEADLINE)) == NULL) {
        free(d);
        return cx_fail(cx, FAULT_MEMORY, "no memory for dataset %s", name);
    }
    d->references = 1;
    (void)snprintf(d->name, sizeof d->name, "%s", name);
    memcpy(d->version, version, sizeof d->version);
    uint8_t *copy = cx_memdup(d->cx, codebook.p, codebook.n);
    enum fault fault =
        copy == NULL ? FAULT_MEMORY : codebook_open(d->cx, bytes_of(copy, codebook.n), &cb);

    if (fault == FAULT_NONE && (d->columns = cx_array(d->cx, cb->body->n_variables + 1,
                                                      sizeof *d->columns)) == NULL)
        fault = FAULT_MEMORY;
    if (fault != FAULT_NONE) {
        fault = cx_fail(cx, fault, "%s", cx_message(d->cx));
        cx_free(&d->cx);
        free(d);
        return fault;
    }
    d->cb = cb;
    *ret = d;
    return FAULT_NONE;
}

enum fault dataset_open_folder(struct cx *cx, int data_fd, const char *folder,
                               const char *name, const uint8_t version[16],
                               struct bytes codebook, bool deep, struct dataset **ret)
{
    struct dataset *d = NULL;
    int fd = openat(data_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return cx_fail(cx, FAULT_STORAGE,
                       "%s: folder %s: %s; restore it from a backup or import again", name,
                       folder, strerror(errno));
    enum fault fault = dataset_new(cx, name, version, codebook, &d);

    if (fault == FAULT_NONE)
        fault = open_all(cx, fd, d, deep);
    (void)close(fd);
    if (fault != FAULT_NONE) {
        dataset_release(&d);
        return cx_prefix(cx, "%s, folder %s: ", name, folder);
    }
    *ret = d;
    return FAULT_NONE;
}

enum fault dataset_open(struct cx *cx, int data_fd, const char *name,
                        const uint8_t version[16], struct bytes codebook, bool deep,
                        struct dataset **ret)
{
    char folder[DATASET_FOLDER];

    dataset_folder(version, folder);
    return dataset_open_folder(cx, data_fd, folder, name, version, codebook, deep, ret);
}

static void keys_drop(const uint64_t *keys, uint64_t n)
{
    if (keys == NULL)
        return;
    sodium_memzero((void *)keys, (size_t)n * sizeof *keys);
    free((void *)keys);
}

enum fault dataset_make_keys(struct cx *cx, struct dataset *d, const uint8_t patient_key[32])
{
    enum { SITE_KEY = 32 };
    uint8_t site[SITE_KEY];
    uint64_t n = d->patients.count, *keys;
    const uint64_t *none = NULL;

    if (atomic_load(&d->cell_keys) != NULL)
        return FAULT_NONE;
    keys = n < SIZE_MAX / sizeof *keys ? calloc((size_t)n + 1, sizeof *keys) : NULL;
    if (keys == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the keys of patients");
    (void)crypto_generichash(site, sizeof site, (const uint8_t *)CELL_KEY_LABEL,
                             sizeof CELL_KEY_LABEL - 1, patient_key, 32);
    for (uint64_t i = 0; i < n; i++) {
        uint8_t out[crypto_generichash_BYTES_MIN];

        (void)crypto_generichash(out, sizeof out, d->patients.hashes[i],
                                 sizeof d->patients.hashes[i], site, sizeof site);
        for (size_t k = 0; k < sizeof *keys; k++)
            keys[i] |= (uint64_t)out[k] << 8 * k;
    }
    sodium_memzero(site, sizeof site);
    if (!atomic_compare_exchange_strong(&d->cell_keys, &none, keys))
        keys_drop(keys, n); /* another thread was first: the same numbers */
    return FAULT_NONE;
}

enum fault dataset_leave_out(struct cx *cx, struct dataset *d, const uint8_t (*hashes)[16],
                             size_t n)
{
    const struct patients *p = &d->patients;
    uint64_t at = 0, rows = (p->rows + ROWS_PADDED) / 64;

    if (n == 0)
        return FAULT_NONE;
    d->left_out = cx_array(d->cx, (size_t)(p->count / 64) + 1, sizeof *d->left_out);
    d->left_out_rows = cx_array(d->cx, (size_t)rows + 1, sizeof *d->left_out_rows);
    if (d->left_out == NULL || d->left_out_rows == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory for the patients who withdrew");
    for (size_t i = 0; i < n; i++) { /* both sorted: one walk */
        while (at < p->count && memcmp(p->hashes[at], hashes[i], sizeof *hashes) < 0)
            at++;
        if (at < p->count && memcmp(p->hashes[at], hashes[i], sizeof *hashes) == 0) {
            d->left_out[at / 64] |= (uint64_t)1 << (at % 64);
            d->n_left_out++;
            at++;
        }
    }
    for (uint64_t row = 0; row < p->rows; row++)
        if (dataset_left_out(d, p->ordinal[row]))
            d->left_out_rows[row / 64] |= (uint64_t)1 << (row % 64);
    return FAULT_NONE;
}

struct dataset *dataset_hold(struct dataset *d)
{
    (void)__atomic_add_fetch(&d->references, 1, __ATOMIC_RELAXED);
    return d;
}

void dataset_release(struct dataset **d)
{
    struct dataset *it = *d;

    *d = NULL;
    if (it == NULL || __atomic_sub_fetch(&it->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; it->columns != NULL && i < it->cb->body->n_variables; i++)
        column_close(&it->columns[i]);
    keys_drop(atomic_load(&it->cell_keys), it->patients.count);
    patients_close(&it->patients);
    cx_free(&it->cx);
    free(it);
}

void dataset_content(const struct dataset *d, uint8_t ret[32])
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, 32);
    (void)crypto_generichash_update(&state, (const uint8_t *)CONTENT_LABEL,
                                    sizeof CONTENT_LABEL);
    (void)crypto_generichash_update(&state, d->patients.digest, 32);
    for (size_t i = 0; i < d->cb->body->n_variables; i++) {
        const char *name = d->cb->body->variables[i]->name;

        if (d->columns[i].map == NULL)
            continue;
        (void)crypto_generichash_update(&state, (const uint8_t *)name, strlen(name) + 1);
        (void)crypto_generichash_update(&state, d->columns[i].digest, 32);
    }
    (void)crypto_generichash_final(&state, ret, 32);
}
