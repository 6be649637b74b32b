/* A column file is whole and its own, or it is refused; so is a dataset of unfitting
 * columns. */
#include "tests/node/dataset_fixture.h"

enum { ROWS = 1000 };

struct folder {
    char path[64];
    int fd;
    struct cx *cx;
    struct fixture_rows f;
};

static struct folder make(void)
{
    struct folder t = {.cx = cx_new(1 << 26, CX_NO_DEADLINE)};
    char name[DATASET_FOLDER];

    t.f = fixture_make(t.cx, ROWS, 2, 4);
    int parent = fixture_folder(t.path);

    dataset_folder((const uint8_t[16]){1}, name);
    t.fd = fixture_subfolder(parent, name);
    fixture_write(t.cx, t.fd, &t.f);
    (void)close(parent);
    return t;
}

static void end(struct folder *t)
{
    char command[128];

    (void)close(t->fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", t->path);
    assert_int_equal(system(command), 0);
    cx_free(&t->cx);
}

static enum fault open_dataset(struct folder *t)
{
    struct dataset *d = NULL;
    int parent = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum fault fault = dataset_open(t->cx, parent, "lung", (const uint8_t[16]){1},
                                    fixture_codebook(t->cx), true, &d);

    (void)close(parent);
    dataset_release(&d);
    return fault;
}

/* Files are 0400: a test changes one through a copy of its name. */
static void change(struct folder *t, const char *file, off_t at, uint8_t bits, off_t cut)
{
    assert_int_equal(fchmodat(t->fd, file, 0600, 0), 0);
    int fd = openat(t->fd, file, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    if (at < 0)
        at += st.st_size;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    if (cut != 0)
        assert_int_equal(ftruncate(fd, st.st_size + cut), 0);
    (void)close(fd);
}

static void test_column__gives_back_what_was_written(void **state)
{
    struct folder t = make();
    struct column c;
    struct stat st;

    (void)state;
    CHECK_OK_("bmi", t.cx, column_open(t.cx, t.fd, "bmi", true, &c));
    CHECK_EQ_("type", c.type, COLUMN_F64);
    CHECK_EQ_("rows", c.rows, ROWS);
    CHECK_EQ_("aligned", (uintptr_t)c.values % COLUMN_ALIGN, 0);
    for (size_t i = 0; i < ROWS; i++) {
        bool valid = c.valid[i / 64] >> (i % 64) & 1;

        CHECK_EQ_("valid", valid, t.f.valid[F_BMI][i]);
        CHECK_("value",
               ((const double *)c.values)[i] == (valid ? t.f.values[F_BMI][i] : 0));
    }
    column_close(&c);
    CHECK_OK_("age", t.cx, column_open(t.cx, t.fd, "age", true, &c));
    CHECK_EQ_("narrow", c.type, COLUMN_U8);
    CHECK_("nothing is missing, no bitmap", c.valid == NULL && c.missing == 0);
    column_close(&c);
    assert_int_equal(fstatat(t.fd, "age.col", &st, 0), 0);
    CHECK_EQ_("read-only", st.st_mode & 0777, 0400);
    CHECK_OK_("dataset", t.cx, open_dataset(&t));
    end(&t);
}

static void test_column__damage_is_named(void **state)
{
    static const struct {
        const char *what, *file;
        off_t at;
        uint8_t bits;
        off_t cut;
        enum fault want;
    } rows[] = {
        {"untouched", "bmi.col", 0, 0, 0, FAULT_NONE},
        {"a value's bit", "bmi.col", COLUMN_HEADER + 77, 1, 0, FAULT_STORAGE},
        {"the bitmap's bit", "bmi.col", -64, 8, 0, FAULT_STORAGE},
        {"padding's bit", "age.col", -1, 1, 0, FAULT_STORAGE},
        {"the magic", "age.col", 0, 1, 0, FAULT_STORAGE},
        {"another type of the same width", "day.col", 8, 1, 0, FAULT_STORAGE},
        {"the count of rows", "age.col", 16, 1, 0, FAULT_STORAGE},
        {"the count of missing", "bmi.col", 24, 1, 0, FAULT_STORAGE},
        {"the digest", "age.col", 32, 128, 0, FAULT_STORAGE},
        {"the name", "age.col", 64, 2, 0, FAULT_STORAGE},
        {"the header's rest", "age.col", 4000, 1, 0, FAULT_STORAGE},
        {"cut short", "bmi.col", 0, 0, -64, FAULT_STORAGE},
        {"cut inside the header", "bmi.col", 0, 0, -100000, FAULT_STORAGE},
        {"longer", "bmi.col", 0, 0, 64, FAULT_STORAGE},
        {"a patient's ordinal", "_patients.col", COLUMN_HEADER, 1, 0, FAULT_STORAGE},
        {"a patient's hash", "_patients.col", -33, 1, 0, FAULT_STORAGE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct folder t = make();
        struct stat st;
        off_t cut = rows[i].cut;

        assert_int_equal(fstatat(t.fd, rows[i].file, &st, 0), 0);
        if (cut < -st.st_size)
            cut = -st.st_size + 100;
        change(&t, rows[i].file, rows[i].at, rows[i].bits, cut);
        CHECK_EQ_(rows[i].what, open_dataset(&t), rows[i].want);
        if (rows[i].want != FAULT_NONE)
            CHECK_(rows[i].what, strstr(cx_message(t.cx), rows[i].file) != NULL);
        end(&t);
    }
}

/* Sound files that do not belong together, or hold what the codebook forbids. */
static void test_column__a_sound_file_of_the_wrong_kind_is_refused(void **state)
{
    static const struct {
        const char *what;
        int variable;
        enum column_type type;
        double value;
        uint64_t rows;
        enum fault want;
    } rows[] = {
        {"as before", F_BIG, COLUMN_F64, 3, ROWS, FAULT_NONE},
        {"one row less", F_BIG, COLUMN_F64, 3, ROWS - 1, FAULT_STORAGE},
        {"another type", F_BIG, COLUMN_I32, 3, ROWS, FAULT_STORAGE},
        {"beyond the bounds", F_BIG, COLUMN_F64, 1e6 + 1, ROWS, FAULT_STORAGE},
        {"a level too many", F_DX, COLUMN_U8, 5, ROWS, FAULT_STORAGE},
        {"the last level", F_DX, COLUMN_U8, 4, ROWS, FAULT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct folder t = make();
        const char *name = fixture_body()->variables[rows[i].variable]->name;
        double values[ROWS];
        uint8_t digest[32];
        char file[40];

        for (size_t k = 0; k < ROWS; k++)
            values[k] = rows[i].value;
        (void)snprintf(file, sizeof file, "%s.col", name);
        assert_int_equal(unlinkat(t.fd, file, 0), 0);
        CHECK_OK_(rows[i].what, t.cx,
                  column_write(t.cx, t.fd, name, rows[i].type, values, NULL, rows[i].rows,
                               digest));
        CHECK_EQ_(rows[i].what, open_dataset(&t), rows[i].want);
        end(&t);
    }
}

static void test_column__two_files_do_not_change_places(void **state)
{
    struct folder t = make();

    (void)state;
    assert_int_equal(renameat2(t.fd, "sex.col", t.fd, "dead.col", RENAME_EXCHANGE), 0);
    CHECK_EQ_("exchanged", open_dataset(&t), FAULT_STORAGE);
    end(&t);
}

static void test_column__stores_exactly_or_not_at_all(void **state)
{
    static const struct {
        const char *what;
        enum column_type type;
        double value;
        enum fault want;
    } rows[] = {
        {"largest byte", COLUMN_U8, 255, FAULT_NONE},
        {"beyond a byte", COLUMN_U8, 256, FAULT_NUMERIC},
        {"below zero", COLUMN_U8, -1, FAULT_NUMERIC},
        {"a fraction", COLUMN_U16, 1.5, FAULT_NUMERIC},
        {"smallest day", COLUMN_I32, -2147483648.0, FAULT_NONE},
        {"beyond a day", COLUMN_I32, 2147483648.0, FAULT_NUMERIC},
        {"not a number", COLUMN_F64, NAN, FAULT_NUMERIC},
        {"infinite", COLUMN_F64, INFINITY, FAULT_NUMERIC},
        {"not a number as a code", COLUMN_U16, NAN, FAULT_NUMERIC},
    };
    struct folder t = make();

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t digest[32];

        CHECK_EQ_(
            rows[i].what,
            column_write(t.cx, t.fd, "x", rows[i].type, &rows[i].value, NULL, 1, digest),
            rows[i].want);
        CHECK_EQ_("left behind", faccessat(t.fd, "x.col", F_OK, 0) == 0,
                  rows[i].want == FAULT_NONE);
        (void)unlinkat(t.fd, "x.col", 0);
    }
    uint8_t digest[32];
    double one = 1;

    CHECK_EQ_("never over another",
              column_write(t.cx, t.fd, "age", COLUMN_U8, &one, NULL, 1, digest),
              FAULT_CONFLICT);
    CHECK_OK_("which stays", t.cx, open_dataset(&t));
    end(&t);
}

static void test_column__patients_hash_depends_on_all(void **state)
{
    uint8_t key[32] = {1}, other[32] = {2}, a[16], b[16];

    (void)state;
    patient_hash(key, "patient", "17", 2, a);
    patient_hash(key, "patient", "17", 2, b);
    assert_memory_equal(a, b, 16);
    patient_hash(other, "patient", "17", 2, b);
    assert_memory_not_equal(a, b, 16);
    patient_hash(key, "patien", "t17", 3, b);
    assert_memory_not_equal(a, b, 16);
    patient_hash(key, "patient", "18", 2, b);
    assert_memory_not_equal(a, b, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_column__gives_back_what_was_written),
        cmocka_unit_test(test_column__damage_is_named),
        cmocka_unit_test(test_column__a_sound_file_of_the_wrong_kind_is_refused),
        cmocka_unit_test(test_column__two_files_do_not_change_places),
        cmocka_unit_test(test_column__stores_exactly_or_not_at_all),
        cmocka_unit_test(test_column__patients_hash_depends_on_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
