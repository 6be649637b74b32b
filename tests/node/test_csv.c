/* What node/data/csv.h promises: RFC 4180 with all its oddities, and a place for each
 * fault. */
#include "node/data/csv.h"
#include "tests/check.h"

#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

/* A file in memory with the bytes; the caller closes it. */
static int file_of(const void *p, size_t n)
{
    int fd = memfd_create("csv", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void note(void *user, const struct csv_row *row, size_t column, const char *what)
{
    struct buffer *b = user;

    buffer_printf(b, "!%llu:%llu:%zu %s|", (unsigned long long)row->row,
                  (unsigned long long)row->line, column + 1, what);
}

/* Rows as "[a][b]|", problems as "!row:line:column words|", an end as "# words". */
static const char *read_all(struct cx *cx, const void *p, size_t n,
                            const struct csv_format *format)
{
    int fd = file_of(p, n);
    struct buffer b = buffer_new(cx, 1 << 22);
    AUTO_CSV struct csv *csv = NULL;
    struct csv_row row;
    bool more = true;
    enum fault fault = csv_open(cx, fd, format, note, &b, &csv);

    while (fault == FAULT_NONE) {
        fault = csv_next(cx, csv, &row, &more);
        if (fault != FAULT_NONE || !more)
            break;
        for (size_t i = 0; i < row.n; i++) {
            buffer_text(&b, "[");
            if (row.fields[i].bad)
                buffer_text(&b, "BAD");
            else
                buffer_put(&b, row.fields[i].text, row.fields[i].n);
            buffer_text(&b, "]");
        }
        buffer_text(&b, "|");
    }
    if (fault != FAULT_NONE)
        buffer_printf(&b, "# %s", cx_message(cx));
    assert_int_equal(close(fd), 0);
    return buffer_string(&b);
}

#define TEXT(literal) literal, sizeof(literal) - 1

static void test_csv__takes_what_rfc_4180_allows(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        const char *want;
    } rows[] = {
        {"two rows", TEXT("a,b\n1,2\n"), "[a][b]|[1][2]|"},
        {"no last line end", TEXT("a,b\n1,2"), "[a][b]|[1][2]|"},
        {"CRLF", TEXT("a,b\r\n1,2\r\n"), "[a][b]|[1][2]|"},
        {"CR", TEXT("a,b\r1,2\r"), "[a][b]|[1][2]|"},
        {"all three", TEXT("a\r\nb\nc\rd"), "[a]|[b]|[c]|[d]|"},
        {"a byte order mark",
         TEXT("\xef\xbb\xbf"
              "a,b\n"),
         "[a][b]|"},
        {"a mark before a quote", TEXT("\xef\xbb\xbf\"a\",b\n"), "[a][b]|"},
        {"blank lines", TEXT("\n\na\n\r\n\nb\n\n"), "[a]|[b]|"},
        {"an empty file", TEXT(""), ""},
        {"only a mark", TEXT("\xef\xbb\xbf"), ""},
        {"empty fields", TEXT(",,\n"), "[][][]|"},
        {"an empty last field at the end", TEXT("a,"), "[a][]|"},
        {"an empty quoted row is a row", TEXT("\"\"\n"), "[]|"},
        {"quotes", TEXT("\"a\",\"b\"\n"), "[a][b]|"},
        {"a delimiter inside quotes", TEXT("\"a,b\",c\n"), "[a,b][c]|"},
        {"doubled quotes", TEXT("\"a\"\"b\",\"\"\"\"\n"), "[a\"b][\"]|"},
        {"three doubled", TEXT("\"\"\"a\"\"\"\"b\"\n"), "[\"a\"\"b]|"},
        {"a line end inside quotes", TEXT("\"a\nb\",c\nd,e\n"), "[a\nb][c]|[d][e]|"},
        {"CRLF inside quotes", TEXT("\"a\r\nb\",c\r\n"), "[a\r\nb][c]|"},
        {"a quoted field at the end", TEXT("a,\"b\""), "[a][b]|"},
        {"spaces belong to a field", TEXT(" a , b\n"), "[ a ][ b]|"},
        {"UTF-8", TEXT("M\xc3\xbcller,\xf0\x9f\x98\x80\n"),
         "[M\xc3\xbcller][\xf0\x9f\x98\x80]|"},
        {"a row of one space", TEXT(" \n"), "[ ]|"},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = read_all(cx, rows[i].bytes, rows[i].n, &csv_format_standard);

        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: got %s, want %s", rows[i].what, got, rows[i].want);
    }
}

static void test_csv__refuses_with_a_place(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        {"a quote never closed", TEXT("a,b\n1,\"2\n3,4\n"),
         "# row 2, line 2, column 2: a quote is opened here and never closed"},
        {"never closed, after lines in quotes", TEXT("\"a\nb\",\"c\n"),
         "# row 1, line 2, column 2: a quote is opened"},
        {"text after a closing quote", TEXT("\"a\"b,c\nd,e\n"), "!1:1:1 text stands after"},
        {"a space after a closing quote", TEXT("a,\"b\" ,c\n"), "!1:1:2 text stands after"},
        {"a quote inside", TEXT("a\"b,c\nd,e\n"), "!1:1:1 a quote stands inside"},
        {"a space before a quote", TEXT("a, \"b\"\n"), "!1:1:2 a quote stands inside"},
        {"a NUL byte", TEXT("a,b\n1\0,2\n3,4\n"), "!2:2:1 a NUL byte"},
        {"a NUL byte in quotes", TEXT("a,\"x\ny\"\n1,\"\0\"\n"), "!2:3:2 a NUL byte"},
        {"a NUL byte at the end", TEXT("a,b\n1,2\0"), "!2:2:2 a NUL byte"},
        {"latin1 as UTF-8", TEXT("a,M\xfcller\n"),
         "!1:1:2 byte 0xfc at position 2 is not UTF-8"},
        {"an overlong character", TEXT("a,\xc0\xaf\n"), "!1:1:2 byte 0xc0 at position 1"},
        {"a surrogate", TEXT("\xed\xa0\x80\n"), "!1:1:1 byte 0xed at position 1"},
        {"a character cut off", TEXT("a,b\xc3\n"), "!1:1:2 byte 0xc3 at position 2"},
        {"UTF-16",
         TEXT("\xff\xfe"
              "a\0,\0"),
         "# the file is not CSV but UTF-16"},
        {"a spreadsheet", TEXT("PK\x03\x04....."), "# the file is not CSV but a zip file"},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = read_all(cx, rows[i].bytes, rows[i].n, &csv_format_standard);

        if (strstr(got, rows[i].says) == NULL)
            fail_msg("%s: got %s, want %s", rows[i].what, got, rows[i].says);
    }
    /* Reading goes on behind a problem. */
    assert_non_null(strstr(read_all(cx, TEXT("a\"b,c\nd,e\n"), &csv_format_standard),
                           "[BAD][c]|[d][e]|"));
}

static void test_csv__other_formats_of_text(void **state)
{
    static const struct csv_format semicolon = {';', '\'', CSV_WINDOWS_1252};
    static const struct csv_format tab = {'\t', '"', CSV_LATIN1};
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    assert_string_equal(read_all(cx, TEXT("'a;''b';\x80 M\xfcller;\"q\n"), &semicolon),
                        "[a;'b][\xe2\x82\xac M\xc3\xbcller][\"q]|");
    assert_non_null(strstr(read_all(cx, TEXT("a;\x81\n"), &semicolon), "!1:1:2 byte 0x81"));
    assert_string_equal(read_all(cx, TEXT("a\t\"\xe9\t\x80\"\n"), &tab),
                        "[a][\xc3\xa9\t\xc2\x80]|");
}

static void test_csv__fields_and_rows_are_bounded(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 27, CX_NO_DEADLINE);
    size_t size = CSV_FIELD_BYTES_MAX + 100;
    char *text = malloc(size);
    const char *got;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    text[CSV_FIELD_BYTES_MAX] = '\n';
    got = read_all(cx, text, CSV_FIELD_BYTES_MAX + 1, &csv_format_standard);
    assert_int_equal(strlen(got), CSV_FIELD_BYTES_MAX + 3);
    text[CSV_FIELD_BYTES_MAX] = 'x';
    text[CSV_FIELD_BYTES_MAX + 1] = '\n';
    got = read_all(cx, text, CSV_FIELD_BYTES_MAX + 2, &csv_format_standard);
    assert_non_null(strstr(got, "# row 1, line 1, column 1: a field of more than 1048576"));
    memcpy(text, "a,\"", 3);
    got = read_all(cx, text, size, &csv_format_standard);
    assert_non_null(strstr(got, "# row 1, line 1, column 2: a field of more than 1048576"));
    memset(text, ',', size);
    got = read_all(cx, text, size, &csv_format_standard);
    assert_non_null(strstr(got, "more than 65536 fields"));
    free(text);
}

/* The same rows whether or not they lie across the ends of the buffer. */
static void test_csv__rows_survive_the_buffers_end(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    size_t rows = 90000, n = 0;
    char *text = malloc(rows * 60);
    int fd;
    struct csv *csv;
    struct csv_row row;
    bool more;
    struct buffer b = buffer_new(cx, 1 << 20);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < rows; i++)
        n += (size_t)sprintf(text + n, "%zu,\"a\"\"%zu\r\n\",\xc3\xbc%s", i, i * 7,
                             i % 3 == 0   ? "\r\n"
                             : i % 3 == 1 ? "\n"
                                          : "\r");
    fd = file_of(text, n);
    CHECK_OK_("open", cx, csv_open(cx, fd, &csv_format_standard, note, &b, &csv));
    for (size_t i = 0; i < rows; i++) {
        char want[40];

        CHECK_OK_("next", cx, csv_next(cx, csv, &row, &more));
        assert_true(more && row.n == 3);
        assert_int_equal(row.row, i + 1);
        assert_int_equal(row.line, 2 * i + 1);
        (void)snprintf(want, sizeof want, "a\"%zu\r\n", i * 7);
        assert_int_equal(row.fields[1].n, strlen(want));
        assert_memory_equal(row.fields[1].text, want, row.fields[1].n);
    }
    CHECK_OK_("end", cx, csv_next(cx, csv, &row, &more));
    assert_false(more);
    assert_int_equal(b.n, 0);
    csv_close(&csv);
    assert_int_equal(close(fd), 0);
    free(text);
}

static size_t gzip(const char *text, size_t n, uint8_t *out, size_t size)
{
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)text;
    z.avail_in = (unsigned)n;
    z.next_out = out;
    z.avail_out = (unsigned)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t got = size - z.avail_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
    return got;
}

static void test_csv__gzip_is_unpacked(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    uint8_t packed[400];
    size_t n = gzip("a,b\n1,", 6, packed, 200), m;

    (void)state;
    m = gzip("2\n", 2, packed + n, 200);
    assert_string_equal(read_all(cx, packed, n + m, &csv_format_standard),
                        "[a][b]|[1][2]|");
    packed[n + m] = 0; /* padding of a tape */
    assert_string_equal(read_all(cx, packed, n + m + 1, &csv_format_standard),
                        "[a][b]|[1][2]|");
    packed[n + m] = 'x';
    assert_non_null(strstr(read_all(cx, packed, n + m + 1, &csv_format_standard),
                           "other bytes after its end"));
    assert_non_null(strstr(read_all(cx, packed, n - 3, &csv_format_standard), "cut short"));
    packed[n - 6] ^= 1; /* its checksum */
    assert_non_null(strstr(read_all(cx, packed, n, &csv_format_standard), "damaged"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv__takes_what_rfc_4180_allows),
        cmocka_unit_test(test_csv__refuses_with_a_place),
        cmocka_unit_test(test_csv__other_formats_of_text),
        cmocka_unit_test(test_csv__fields_and_rows_are_bounded),
        cmocka_unit_test(test_csv__rows_survive_the_buffers_end),
        cmocka_unit_test(test_csv__gzip_is_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
