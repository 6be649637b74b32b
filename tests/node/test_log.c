/* What a node tells its operator is one line a time, and what was lost is told later. */
#include "node/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "protocol/base/cx.h"
#include "tests/node/scratch.h"

enum { WORDS = 8192, RESERVED = 64 * 1024, BLOCK = 512, STAMP = 19 };

/* Runs `work` with a new file as its stderr, in a process of its own; then reads the file.
 */
static void logged(const char *path, void (*work)(void), char words[WORDS])
{
    int status = 0;

    (void)fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
            _exit(1);
        log_open("vault");
        work();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    words[fread(words, 1, WORDS - 1, f)] = '\0';
    (void)fclose(f);
}

static size_t count_of(const char *words, const char *part)
{
    size_t n = 0;

    for (const char *p = words; (p = strstr(p, part)) != NULL; p += strlen(part))
        n++;
    return n;
}

static void two_lines(void)
{
    log_notice("first %d", 1);
    log_warning("second\n%s\x1b[2J", "third");
}

static void test_log__a_message_is_one_line(void **state)
{
    struct scratch s;
    char words[WORDS];

    (void)state;
    scratch_new(&s);
    logged(s.db, two_lines, words);
    CHECK_EQ_("a line each", count_of(words, "\n"), 2);
    CHECK_("a notice", strstr(words, "Z vault first 1\n") != NULL);
    CHECK_("a warning, its control characters gone",
           strstr(words, "Z vault WARNING second third [2J\n") != NULL);
    scratch_free(&s);
}

static void test_log__room_is_kept_for_what_comes(void **state)
{
    struct scratch s;
    struct stat st;
    char words[WORDS];

    (void)state;
    scratch_new(&s);
    logged(s.db, two_lines, words);
    assert_int_equal(stat(s.db, &st), 0);
    CHECK_("the file is as long as its lines", (size_t)st.st_size == strlen(words));
    CHECK_("the disk has more for it", (long long)st.st_blocks * BLOCK >= RESERVED);
    scratch_free(&s);
}

/* As a full disk is: what would make the file longer fails. */
static void limit_file(rlim_t bytes)
{
    struct rlimit r = {bytes, RLIM_INFINITY};

    if (setrlimit(RLIMIT_FSIZE, &r) != 0)
        _exit(1);
}

static void lose_three(void)
{
    struct stat st;

    (void)signal(SIGXFSZ, SIG_IGN);
    log_notice("there is room");
    if (fstat(STDERR_FILENO, &st) != 0)
        _exit(1);
    limit_file((rlim_t)st.st_size + 5); /* the first one is cut after five letters */
    log_notice("lost one");
    log_notice("lost two");
    log_notice("lost three");
    limit_file(RLIM_INFINITY);
    log_notice("room again");
    log_notice("and on");
}

static void test_log__lost_lines_are_told(void **state)
{
    struct scratch s;
    char words[WORDS];

    (void)state;
    scratch_new(&s);
    logged(s.db, lose_three, words);
    CHECK_("what was before", strstr(words, "there is room\n") != NULL);
    CHECK_EQ_("none of the lost is there", count_of(words, "lost "), 0);
    CHECK_EQ_("they are told once", count_of(words, "could not be written"), 1);
    const char *told = strstr(words, "Z vault WARNING 3 lines before this one");
    CHECK_("with their number, on a line of its own",
           told != NULL && told - words > STAMP && told[-STAMP - 1] == '\n');
    CHECK_("and what comes after", strstr(words, "room again\n") != NULL);
    CHECK_("and further on", strstr(words, "and on\n") != NULL);
    scratch_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__a_message_is_one_line),
        cmocka_unit_test(test_log__room_is_kept_for_what_comes),
        cmocka_unit_test(test_log__lost_lines_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
