/* What node/data/yaml.h promises: a small strict YAML with a place in every complaint. */
#include "node/data/decimal.h"
#include "node/data/yaml.h"
#include "tests/check.h"

#include <math.h>

static const struct yaml_node *open_ok(struct cx *cx, const char *text)
{
    const struct yaml_node *root = NULL;

    CHECK_OK_(text, cx, yaml_open(cx, "t.yaml", text, strlen(text), &root));
    return root;
}

static void test_yaml__refuses_with_a_place(void **state)
{
    static const struct {
        const char *what, *text;
        size_t n;
        const char *says;
    } rows[] = {
        {"an alias", "a: &x 1\nb: *x\n", 0, "t.yaml:1:4: anchors"},
        {"an alias alone", "a: 1\nb: *x\n", 0, "t.yaml:2:4: aliases"},
        {"a tag", "a: !!int 1\n", 0, "t.yaml:1:4: tags"},
        {"a local tag", "a: !x 1\n", 0, "t.yaml:1:4: tags"},
        {"a second document", "a: 1\n---\nb: 2\n", 0, "t.yaml:2:1: a second document"},
        {"a duplicate key", "a: 1\nb: 2\na: 3\n", 0,
         "t.yaml:3:1: the key `a` stands twice"},
        {"an empty file", "", 0, "the file is empty"},
        {"only a comment", "# nothing\n", 0, "the file is empty"},
        {"a list at the top", "- a\n", 0, "t.yaml:1:1: expected `key: value`"},
        {"a map as key", "{a: 1}: 2\n", 0, "a key must be one word"},
        {"an unclosed quote", "a: \"x\n", 0, "not well-formed YAML"},
        {"an unclosed list", "a: [1, 2\nb: 3\n", 0, "not well-formed YAML"},
        {"a tab as indentation", "a:\n\tb: 1\n", 0, "t.yaml:2:"},
        {"a NUL byte", "a: 1\nb\0: 2\n", 11, "t.yaml:2:2: a NUL byte"},
        {"latin1", "a: 1\nb: M\xfcller\n", 0, "t.yaml:2:5: not UTF-8 (byte 0xfc)"},
        {"a lone CR", "a: 1\rb: 2\n", 0, "a control character"},
        {"a C1 control", "a: x\xc2\x85\n", 0,
         "t.yaml:1:5: a control character (byte 0xc2); remove it"},
        {"a C1 control by escape", "a: \"\\x85\"\n", 0, "t.yaml:1:4: a control character"},
        {"a text turned around", "a: x\xe2\x80\xaey\n", 0,
         "t.yaml:1:5: a control character (byte 0xe2); remove it"},
        {"a NUL by escape", "a: \"\\0\"\n", 0, "t.yaml:1:4: a control character"},
        {"too deep", "a: [[[[[[[[[[1]]]]]]]]]]\n", 0, "nested too deeply"},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct yaml_node *root;
        size_t n = rows[i].n ? rows[i].n : strlen(rows[i].text);

        CHECK_EQ_(rows[i].what, yaml_open(cx, "t.yaml", rows[i].text, n, &root),
                  FAULT_FORMAT);
        if (strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: said \"%s\", expected \"%s\"", rows[i].what, cx_message(cx),
                     rows[i].says);
    }
}

static void test_yaml__size_is_bounded(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    const struct yaml_node *root;
    char *text = malloc(YAML_BYTES_MAX + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '#', YAML_BYTES_MAX + 1);
    assert_int_equal(yaml_open(cx, "t", text, YAML_BYTES_MAX + 1, &root), FAULT_BOUND);
    memcpy(text, "a: 1\n", 5);
    assert_int_equal(yaml_open(cx, "t", text, YAML_BYTES_MAX, &root), FAULT_NONE);
    memset(text, '[', YAML_BYTES_MAX);
    assert_int_equal(yaml_open(cx, "t", text, YAML_BYTES_MAX, &root), FAULT_FORMAT);
    free(text);
}

static void test_yaml__scalars_are_read_strictly(void **state)
{
    enum { WHOLE, REAL, YES, DATE };
    static const struct {
        int reader;
        const char *text;
        bool good;
        double value;
    } rows[] = {
        {WHOLE, "7", true, 7},          {WHOLE, "-7", true, -7},
        {WHOLE, "0", true, 0},          {WHOLE, "7x", false, 0},
        {WHOLE, "012", false, 0},       {WHOLE, "0x10", false, 0},
        {WHOLE, "+7", false, 0},        {WHOLE, "7.0", false, 0},
        {WHOLE, "\"7\"", false, 0},     {WHOLE, "1e3", false, 0},
        {WHOLE, "-0", false, 0},        {WHOLE, "9999999999999999999", false, 0},
        {WHOLE, "1_000", false, 0},     {WHOLE, "1000001", false, 0},
        {REAL, "12.5", true, 12.5},     {REAL, "-1e-3", true, -1e-3},
        {REAL, "0.1", true, 0.1},       {REAL, ".5", false, 0},
        {REAL, "5.", false, 0},         {REAL, "inf", false, 0},
        {REAL, ".inf", false, 0},       {REAL, "nan", false, 0},
        {REAL, "1e999", false, 0},      {REAL, "0x1p3", false, 0},
        {REAL, "1,5", false, 0},        {REAL, "007", false, 0},
        {YES, "yes", true, 1},          {YES, "no", true, 0},
        {YES, "true", true, 1},         {YES, "Yes", false, 0},
        {YES, "on", false, 0},          {YES, "1", false, 0},
        {YES, "~", false, 0},           {DATE, "1970-01-02", true, 1},
        {DATE, "2023-02-29", false, 0}, {DATE, "2024-02-29", true, 19782},
        {DATE, "24-02-29", false, 0},   {DATE, "2024-2-29", false, 0},
        {DATE, "2024/02/29", false, 0}, {DATE, "\"1970-01-01\"", true, 0},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[100];
        const struct yaml_node *node;
        double real = 0;
        int64_t whole = 0;
        int32_t days = 0;
        bool yes = false;
        enum fault fault;

        (void)snprintf(text, sizeof text, "a: %s\n", rows[i].text);
        node = yaml_get(open_ok(cx, text), "a");
        fault = rows[i].reader == WHOLE
                    ? yaml_whole(cx, node, "a", -1000000, 1000000, &whole)
                : rows[i].reader == REAL ? yaml_real(cx, node, "a", &real)
                : rows[i].reader == YES  ? yaml_yes(cx, node, "a", &yes)
                                         : yaml_date(cx, node, "a", &days);
        CHECK_EQ_(rows[i].text, fault, rows[i].good ? FAULT_NONE : FAULT_FORMAT);
        if (rows[i].good)
            CHECK_(rows[i].text, real + (double)whole + days + yes == rows[i].value);
        else
            CHECK_(rows[i].text, strncmp(cx_message(cx), "t.yaml:1:4: a: ", 15) == 0);
    }
}

static void test_yaml__words_stay_text(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    const struct yaml_node *root = open_ok(
        cx, "\xef\xbb\xbflevels: [NO, yes, 1, 0x1F, \"\", ~]\r\nother: \"a: b\"\r\n");
    const char **texts;
    size_t n;

    (void)state;
    assert_int_equal(
        yaml_texts(cx, yaml_get(root, "levels"), "levels", 5, 10, true, &texts, &n),
        FAULT_FORMAT);
    CHECK_OK_("levels", cx,
              yaml_texts(cx, yaml_get(root, "levels"), "levels", 6, 10, true, &texts, &n));
    assert_string_equal(texts[0], "NO");
    assert_string_equal(texts[2], "1");
    assert_string_equal(texts[4], "");
    assert_string_equal(texts[5], "~");
    assert_int_equal(
        yaml_texts(cx, yaml_get(root, "levels"), "levels", 6, 10, false, &texts, &n),
        FAULT_FORMAT);
    assert_int_equal(yaml_get(root, "other")->line, 2);
}

static void test_yaml__unknown_keys_get_a_suggestion(void **state)
{
    static const char *const words[] = {"dataset", "title", "variables"};
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);

    (void)state;
    assert_int_equal(
        yaml_check_map(cx, open_ok(cx, "title: x\ndatset: y\n"), "codebook", words, 3),
        FAULT_FORMAT);
    assert_string_equal(
        cx_message(cx),
        "t.yaml:2:1: codebook: unknown key `datset`, did you mean `dataset`?");
}

static void test_yaml__written_text_reads_back(void **state)
{
    static const char *const texts[] = {
        "male",
        "a b",
        " a",
        "a ",
        "",
        "yes",
        "-1",
        "1.50",
        "a: b",
        "a #b",
        "#a",
        "\"q\" \\",
        "two\nlines",
        "tab\there",
        "M\xc3\xbcller",
        "*x",
        "&x",
        "!x",
        "[a]",
        "{a}",
        "%x",
        "@",
        "`x`",
        "a,b",
        "\xe2\x80\xa8x",
        "\xef\xbb\xbf",
        "\xf0\x9f\x98\x80",
        "'",
        "- a",
        "?",
        "<1",
        ">=2",
        "|",
        "~",
        "null",
        "=",
        "...",
        "---",
    };
    AUTO_CX struct cx *cx = cx_new(1 << 22, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buffer b = buffer_new(cx, 4096);
        const char *back;

        buffer_text(&b, "a: [");
        yaml_put_text(&b, texts[i]);
        buffer_text(&b, ", end]\n");
        const char *doc = buffer_string(&b);
        CHECK_OK_(
            doc, cx,
            yaml_text(cx, yaml_get(open_ok(cx, doc), "a")->items[0], "a", 100, &back));
        if (strcmp(back, texts[i]) != 0)
            fail_msg("`%s` came back as `%s` from %s", texts[i], back, doc);
    }
}

/* Against strtod, bit for bit. */
static void test_decimal__equals_strtod(void **state)
{
    uint64_t x = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        char text[500];
        double value, got = 0, want;
        uint64_t bits;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        if (i % 3 == 0) {
            bits = x;
            memcpy(&value, &bits, 8);
            if (!isfinite(value) || (fabs(value) > 1e200 && i % 10 < 8))
                continue;
        } else if (i % 3 == 1) {
            value = (double)(int64_t)x / 1e12;
        } else { /* digits of any length, with a point anywhere */
            int n = snprintf(text, sizeof text, "%llu", (unsigned long long)(x >> x % 60));
            int k = (int)(x / 7 % (unsigned)(n + 1));

            memmove(text + k + 1, text + k, (size_t)(n - k + 1));
            text[k] = '.';
            value = 0;
        }
        if (i % 3 != 2)
            (void)(x / 11 % 2
                       ? snprintf(text, sizeof text, "%.*g", (int)(x / 23 % 26), value)
                       : snprintf(text, sizeof text, "%.*f", (int)(x / 23 % 18), value));
        if (strlen(text) > DECIMAL_BYTES_MAX)
            continue;
        want = strtod(text, NULL);
        if (isinf(want)) /* rounded up beyond the largest double: refused */
            CHECK_(text, !decimal_read(text, strlen(text), '.', &got));
        else if (!decimal_read(text, strlen(text), '.', &got) ||
                 memcmp(&got, &want, 8) != 0)
            fail_msg("%s: got %a, want %a", text, got, want);
    }
}

static void test_decimal__refuses_what_is_no_number(void **state)
{
    static const char *const bad[] = {"",    ".",    "-",     "+",   "1e",  "1e+", "e5",
                                      "1 ",  " 1",   "1,5",   "0x1", "inf", "nan", "1.2.3",
                                      "--1", "1e5x", "1e999", "1_0", "1d3", "NA"};
    double x;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_(bad[i], !decimal_read(bad[i], strlen(bad[i]), '.', &x));
    assert_true(decimal_read("1,5", 3, ',', &x) && x == 1.5);
    assert_false(decimal_read("1.5", 3, ',', &x));
    assert_true(decimal_read("12345678901234567890,5", 22, ',', &x) &&
                x == 12345678901234567890.5);
    assert_true(decimal_read("+.5", 3, '.', &x) && x == 0.5);
    assert_true(decimal_read("5.", 2, '.', &x) && x == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml__refuses_with_a_place),
        cmocka_unit_test(test_yaml__size_is_bounded),
        cmocka_unit_test(test_yaml__scalars_are_read_strictly),
        cmocka_unit_test(test_yaml__words_stay_text),
        cmocka_unit_test(test_yaml__unknown_keys_get_a_suggestion),
        cmocka_unit_test(test_yaml__written_text_reads_back),
        cmocka_unit_test(test_decimal__equals_strtod),
        cmocka_unit_test(test_decimal__refuses_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
