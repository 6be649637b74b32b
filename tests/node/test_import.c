/* What node/data/import.h promises: all of a file or nothing, and every problem with a
 * place. */
#include "node/data/codebook_yaml.h"
#include "node/data/import.h"
#include "node/vault/column.h"
#include "protocol/base/clock.h"
#include "tests/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define TEXT(literal) literal, sizeof(literal) - 1

static const uint8_t key[32] = {1, 2, 3};

struct run {
    char folder[64];
    int folder_fd;
    struct import_report report;
    enum fault fault;
};

static int file_of(const void *p, size_t n)
{
    int fd = memfd_create("csv", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static struct codebook *codebook_of(struct cx *cx, const char *text, size_t n)
{
    Cohortium__Codebook *body = NULL;
    struct codebook *cb = NULL;

    CHECK_OK_("codebook", cx, codebook_from_yaml(cx, "c.yaml", text, n, &body));
    CHECK_OK_("codebook", cx, codebook_from_body(cx, body, &cb));
    return cb;
}

static size_t files_in(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fdopendir(fd);
    size_t n = 0;

    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += e->d_name[0] != '.';
    assert_int_equal(closedir(d), 0);
    return n;
}

static struct run run(struct cx *cx, const struct codebook *cb, const char *mapping,
                      const void *csv, size_t n)
{
    struct run r = {.folder = "/tmp/test_import_XXXXXX"};
    struct mapping *m = NULL;
    int fd = file_of(csv, n);

    assert_non_null(mkdtemp(r.folder));
    r.folder_fd = open(r.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(r.folder_fd >= 0);
    if (mapping != NULL)
        CHECK_OK_(mapping, cx,
                  mapping_from_yaml(cx, "m.yaml", mapping, strlen(mapping), cb, &m));
    struct import_setup setup = {
        .cb = cb, .mapping = m, .csv_fd = fd, .staging_fd = r.folder_fd, .key = key};
    r.fault = import_run(cx, &setup, &r.report);
    assert_int_equal(close(fd), 0);
    return r;
}

static void run_free(struct run *r)
{
    DIR *d = opendir(r->folder);

    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (e->d_name[0] != '.')
            assert_int_equal(unlinkat(r->folder_fd, e->d_name, 0), 0);
    assert_int_equal(closedir(d), 0);
    assert_int_equal(close(r->folder_fd), 0);
    assert_int_equal(rmdir(r->folder), 0);
}

/* One cell of what was written; missing: -999. */
static double cell(struct cx *cx, const struct run *r, const char *name, uint64_t row)
{
    struct column c;
    double x = -999;

    CHECK_OK_(name, cx, column_open(cx, r->folder_fd, name, true, &c));
    assert_true(row < c.rows);
    if (c.valid == NULL || (c.valid[row / 64] >> (row % 64) & 1))
        x = c.type == COLUMN_U8    ? ((const uint8_t *)c.values)[row]
            : c.type == COLUMN_U16 ? ((const uint16_t *)c.values)[row]
            : c.type == COLUMN_I32 ? ((const int32_t *)c.values)[row]
                                   : ((const double *)c.values)[row];
    column_close(&c);
    return x;
}

static uint64_t row_of(struct cx *cx, const struct run *r, const char *id)
{
    struct patients p;
    uint8_t hash[16];
    uint64_t row;

    patient_hash(key, "patient", id, strlen(id), hash);
    CHECK_OK_("patients", cx, patients_open(cx, r->folder_fd, true, &p));
    for (row = 0; row < p.rows; row++)
        if (memcmp(p.hashes[p.ordinal[row]], hash, 16) == 0)
            break;
    patients_close(&p);
    return row;
}

static const char book[] = "dataset: d\ncount_unit: pid\nvariables:\n"
                           "  pid: {type: identifier}\n"
                           "  age: {type: integer, bounds: [0, 120], missing: [\"-9\"]}\n"
                           "  w: {type: real, unit: kg, bounds: [0, 300]}\n"
                           "  sex: {type: categorical, levels: [male, female]}\n"
                           "  dead: {type: binary}\n"
                           "  seen: {type: date, bounds: [2000-01-01, 2030-12-31]}\n"
                           "  note: {type: categorical, role: hidden, levels: [x]}\n"
                           "  mail: {type: identifier}\n";
static const char head[] = "pid,age,w,sex,dead,seen\n";

static void test_import__stores_what_the_file_says(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct run r = run(cx, cb, NULL,
                       TEXT("pid,age,w,sex,dead,seen,note,mail\r\n"
                            "P1, 61 ,70.25,male,0,2020-02-29,x,a@b\r\n"
                            "P2,-9,,female,1,,anything,\"a,b\"\r\n"
                            "P1,62,1e2,,,2021-01-01,,\n"
                            "P3,0,\"80\",\"male\",1,2000-01-01,,"));
    uint64_t p1 = row_of(cx, &r, "P1"), p2 = row_of(cx, &r, "P2"),
             p3 = row_of(cx, &r, "P3");

    (void)state;
    CHECK_OK_("import", cx, r.fault);
    assert_int_equal(r.report.rows, 4);
    assert_int_equal(r.report.patients, 3);
    assert_int_equal(r.report.n_stored, 5);
    assert_int_equal(files_in(r.folder_fd), 6);
    assert_true(cell(cx, &r, "age", p1) == 61 && cell(cx, &r, "age", p1 + 1) == 62);
    assert_true(cell(cx, &r, "age", p2) == -999 && cell(cx, &r, "age", p3) == 0);
    assert_true(cell(cx, &r, "w", p1) == 70.25 && cell(cx, &r, "w", p1 + 1) == 100);
    assert_true(cell(cx, &r, "w", p2) == -999 && cell(cx, &r, "w", p3) == 80);
    assert_true(cell(cx, &r, "sex", p2) == 1 && cell(cx, &r, "sex", p1 + 1) == -999);
    assert_true(cell(cx, &r, "dead", p3) == 1);
    assert_true(cell(cx, &r, "seen", p1) == 18321 && cell(cx, &r, "seen", p3) == 10957);
    assert_non_null(strstr(import_report_text(cx, cb, &r.report),
                           "4 rows of 3 patients, 5 variables\n"
                           "columns not stored: note, mail\n"));
    run_free(&r);
}

/* Computed from what was read, missing where that is, whichever stands first. */
static void test_import__computes_derived_variables(void **state)
{
    static const char derived[] =
        "dataset: d\ncount_unit: pid\nvariables:\n  pid: {type: identifier}\n"
        "  band: {from: age, cut: [50, 60]}\n  age: {type: integer, bounds: [0, 120]}\n"
        "  sex: {type: categorical, levels: [male, female, other]}\n"
        "  group: {from: sex, recode: {male: x, female: y, other: x}}\n"
        "  ecog: {type: integer, bounds: [1, 3]}\n"
        "  fit: {from: ecog, recode: {1: good, 2: poor, 3: poor}}\n";
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(derived));
    struct run r =
        run(cx, cb, NULL,
            TEXT("pid,age,sex\na,49,male\nb,50,female\nc,59,other\nd,60,\ne,,male\n"));
    static const struct {
        const char *id;
        double band, group;
    } want[] = {{"a", 0, 0}, {"b", 1, 1}, {"c", 1, 0}, {"d", 2, -999}, {"e", -999, 0}};

    (void)state;
    CHECK_OK_("import", cx, r.fault);
    for (size_t i = 0; i < COUNT(want); i++) {
        uint64_t row = row_of(cx, &r, want[i].id);

        CHECK_(want[i].id, cell(cx, &r, "band", row) == want[i].band);
        CHECK_(want[i].id, cell(cx, &r, "group", row) == want[i].group);
        CHECK_(want[i].id, cell(cx, &r, "fit", row) == -999); /* this file has no ecog */
    }
    assert_non_null(strstr(import_report_text(cx, cb, &r.report),
                           "not in this file, stored as missing: ecog, fit\n"));
    run_free(&r);
    r = run(cx, cb, NULL, TEXT("pid,age,band\na,49,<50\n"));
    CHECK_EQ_("a column of its name", r.fault, FAULT_FORMAT);
    CHECK_("says why", strstr(import_report_text(cx, cb, &r.report),
                              "computed from `age`; leave the column out") != NULL);
    run_free(&r);
    r = run(cx, cb, "dataset: d\nignore: [band]\n", TEXT("pid,age,band\na,49,<60\n"));
    CHECK_OK_("ignored", cx, r.fault);
    CHECK_("and computed", cell(cx, &r, "band", 0) == 0);
    run_free(&r);
}

static void test_import__a_mapping_translates(void **state)
{
    static const char mapping[] =
        "dataset: d\nencoding: latin1\ndelimiter: \";\"\ndecimal: \",\"\n"
        "missing: [\"k.A.\"]\nignore: [Bemerkung]\nvariables:\n"
        "  pid: {column: Nummer}\n"
        "  age: {column: \"Alter\"}\n"
        "  w: {column: Gewicht, unit: pound, factor: 0.45359237}\n"
        "  sex: {column: \"M\xc3\xa4nnlich\", recode: {ja: male, \"nein\": female}}\n"
        "  dead: {column: tot, recode: {J: 1, N: 0}}\n"
        "  seen: {column: Datum, date_format: \"%d.%m.%Y\"}\n";
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct run r = run(cx, cb, mapping,
                       TEXT("Nummer;Alter;Gewicht;M\xe4nnlich;tot;Datum;Bemerkung\n"
                            "7;61;150,5;ja;N;29.2.2020;\"gro\xdf; sehr\"\n"
                            "8;k.A.;k.A.;nein;J;01.12.2021;\n"));
    uint64_t a = row_of(cx, &r, "7"), b = row_of(cx, &r, "8");

    (void)state;
    CHECK_OK_("import", cx, r.fault);
    assert_true(cell(cx, &r, "w", a) == 150.5 * 0.45359237);
    assert_true(cell(cx, &r, "age", b) == -999 && cell(cx, &r, "w", b) == -999);
    assert_true(cell(cx, &r, "sex", a) == 0 && cell(cx, &r, "sex", b) == 1);
    assert_true(cell(cx, &r, "dead", a) == 0 && cell(cx, &r, "dead", b) == 1);
    assert_true(cell(cx, &r, "seen", a) == 18321);
    run_free(&r);
}

static void test_import__without_a_header_and_without_rows(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct run r =
        run(cx, cb, "header: no\nvariables:\n  pid: {column: 2}\n  age: {column: 1}\n",
            TEXT("61,P1\n62,P2\n"));

    (void)state;
    CHECK_OK_("no header", cx, r.fault);
    assert_true(cell(cx, &r, "age", row_of(cx, &r, "P2")) == 62);
    assert_int_equal(r.report.n_absent, 4);
    assert_true(cell(cx, &r, "sex", 0) == -999); /* a site may lack a variable */
    run_free(&r);
    r = run(cx, cb, NULL, TEXT(head));
    CHECK_OK_("only a header", cx, r.fault); /* a site may have nobody, but is told so */
    assert_int_equal(r.report.rows, 0);
    assert_int_equal(files_in(r.folder_fd), 6);
    assert_non_null(
        strstr(import_report_text(cx, cb, &r.report), "note: the file has no rows"));
    run_free(&r);
    r = run(cx, cb, NULL, TEXT("pid,age\nP1,1\nP1,2\n"));
    assert_non_null(strstr(import_report_text(cx, cb, &r.report),
                           "2 rows of 1 patient, 5 variables\nnote: all rows are of one "
                           "patient; is `pid`"));
    run_free(&r);
    r = run(cx, cb, NULL, TEXT("pid,age\nP1,1\nP2,2\n"));
    assert_null(strstr(import_report_text(cx, cb, &r.report), "note:"));
    run_free(&r);
}

/* Each row is a header and a row that can be imported, with one thing wrong; nothing is
 * ever written. */
static void test_import__refuses_with_a_place(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        {"text in a number", TEXT("pid,age\nP1,old\n"),
         "row 2, column age: \"old\" is not a number; if it means missing"},
        {"a number with a tail", TEXT("pid,age\nP1,7x\n"), "\"7x\" is not a number"},
        {"a decimal comma", TEXT("pid,w\nP1,\"7,5\"\n"), "say `decimal: \",\"`"},
        {"not whole", TEXT("pid,age\nP1,61.5\n"), "\"61.5\" is not a whole number"},
        {"out of bounds", TEXT("pid,age\nP1,61\nP2,121\n"),
         "row 3, column age: \"121\" is outside the bounds of `age`; expected 0 to 120"},
        {"an unknown level", TEXT("pid,sex\nP1,femal\n"),
         "\"femal\" is not a level of `sex`; did you mean `female`?"},
        {"a level with a space", TEXT("pid,sex\nP1,male \n"), "\"male \" is not a level"},
        {"not binary", TEXT("pid,dead\nP1,2\n"), "\"2\" is not 0 or 1"},
        {"no such day", TEXT("pid,seen\nP1,2021-02-29\n"), "is not a day of the calendar"},
        {"another date format", TEXT("pid,seen\nP1,29.02.2020\n"), "`date_format`"},
        {"a date out of bounds", TEXT("pid,seen\nP1,1999-12-31\n"),
         "expected 2000-01-01 to 2030-12-31"},
        {"infinity", TEXT("pid,w\nP1,inf\n"), "\"inf\" is not a number"},
        {"hexadecimal", TEXT("pid,w\nP1,0x10\n"), "\"0x10\" is not a number"},
        {"no count unit", TEXT("pid,age\n,61\n"),
         "row 2, column pid: the count unit is missing"},
        {"no column of the count unit", TEXT("id,age\nP1,61\n"),
         "there is no column \"pid\" (the count unit"},
        {"duplicate columns", TEXT("pid,age,age\nP1,1,2\n"),
         "row 1: columns 2 and 3 are both named \"age\""},
        {"an empty name", TEXT("pid,age,\nP1,1,2\n"), "row 1: column 3 has no name"},
        {"a column nobody named", TEXT("pid,aeg\nP1,1\n"), "column aeg: no variable"},
        {"a row too short", TEXT("pid,age,w\nP1,1\n"), "row 2: 2 fields; expected 3"},
        {"a row too long", TEXT("pid,age\nP1,1,000\n"), "row 2: 3 fields; expected 2"},
        {"a quote never closed", TEXT("pid,age\nP1,\"1\n"),
         "row 2, line 2, column 2: a quote is opened"},
        {"a quote inside", TEXT("pid,age\nP1,1\"\n"), "row 2, column age: a quote stands"},
        {"a NUL byte", TEXT("pid,age\nP1,1\0\n"), "row 2, column age: a NUL byte"},
        {"another encoding", TEXT("pid,sex\nP1,m\xe4nnlich\n"),
         "row 2, column sex: byte 0xe4 at position 2 is not UTF-8"},
        {"UTF-16", TEXT("\xff\xfep\0i\0d\0"), "UTF-16 text: save it as UTF-8"},
        {"a spreadsheet", TEXT("PK\x03\x04rest of it"), "export the sheet as CSV"},
        {"an empty file", TEXT(""), "the file is empty"},
        {"another delimiter", TEXT("pid;age\nP1;61\n"), "say `delimiter: \";\"`"},
        {"a long text is cut",
         TEXT("pid,age\nP1,aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeee\n"),
         "ddddddddd...\" is not a number"},
        {"lines and rows differ", TEXT("pid,sex\nP1,\"a\nb\"\nP2,q\n"),
         "row 3 (line 4), column sex: \"q\""},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 27, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct run r = run(cx, cb, NULL, rows[i].bytes, rows[i].n);
        const char *text = import_report_text(cx, cb, &r.report);

        CHECK_EQ_(rows[i].what, r.fault, FAULT_FORMAT);
        CHECK_(rows[i].what, r.report.n_problems > 0);
        CHECK_EQ_(rows[i].what, files_in(r.folder_fd), 0);
        if (strstr(text, rows[i].says) == NULL)
            fail_msg("%s: said\n%s\nexpected\n%s", rows[i].what, text, rows[i].says);
        run_free(&r);
    }
}

static void test_import__lists_all_problems_up_to_a_bound(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 27, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    size_t n = 0;
    char *csv = malloc(200000);
    struct run r;

    (void)state;
    assert_non_null(csv);
    n += (size_t)sprintf(csv, "pid,age,sex\n");
    for (int i = 0; i < 3000; i++)
        n += (size_t)sprintf(csv + n, "P%d,x,y\n", i);
    r = run(cx, cb, NULL, csv, n);
    assert_int_equal(r.fault, FAULT_FORMAT);
    assert_int_equal(r.report.n_problems, 6000);
    assert_int_equal(r.report.n_kept, IMPORT_PROBLEMS_MAX);
    assert_int_equal(r.report.problems[999].row, 501);
    assert_non_null(strstr(import_report_text(cx, cb, &r.report),
                           "6000 problems; nothing was imported"));
    assert_int_equal(files_in(r.folder_fd), 0);
    run_free(&r);
    free(csv);
}

/* A wrong unit is one thing to tell, however many rows it spoils; nothing else is hidden
 * behind it. */
static void test_import__problems_alike_are_told_once(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 27, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct buffer b = buffer_new(cx, 1 << 20);
    (void)state;

    buffer_text(&b, "pid,age,w,sex\n");
    for (int i = 0; i < 200; i++)
        buffer_printf(&b, "P%d,%d,%d,%s\n", i, 700 + i, i == 150 ? 301 : 70,
                      i == 160 ? "femal" : "male");
    struct run r = run(cx, cb, NULL, b.p, b.n);
    const char *text = import_report_text(cx, cb, &r.report);
    static const char age[] = " is outside the bounds of `age`; expected 0 to 120, or a "
                              "missing code\n";
    const char *want = cx_printf(
        cx,
        "row 2, column age: \"700\"%srow 3, column age: \"701\"%srow 4, column age: "
        "\"702\"%s    and 197 more like that\n"
        "row 152, column w: \"301\" is outside the bounds of `w`; expected 0 to 300 kg, or "
        "a "
        "missing code; a mapping file converts another unit (`factor`, `offset`)\n"
        "row 162, column sex: \"femal\" is not a level of `sex`; did you mean `female`? "
        "(or "
        "recode it in a mapping file, or add the level to the codebook)\n"
        "202 problems; nothing was imported\n",
        age, age, age);
    assert_string_equal(text, want);
    run_free(&r);
}

static void test_import__a_mapping_that_names_no_column(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct run r =
        run(cx, cb, "variables: {age: {column: agee}}\n", TEXT("pid,age\nP1,61\n"));
    (void)state;

    assert_int_equal(r.fault, FAULT_FORMAT);
    assert_string_equal(
        import_report_text(cx, cb, &r.report),
        "row 1: there is no column \"agee\", did you mean \"age\"? Else "
        "correct `column` in the mapping file\n"
        "row 1, column age: the variable of this name takes another column, "
        "as the mapping file says\n"
        "2 problems; nothing was imported\n");
    run_free(&r);
}

static void test_import__a_mapping_is_judged(void **state)
{
    static const struct {
        const char *what, *text, *says;
    } rows[] = {
        {"another dataset", "dataset: e\n",
         "m.yaml:1:10: dataset: this mapping is for `e`"},
        {"an unknown variable", "variables: {agee: {}}\n", "did you mean `age`?"},
        {"an unknown key", "variables: {age: {colum: A}}\n", "did you mean `column`?"},
        {"an unknown encoding", "encoding: ebcdic\n", "encoding: `ebcdic` is unknown"},
        {"a factor of a level", "variables: {sex: {factor: 2}}\n", "only integer and real"},
        {"a factor of zero", "variables: {age: {factor: 0}}\n", "factor: 0"},
        {"another unit without a factor", "variables: {w: {unit: pound}}\n",
         "the codebook's unit is `kg`"},
        {"an unknown level", "variables: {sex: {recode: {m: mal}}}\n",
         "`mal` is not a level of `sex`; did you mean `male`?"},
        {"a number that cannot be", "variables: {dead: {recode: {j: 2}}}\n",
         "cannot be a value of `dead`"},
        {"a date format without year", "variables: {seen: {date_format: \"%d.%m\"}}\n",
         "date_format: expected"},
        {"a date format for a number", "variables: {age: {date_format: \"%d.%m.%Y\"}}\n",
         "is not a date"},
        {"no places", "header: no\n", "header: no needs"},
        {"a name for a place", "header: no\nvariables: {age: {column: A}}\n",
         "expected a whole number"},
        {"recoded identifiers", "variables: {pid: {recode: {a: b}}}\n", "is an identifier"},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct mapping *m;
    struct run r;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_EQ_(
            rows[i].what,
            mapping_from_yaml(cx, "m.yaml", rows[i].text, strlen(rows[i].text), cb, &m),
            FAULT_FORMAT);
        if (strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: said \"%s\", expected \"%s\"", rows[i].what, cx_message(cx),
                     rows[i].says);
    }
    r = run(cx, cb, "missing: [male]\n", TEXT("pid,sex\nP1,male\n"));
    assert_int_equal(r.fault, FAULT_FORMAT);
    assert_non_null(strstr(r.report.problems[0].text, "would mean two things"));
    run_free(&r);
    r = run(cx, cb, "variables: {age: {column: Age}}\n", TEXT("pid,age\nP1,1\n"));
    assert_int_equal(r.fault, FAULT_FORMAT);
    assert_non_null(
        strstr(import_report_text(cx, cb, &r.report), "there is no column \"Age\""));
    run_free(&r);
}

/* ---- lung, against its own file read by something simpler ---- */

static char *read_file(const char *path, size_t *ret_n)
{
    char full[4096];
    const char *source = getenv("COHORTIUM_SOURCE");

    (void)snprintf(full, sizeof full, "%s/%s", source ? source : ".", path);
    FILE *f = fopen(full, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *ret_n = fread(text, 1, (1 << 20) - 1, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void check_lung(struct cx *cx, const struct run *r, char *csv)
{
    static const char *const names[] = {"time",     "status",    "age",      "ph_ecog",
                                        "ph_karno", "pat_karno", "meal_cal", "wt_loss"};
    static const int places[] = {2, 3, 4, 6, 7, 8, 9, 10};
    size_t rows = 0;

    for (char *line = strtok(csv, "\n"); (line = strtok(NULL, "\n")) != NULL; rows++) {
        char *fields[11] = {0};

        for (int k = 0; k < 11; k++)
            fields[k] = strsep(&line, ",");
        uint64_t row = row_of(cx, r, fields[0]);
        for (size_t v = 0; v < COUNT(names); v++) {
            const char *f = fields[places[v]];
            double want = f[0] == '\0' ? -999 : atof(f);

            CHECK_(names[v], cell(cx, r, names[v], row) == want);
        }
        assert_true(cell(cx, r, "sex", row) == (strcmp(fields[5], "female") == 0));
    }
    assert_int_equal(rows, 228);
}

static void test_import__lung_plain_and_packed(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    size_t n, n_book, n_gz;
    char *yaml = read_file("tests/data/lung/lung.yaml", &n_book);
    char *csv = read_file("tests/data/lung/pooled.csv", &n);
    struct codebook *cb = codebook_of(cx, yaml, n_book);
    char path[] = "/tmp/test_import_gz_XXXXXX", packed[1 << 16];
    int fd = mkstemp(path);
    struct run r = run(cx, cb, NULL, csv, n);

    (void)state;
    CHECK_OK_("lung", cx, r.fault);
    assert_int_equal(r.report.rows, 228);
    assert_int_equal(r.report.patients, 228);
    assert_int_equal(r.report.missing[codebook_find(cb, "meal_cal")], 47);
    gzFile gz = gzdopen(fd, "wb");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, csv, (unsigned)n), (int)n);
    assert_int_equal(gzclose(gz), Z_OK);
    check_lung(cx, &r, csv);
    run_free(&r);
    free(csv);

    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n_gz = (size_t)read(fd, packed, sizeof packed);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    csv = read_file("tests/data/lung/pooled.csv", &n);
    r = run(cx, cb, NULL, packed, n_gz);
    CHECK_OK_("lung.gz", cx, r.fault);
    check_lung(cx, &r, csv);
    run_free(&r);
    free(csv);
    free(yaml);
}

/* Rows of many patients in any order come out grouped, each patient's in the file's order.
 */
static void test_import__groups_rows_by_patient(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    static const char text[] =
        "dataset: d\ncount_unit: p\nvariables:\n  p: {type: identifier}\n"
        "  x: {type: integer, bounds: [0, 1000000]}\n";
    struct codebook *cb = codebook_of(cx, TEXT(text));
    enum { ROWS = 20000, PATIENTS = 300 };
    size_t n = 0;
    char *csv = malloc(ROWS * 24);
    struct patients p;
    struct column c;

    (void)state;
    assert_non_null(csv);
    n += (size_t)sprintf(csv, "p,x\n");
    for (unsigned i = 0; i < ROWS; i++)
        n += (size_t)sprintf(csv + n, "%u,%u\n", i * 7919u % PATIENTS, i);
    struct run r = run(cx, cb, NULL, csv, n);
    CHECK_OK_("import", cx, r.fault);
    CHECK_OK_("patients", cx, patients_open(cx, r.folder_fd, true, &p));
    CHECK_OK_("column", cx, column_open(cx, r.folder_fd, "x", true, &c));
    assert_int_equal(p.count, PATIENTS);
    assert_int_equal(p.rows, ROWS);
    const int32_t *x = c.values;

    assert_int_equal(c.type, COLUMN_I32);
    for (size_t i = 1; i < ROWS; i++) {
        assert_true(p.ordinal[i] >= p.ordinal[i - 1]);
        if (p.ordinal[i] == p.ordinal[i - 1])
            assert_true(x[i] > x[i - 1] && (unsigned)x[i] * 7919u % PATIENTS ==
                                               (unsigned)x[i - 1] * 7919u % PATIENTS);
    }
    column_close(&c);
    patients_close(&p);
    run_free(&r);
    free(csv);
}

struct told {
    uint64_t times, done, total, rows;
};

static void tell(void *user, uint64_t done, uint64_t total, uint64_t rows)
{
    struct told *t = user;

    assert_true(done >= t->done && done <= total && rows >= t->rows);
    *t = (struct told){t->times + 1, done, total, rows};
}

static void test_import__tells_its_progress_and_keeps_deadlines(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    AUTO_CX struct cx *late = cx_new(1 << 26, clock_mono_ms() - 1);
    struct codebook *cb = codebook_of(cx, TEXT(book));
    struct run r = run(cx, cb, NULL, TEXT(head));
    struct told told = {0};
    struct import_report report;
    size_t n = 0;
    char *csv = malloc(2000000);

    (void)state;
    assert_non_null(csv);
    run_free(&r);
    n += (size_t)sprintf(csv, "pid,age\n");
    for (int i = 0; i < 100000; i++)
        n += (size_t)sprintf(csv + n, "P%d,%d\n", i, i % 100);
    int fd = file_of(csv, n);
    struct import_setup setup = {.cb = cb,
                                 .csv_fd = fd,
                                 .staging_fd = -1,
                                 .key = key,
                                 .progress = tell,
                                 .user = &told};

    /* A folder that cannot be written is a fault of its own, not a problem of the file. */
    assert_int_not_equal(import_run(cx, &setup, &report), FAULT_FORMAT);
    assert_int_equal(report.n_problems, 0);
    assert_true(told.times >= 6 && told.rows == 100000);
    assert_true(told.done == n && told.total == n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    setup.progress = NULL;
    assert_int_equal(import_run(late, &setup, &report), FAULT_TIMEOUT);
    assert_int_equal(close(fd), 0);
    free(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import__stores_what_the_file_says),
        cmocka_unit_test(test_import__computes_derived_variables),
        cmocka_unit_test(test_import__a_mapping_translates),
        cmocka_unit_test(test_import__without_a_header_and_without_rows),
        cmocka_unit_test(test_import__refuses_with_a_place),
        cmocka_unit_test(test_import__lists_all_problems_up_to_a_bound),
        cmocka_unit_test(test_import__problems_alike_are_told_once),
        cmocka_unit_test(test_import__a_mapping_that_names_no_column),
        cmocka_unit_test(test_import__a_mapping_is_judged),
        cmocka_unit_test(test_import__lung_plain_and_packed),
        cmocka_unit_test(test_import__groups_rows_by_patient),
        cmocka_unit_test(test_import__tells_its_progress_and_keeps_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
