/* column.c - immutable column files: writing, mapping, checking. */
#include "node/vault/column.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 40, DIGEST_BYTES = 32, CHUNK = 1 << 16 };

static const uint64_t ROWS_MAX = (uint64_t)1 << 40;
static const char COLUMN_MAGIC[8] = {'C', 'X', 'C', 'O', 'L', '0', '0', '1'};
static const char PATIENTS_MAGIC[8] = {'C', 'X', 'P', 'A', 'T', '0', '0', '1'};
static const char PATIENTS_NAME[] = "_patients";

struct header { /* as it lies in the file, little endian; zeros up to COLUMN_HEADER */
    char magic[8];
    uint32_t type, zero;
    uint64_t rows, second; /* missing rows, or patients */
    uint8_t digest[DIGEST_BYTES];
    char name[NAME_BYTES];
};
_Static_assert(sizeof(struct header) == 104, "the header's layout is the file's");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are mapped as they are");

static const size_t type_bytes[] = {
    [COLUMN_U8] = 1, [COLUMN_U16] = 2, [COLUMN_I32] = 4, [COLUMN_F64] = 8};

enum column_type column_type_for(const Cohortium__Variable *v)
{
    double lower, upper;

    if (v->type == COHORTIUM__VAR_TYPE__REAL)
        return COLUMN_F64;
    if (!variable_has_levels(v) && v->type != COHORTIUM__VAR_TYPE__BINARY && !v->bounded)
        return COLUMN_F64;
    variable_range(v, &lower, &upper);
    if (lower >= 0 && upper <= UINT8_MAX)
        return COLUMN_U8;
    if (lower >= 0 && upper <= UINT16_MAX)
        return COLUMN_U16;
    return lower >= INT32_MIN && upper <= INT32_MAX ? COLUMN_I32 : COLUMN_F64;
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + COLUMN_ALIGN - 1) / COLUMN_ALIGN * COLUMN_ALIGN;
}

/* ---- writing ---- */

struct writer {
    struct cx *cx;
    int folder_fd, fd;
    char file[NAME_BYTES + 8];
    crypto_generichash_state hash;
    uint64_t written; /* of what follows the header */
};

static enum fault failed(struct writer *w, const char *what)
{
    return cx_fail(w->cx, errno == EEXIST ? FAULT_CONFLICT : FAULT_STORAGE,
                   "%s: %s: %s; see to the disk of the data folder and import again",
                   w->file, what, strerror(errno));
}

static enum fault writer_open(struct writer *w, struct cx *cx, int folder_fd,
                              const char *name)
{
    *w = (struct writer){.cx = cx, .folder_fd = folder_fd, .fd = -1};
    if (strlen(name) >= NAME_BYTES)
        return cx_fail(cx, FAULT_BOUND, "a column's name is longer than %d bytes",
                       NAME_BYTES - 1);
    (void)snprintf(w->file, sizeof w->file, "%s.col", name);
    if (crypto_generichash_init(&w->hash, NULL, 0, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "%s: no digest", w->file);
    w->fd = openat(folder_fd, w->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   0400);
    if (w->fd < 0)
        return failed(w, "cannot be made");
    if (lseek(w->fd, COLUMN_HEADER, SEEK_SET) != COLUMN_HEADER)
        return failed(w, "cannot be written");
    return FAULT_NONE;
}

static enum fault put_all(struct writer *w, const void *bytes, size_t n)
{
    for (const uint8_t *p = bytes; n > 0;) {
        ssize_t done = write(w->fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return failed(w, "cannot be written");
        p += done;
        n -= (size_t)done;
    }
    return FAULT_NONE;
}

static enum fault writer_put(struct writer *w, const void *bytes, size_t n)
{
    if (n == 0)
        return FAULT_NONE;
    (void)crypto_generichash_update(&w->hash, bytes, n);
    w->written += n;
    return put_all(w, bytes, n);
}

static enum fault writer_pad(struct writer *w)
{
    static const uint8_t zeros[COLUMN_ALIGN];

    return writer_put(w, zeros, (size_t)(padded(w->written) - w->written));
}

static enum fault writer_finish(struct writer *w, const char magic[8], uint32_t type,
                                uint64_t rows, uint64_t second, const char *name,
                                uint8_t ret_digest[32])
{
    uint8_t page[COLUMN_HEADER] = {0};
    struct header h = {.type = type, .rows = rows, .second = second};

    memcpy(h.magic, magic, sizeof h.magic);
    (void)snprintf(h.name, sizeof h.name, "%s", name);
    (void)crypto_generichash_final(&w->hash, h.digest, sizeof h.digest);
    memcpy(page, &h, sizeof h);
    if (lseek(w->fd, 0, SEEK_SET) != 0)
        return failed(w, "cannot be written");
    TRY(put_all(w, page, sizeof page));
    if (fsync(w->fd) != 0)
        return failed(w, "cannot be made durable");
    int fd = w->fd;

    w->fd = -1;
    if (close(fd) != 0)
        return failed(w, "cannot be closed");
    memcpy(ret_digest, h.digest, sizeof h.digest);
    return FAULT_NONE;
}

/* On a failure: nothing half is left. */
static enum fault writer_end(struct writer *w, enum fault fault)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    if (fault != FAULT_NONE && fault != FAULT_CONFLICT && w->file[0] != '\0')
        (void)unlinkat(w->folder_fd, w->file, 0);
    return fault;
}

static bool narrow(enum column_type type, double v, void *out)
{
    switch (type) {
    case COLUMN_U8: {
        uint8_t code = v >= 0 && v <= UINT8_MAX ? (uint8_t)v : 0;

        memcpy(out, &code, sizeof code);
        return code == v;
    }
    case COLUMN_U16: {
        uint16_t code = v >= 0 && v <= UINT16_MAX ? (uint16_t)v : 0;

        memcpy(out, &code, sizeof code);
        return code == v;
    }
    case COLUMN_I32: {
        int32_t code = v >= INT32_MIN && v <= INT32_MAX ? (int32_t)v : 0;

        memcpy(out, &code, sizeof code);
        return code == v;
    }
    case COLUMN_F64:
        v += 0.0; /* one zero */
        memcpy(out, &v, sizeof v);
        return isfinite(v);
    }
    return false;
}

static enum fault put_values(struct writer *w, enum column_type type, const double *values,
                             const uint8_t *valid, uint64_t rows, uint64_t *ret_missing)
{
    uint8_t buffer[CHUNK];
    size_t width = type_bytes[type], used = 0;

    *ret_missing = 0;
    for (uint64_t i = 0; i < rows; i++) {
        bool present = valid == NULL || valid[i] != 0;

        *ret_missing += !present;
        if (!narrow(type, present ? values[i] : 0, buffer + used))
            return cx_fail(w->cx, FAULT_NUMERIC,
                           "%s: a value is not finite or does not fit the column's type; "
                           "check the variable's bounds and levels in the codebook against "
                           "the data",
                           w->file);
        used += width;
        if (used == sizeof buffer) {
            TRY(writer_put(w, buffer, used));
            used = 0;
        }
    }
    TRY(writer_put(w, buffer, used));
    return writer_pad(w);
}

static enum fault put_bitmap(struct writer *w, const uint8_t *valid, uint64_t rows)
{
    uint8_t buffer[CHUNK / 16];
    size_t used = 0;

    for (uint64_t i = 0; i < rows; i += 8) {
        uint8_t byte = 0;

        for (uint64_t j = i; j < rows && j < i + 8; j++)
            byte |= (uint8_t)((valid[j] != 0) << (j - i));
        buffer[used++] = byte;
        if (used == sizeof buffer) {
            TRY(writer_put(w, buffer, used));
            used = 0;
        }
    }
    TRY(writer_put(w, buffer, used));
    return writer_pad(w);
}

static enum fault check_rows(struct cx *cx, const char *name, uint64_t rows)
{
    if (rows > ROWS_MAX)
        return cx_fail(cx, FAULT_BOUND, "%s.col: more than 2^40 rows", name);
    return FAULT_NONE;
}

enum fault column_write(struct cx *cx, int folder_fd, const char *name,
                        enum column_type type, const double *values, const uint8_t *valid,
                        uint64_t rows, uint8_t ret_digest[32])
{
    struct writer w;
    uint64_t missing = 0;

    TRY(check_rows(cx, name, rows));
    enum fault fault = writer_open(&w, cx, folder_fd, name);

    if (fault == FAULT_NONE)
        fault = put_values(&w, type, values, valid, rows, &missing);
    if (fault == FAULT_NONE && missing > 0)
        fault = put_bitmap(&w, valid, rows);
    if (fault == FAULT_NONE)
        fault = writer_finish(&w, COLUMN_MAGIC, (uint32_t)type, rows, missing, name,
                              ret_digest);
    return writer_end(&w, fault);
}

enum fault patients_write(struct cx *cx, int folder_fd, const uint32_t *ordinal,
                          uint64_t rows, const uint8_t (*hashes)[16], uint64_t count,
                          uint8_t ret_digest[32])
{
    struct writer w;

    TRY(check_rows(cx, PATIENTS_NAME, rows));
    if (count > UINT32_MAX || count > rows)
        return cx_fail(cx, FAULT_BOUND, "more patients than rows, or than 2^32 - 1");
    enum fault fault = writer_open(&w, cx, folder_fd, PATIENTS_NAME);

    if (fault == FAULT_NONE)
        fault = writer_put(&w, ordinal, (size_t)rows * sizeof *ordinal);
    if (fault == FAULT_NONE)
        fault = writer_pad(&w);
    if (fault == FAULT_NONE)
        fault = writer_put(&w, hashes, (size_t)count * sizeof *hashes);
    if (fault == FAULT_NONE)
        fault = writer_pad(&w);
    if (fault == FAULT_NONE)
        fault =
            writer_finish(&w, PATIENTS_MAGIC, 0, rows, count, PATIENTS_NAME, ret_digest);
    return writer_end(&w, fault);
}

/* ---- reading ---- */

static enum fault damaged(struct cx *cx, const char *name, const char *why)
{
    return cx_fail(cx, FAULT_STORAGE,
                   "%s.col is damaged: %s; restore it from a backup or import again", name,
                   why);
}

static enum fault map_file(struct cx *cx, int folder_fd, const char *name, void **ret_map,
                           size_t *ret_size)
{
    char file[NAME_BYTES + 8];
    struct stat st;

    if (strlen(name) >= NAME_BYTES)
        return cx_fail(cx, FAULT_BOUND, "a column's name is longer than %d bytes",
                       NAME_BYTES - 1);
    (void)snprintf(file, sizeof file, "%s.col", name);
    int fd = openat(folder_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return cx_fail(cx, errno == ENOENT ? FAULT_MISSING : FAULT_STORAGE, "%s: %s", file,
                       strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < COLUMN_HEADER) {
        (void)close(fd);
        return damaged(cx, name, "it is cut short or no plain file");
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    int code = errno;

    (void)close(fd);
    if (map == MAP_FAILED)
        return cx_fail(cx, FAULT_STORAGE, "%s: it cannot be mapped: %s", file,
                       strerror(code));
    *ret_map = map;
    *ret_size = (size_t)st.st_size;
    return FAULT_NONE;
}

static enum fault check_header(struct cx *cx, const char *name, const void *map,
                               const char magic[8], struct header *ret)
{
    char expected[NAME_BYTES] = {0};

    memcpy(ret, map, sizeof *ret);
    (void)snprintf(expected, sizeof expected, "%s", name);
    if (memcmp(ret->magic, magic, sizeof ret->magic) != 0)
        return damaged(cx, name, "it is no file of this kind");
    if (memcmp(ret->name, expected, sizeof expected) != 0)
        return damaged(cx, name, "it holds another column");
    if (ret->zero != 0 ||
        !sodium_is_zero((const uint8_t *)map + sizeof *ret, COLUMN_HEADER - sizeof *ret))
        return damaged(cx, name, "its header is not ours");
    if (ret->rows > ROWS_MAX || ret->second > ret->rows)
        return damaged(cx, name, "its header does not add up");
    return FAULT_NONE;
}

static enum fault check_digest(struct cx *cx, const char *name, const uint8_t *map,
                               size_t size, const uint8_t *digest)
{
    uint8_t seen[DIGEST_BYTES];

    (void)madvise((void *)map, size, MADV_WILLNEED);
    (void)crypto_generichash(seen, sizeof seen, map + COLUMN_HEADER, size - COLUMN_HEADER,
                             NULL, 0);
    if (sodium_memcmp(seen, digest, sizeof seen) != 0)
        return damaged(cx, name, "its contents do not match its digest");
    return FAULT_NONE;
}

double column_value(const struct column *c, uint64_t i)
{
    switch (c->type) {
    case COLUMN_U8:
        return ((const uint8_t *)c->values)[i];
    case COLUMN_U16:
        return ((const uint16_t *)c->values)[i];
    case COLUMN_I32:
        return ((const int32_t *)c->values)[i];
    case COLUMN_F64:
        return ((const double *)c->values)[i];
    }
    return NAN;
}

static enum fault check_bitmap(struct cx *cx, const char *name, const struct column *c)
{
    uint64_t words = padded((c->rows + 7) / 8) / 8, missing = 0;

    if (c->valid == NULL)
        return FAULT_NONE;
    for (uint64_t w = 0; w < words; w++) {
        uint64_t first = w * 64, in = first >= c->rows ? 0 : c->rows - first;
        uint64_t inside = in >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << in) - 1;

        if ((c->valid[w] & ~inside) != 0)
            return damaged(cx, name, "its bitmap reaches beyond its rows");
        for (uint64_t gone = ~c->valid[w] & inside; gone != 0; gone &= gone - 1, missing++)
            if (column_value(c, first + (uint64_t)__builtin_ctzll(gone)) != 0)
                return damaged(cx, name, "a missing row holds a value");
    }
    if (missing != c->missing)
        return damaged(cx, name, "its count of missing rows is wrong");
    return FAULT_NONE;
}

static enum fault column_fill(struct cx *cx, const char *name, bool deep, struct column *c)
{
    struct header h;
    const uint8_t *map = c->map;

    TRY(check_header(cx, name, map, COLUMN_MAGIC, &h));
    if (h.type >= COUNT(type_bytes))
        return damaged(cx, name, "its type is none of ours");
    uint64_t values = padded(h.rows * type_bytes[h.type]);
    uint64_t bitmap = h.second > 0 ? padded((h.rows + 7) / 8) : 0;

    if (c->map_size != COLUMN_HEADER + values + bitmap)
        return damaged(cx, name, "its size is not that of its rows");
    c->type = (enum column_type)h.type;
    c->rows = h.rows;
    c->missing = h.second;
    c->values = map + COLUMN_HEADER;
    c->valid = bitmap > 0 ? (const uint64_t *)(map + COLUMN_HEADER + values) : NULL;
    c->digest = map + offsetof(struct header, digest);
    if (!deep)
        return FAULT_NONE;
    TRY(check_digest(cx, name, map, c->map_size, c->digest));
    return check_bitmap(cx, name, c);
}

enum fault column_open(struct cx *cx, int folder_fd, const char *name, bool deep,
                       struct column *ret)
{
    struct column c = {0};

    TRY(map_file(cx, folder_fd, name, &c.map, &c.map_size));
    enum fault fault = column_fill(cx, name, deep, &c);

    if (fault != FAULT_NONE) {
        column_close(&c);
        return fault;
    }
    *ret = c;
    return FAULT_NONE;
}

void column_close(struct column *c)
{
    if (c->map != NULL)
        (void)munmap(c->map, c->map_size);
    *c = (struct column){0};
}

static enum fault check_patients(struct cx *cx, const struct patients *p)
{
    uint64_t next = 0; /* the ordinal that would be new */

    for (uint64_t i = 0; i < p->rows; i++) {
        if (p->ordinal[i] == next && next < p->count)
            next++;
        else if (next == 0 || p->ordinal[i] != next - 1)
            return damaged(cx, PATIENTS_NAME, "rows are not grouped by patient");
    }
    if (next != p->count)
        return damaged(cx, PATIENTS_NAME, "a patient has no row");
    for (uint64_t i = 1; i < p->count; i++)
        if (memcmp(p->hashes[i - 1], p->hashes[i], sizeof *p->hashes) >= 0)
            return damaged(cx, PATIENTS_NAME, "patients are not sorted, or one is double");
    return FAULT_NONE;
}

static enum fault patients_fill(struct cx *cx, bool deep, struct patients *p)
{
    struct header h;
    const uint8_t *map = p->map;

    TRY(check_header(cx, PATIENTS_NAME, map, PATIENTS_MAGIC, &h));
    uint64_t ordinals = padded(h.rows * sizeof *p->ordinal);

    if (h.type != 0 || h.second > UINT32_MAX || (h.rows > 0 && h.second == 0) ||
        p->map_size != COLUMN_HEADER + ordinals + padded(h.second * sizeof *p->hashes))
        return damaged(cx, PATIENTS_NAME, "its size is not that of its rows and patients");
    p->rows = h.rows;
    p->count = h.second;
    p->ordinal = (const uint32_t *)(map + COLUMN_HEADER);
    p->hashes = (const uint8_t(*)[16])(map + COLUMN_HEADER + ordinals);
    p->digest = map + offsetof(struct header, digest);
    if (!deep)
        return FAULT_NONE;
    TRY(check_digest(cx, PATIENTS_NAME, map, p->map_size, p->digest));
    return check_patients(cx, p);
}

enum fault patients_open(struct cx *cx, int folder_fd, bool deep, struct patients *ret)
{
    struct patients p = {0};

    TRY(map_file(cx, folder_fd, PATIENTS_NAME, &p.map, &p.map_size));
    enum fault fault = patients_fill(cx, deep, &p);

    if (fault != FAULT_NONE) {
        patients_close(&p);
        return fault;
    }
    *ret = p;
    return FAULT_NONE;
}

void patients_close(struct patients *p)
{
    if (p->map != NULL)
        (void)munmap(p->map, p->map_size);
    *p = (struct patients){0};
}

void patient_hash(const uint8_t key[32], const char *name_space, const char *id, size_t n,
                  uint8_t ret[16])
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, 32, 16);
    (void)crypto_generichash_update(&state, (const uint8_t *)name_space,
                                    strlen(name_space) + 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)id, n);
    (void)crypto_generichash_final(&state, ret, 16);
    sodium_memzero(&state, sizeof state);
}
