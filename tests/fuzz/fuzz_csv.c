/*
 * fuzz_csv.c - any bytes as a CSV file: rows that stay within their bounds, or a fault with
 * a sentence; and an import that writes into no folder ends the same way.
 *
 * The first byte chooses the format.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "node/data/csv.h"
#include "node/data/draft.h"

static void note(void *user, const struct csv_row *row, size_t column, const char *what)
{
    uint64_t *problems = user;

    FUZZ_CHECK(column < row->n && what[0] != '\0');
    ++*problems;
}

static void try_rows(struct cx *cx, int fd, const struct csv_format *format)
{
    struct csv *csv = NULL;
    struct csv_row row;
    bool more = true;
    uint64_t problems = 0, last = 0;
    enum fault fault = csv_open(cx, fd, format, note, &problems, &csv);

    while (fault == FAULT_NONE) {
        fault = csv_next(cx, csv, &row, &more);
        if (fault != FAULT_NONE || !more)
            break;
        FUZZ_CHECK(row.row > last && row.line >= row.row && row.n >= 1);
        last = row.row;
        for (size_t i = 0; i < row.n; i++) {
            const struct csv_field *f = &row.fields[i];

            FUZZ_CHECK(f->n <= 3 * CSV_FIELD_BYTES_MAX);
            if (f->bad)
                continue;
            FUZZ_CHECK(memchr(f->text, 0, f->n) == NULL);
            for (size_t k = 0; k < f->n; k++) /* what is not marked bad is UTF-8 */
                FUZZ_CHECK((unsigned char)f->text[k] < 0xf5);
        }
    }
    if (fault != FAULT_NONE)
        FUZZ_CHECK(cx_message(cx)[0] != '\0');
    csv_close(&csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct csv_format formats[] = {
        {',', '"', CSV_UTF8}, {';', '"', CSV_WINDOWS_1252}, {'\t', '\'', CSV_LATIN1}};
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    int fd = memfd_create("csv", MFD_CLOEXEC);
    const char *text;

    if (n > 0 && cx != NULL && fd >= 0 && write(fd, data + 1, n - 1) == (ssize_t)(n - 1)) {
        FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
        try_rows(cx, fd, &formats[data[0] % 3]);
        FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
        (void)!codebook_draft(cx, fd, "d", "a", &text);
    }
    if (fd >= 0)
        (void)close(fd);
    cx_free(&cx);
    return 0;
}
