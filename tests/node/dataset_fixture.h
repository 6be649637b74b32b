/* dataset_fixture.h - small datasets of random rows, as an import would have written them.
 */
#pragma once

#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/vault/dataset.h"
#include "tests/check.h"

#define TEXT(text) ((char *)(text))

enum { F_PATIENT, F_AGE, F_SEX, F_DX, F_BMI, F_DAY, F_DEAD, F_BIG, F_ALL };

/* age 0..120 (u8), sex and dx (levels), bmi 10..80 (real, missing), day (i32, missing),
 * dead (binary, missing), big -1e6..1e6 (real). */
static inline const Cohortium__Codebook *fixture_body(void)
{
    static Cohortium__Variable v[F_ALL];
    static Cohortium__Variable *list[F_ALL];
    static Cohortium__Codebook body;
    static char *sex[] = {TEXT("female"), TEXT("male")};
    static char *dx[] = {TEXT("C18"), TEXT("C34"), TEXT("E10"), TEXT("E11"), TEXT("I10")};
    static const struct {
        const char *name;
        Cohortium__VarType type;
        double lower, upper;
    } rows[F_ALL] = {
        {"patient", COHORTIUM__VAR_TYPE__INTEGER, 0, 0},
        {"age", COHORTIUM__VAR_TYPE__INTEGER, 0, 120},
        {"sex", COHORTIUM__VAR_TYPE__CATEGORICAL, 0, 0},
        {"dx", COHORTIUM__VAR_TYPE__CATEGORICAL, 0, 0},
        {"bmi", COHORTIUM__VAR_TYPE__REAL, 10, 80},
        {"day", COHORTIUM__VAR_TYPE__DATE, 10957, 99999},
        {"dead", COHORTIUM__VAR_TYPE__BINARY, 0, 0},
        {"big", COHORTIUM__VAR_TYPE__REAL, -1e6, 1e6},
    };

    cohortium__codebook__init(&body);
    body.name = TEXT("lung");
    body.title = TEXT("Lung");
    body.count_unit = TEXT("patient");
    body.patient_namespace = TEXT("patient");
    body.variables = list;
    body.n_variables = F_ALL;
    for (size_t i = 0; i < F_ALL; i++) {
        cohortium__variable__init(&v[i]);
        v[i].name = TEXT(rows[i].name);
        v[i].type = rows[i].type;
        v[i].role =
            i == F_PATIENT ? COHORTIUM__ROLE__DIRECT_IDENTIFIER : COHORTIUM__ROLE__ORDINARY;
        v[i].bounded = rows[i].lower < rows[i].upper;
        v[i].lower = rows[i].lower;
        v[i].upper = rows[i].upper;
        list[i] = &v[i];
    }
    v[F_SEX].levels = sex, v[F_SEX].n_levels = COUNT(sex);
    v[F_DX].levels = dx, v[F_DX].n_levels = COUNT(dx);
    return &body;
}

struct fixture_rows {
    size_t rows, patients;
    double *values[F_ALL];
    uint8_t *valid[F_ALL];
    uint32_t *ordinal;
};

static inline double fixture_uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

/* per_patient: 1, or about so many rows each. */
static inline struct fixture_rows fixture_make(struct cx *cx, size_t rows,
                                               double per_patient, uint64_t seed)
{
    struct fixture_rows f = {.rows = rows};
    uint64_t s = seed * 2654435761u + 1;

    f.ordinal = cx_array(cx, rows + 1, sizeof *f.ordinal);
    assert_non_null(f.ordinal);
    for (size_t v = 1; v < F_ALL; v++) {
        f.values[v] = cx_array(cx, rows + 1, sizeof(double));
        f.valid[v] = cx_array(cx, rows + 1, 1);
        assert_non_null(f.values[v]);
        assert_non_null(f.valid[v]);
        bool gaps = v == F_BMI || v == F_DAY || v == F_DEAD;

        for (size_t i = 0; i < rows; i++)
            f.valid[v][i] = !gaps || fixture_uniform(&s) > 0.1;
    }
    for (size_t i = 0; i < rows; i++) {
        f.values[F_AGE][i] = floor(121 * fixture_uniform(&s));
        f.values[F_SEX][i] = fixture_uniform(&s) < 0.5;
        f.values[F_DX][i] = floor(5 * fixture_uniform(&s));
        f.values[F_BMI][i] = 10 + 70 * fixture_uniform(&s);
        f.values[F_DAY][i] = 10957 + floor(80000 * fixture_uniform(&s));
        f.values[F_DEAD][i] = fixture_uniform(&s) < 0.3;
        f.values[F_BIG][i] = 1e6 * (2 * fixture_uniform(&s) - 1);
        if (i == 0 || per_patient <= 1 || fixture_uniform(&s) * per_patient < 1)
            f.patients++;
        f.ordinal[i] = (uint32_t)(f.patients - 1);
    }
    return f;
}

static inline void fixture_write(struct cx *cx, int fd, const struct fixture_rows *f)
{
    const Cohortium__Codebook *body = fixture_body();
    uint8_t digest[32], (*hashes)[16] = cx_array(cx, f->patients + 1, 16);

    assert_non_null(hashes);
    for (size_t i = 0; i < f->patients; i++)
        for (int b = 0; b < 4; b++)
            hashes[i][b] = (uint8_t)(i >> (24 - 8 * b));
    CHECK_OK_("patients", cx,
              patients_write(cx, fd, f->ordinal, f->rows, (const uint8_t(*)[16])hashes,
                             f->patients, digest));
    for (size_t v = 1; v < F_ALL; v++)
        CHECK_OK_(body->variables[v]->name, cx,
                  column_write(cx, fd, body->variables[v]->name,
                               column_type_for(body->variables[v]), f->values[v],
                               f->valid[v], f->rows, digest));
}

/* A folder of its own under $TMPDIR; the caller removes it. */
static inline int fixture_folder(char path[64])
{
    (void)snprintf(path, 64, "/tmp/cohortium-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static inline int fixture_subfolder(int fd, const char *name)
{
    assert_int_equal(mkdirat(fd, name, 0700), 0);
    int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(sub >= 0);
    return sub;
}

static inline struct bytes fixture_codebook(struct cx *cx)
{
    struct codebook *cb;

    CHECK_OK_("codebook", cx, codebook_from_body(cx, fixture_body(), &cb));
    return cb->packed;
}

/* Written, opened deeply, and its folder removed: the mappings stay. */
static inline struct dataset *fixture_dataset(struct cx *cx, const struct fixture_rows *f)
{
    char path[64], command[128];
    uint8_t version[16] = {7};
    char name[DATASET_FOLDER];
    struct dataset *d = NULL;
    int fd = fixture_folder(path);

    dataset_folder(version, name);
    int sub = fixture_subfolder(fd, name);

    fixture_write(cx, sub, f);
    CHECK_OK_("open", cx,
              dataset_open(cx, fd, "lung", version, fixture_codebook(cx), true, &d));
    (void)close(sub);
    (void)close(fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
    return d;
}
