/* One version answers: complete, sound and the newest; what is damaged says so and stands
 * aside. */
#include "node/vault/store.h"

#include "tests/node/dataset_fixture.h"

enum { ROWS = 500 };

struct node {
    char path[64], file[96];
    int fd; /* its data folder */
    struct cx *cx;
    struct db *db;
    struct store *store;
    struct bytes codebook;
};

static void start(struct node *n)
{
    CHECK_OK_("db", n->cx, db_open(n->cx, n->file, &n->db));
    CHECK_OK_("store", n->cx, store_open(n->cx, n->db, n->fd, &n->store));
}

static void stop(struct node *n)
{
    store_close(&n->store);
    db_close(&n->db);
}

static enum fault put_codebook(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct node *n = user;

    return store_put_codebook(cx, sql, n->codebook, bytes_of("envelope", 8));
}

static struct node make(void)
{
    struct node n = {.cx = cx_new(1 << 28, CX_NO_DEADLINE)};
    int parent = fixture_folder(n.path);

    n.fd = fixture_subfolder(parent, "data");
    (void)close(parent);
    (void)snprintf(n.file, sizeof n.file, "%s/vault.db", n.path);
    n.codebook = fixture_codebook(n.cx);
    start(&n);
    CHECK_OK_("codebook", n.cx, db_write(n.cx, n.db, put_codebook, &n));
    return n;
}

static void end(struct node *n)
{
    char command[128];

    stop(n);
    (void)close(n->fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", n->path);
    assert_int_equal(system(command), 0);
    cx_free(&n->cx);
}

static void stage(struct node *n, const char *staging, uint64_t seed,
                  struct fixture_rows *ret)
{
    int sub = fixture_subfolder(n->fd, staging);

    *ret = fixture_make(n->cx, ROWS, 2, seed);
    fixture_write(n->cx, sub, ret);
    (void)close(sub);
}

static void publish(struct node *n, uint64_t seed, uint8_t version[16])
{
    struct fixture_rows f;

    stage(n, "staging-1", seed, &f);
    CHECK_OK_("publish", n->cx,
              store_publish(n->cx, n->store, "staging-1", "lung", n->codebook, f.rows,
                            f.patients, NULL, NULL, version));
}

static void check_answers(const char *row, struct node *n, const uint8_t version[16])
{
    AUTO_DATASET struct dataset *d = NULL;

    CHECK_OK_(row, n->cx, store_current(n->cx, n->store, "lung", &d));
    CHECK_(row, memcmp(d->version, version, 16) == 0);
}

static size_t folders(struct node *n)
{
    char command[160], text[32] = "";

    (void)snprintf(command, sizeof command, "ls %s/data | wc -l", n->path);
    FILE *f = popen(command, "r");

    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    (void)pclose(f);
    return (size_t)atoi(text);
}

static void damage(struct node *n, const uint8_t version[16], const char *what)
{
    char folder[DATASET_FOLDER], command[256];

    dataset_folder(version, folder);
    (void)snprintf(command, sizeof command, "cd %s/data/%s && chmod 600 *.col && %s",
                   n->path, folder, what);
    assert_int_equal(system(command), 0);
}

static void test_store__the_newest_answers(void **state)
{
    struct node n = make();
    uint8_t first[16], second[16];
    struct dataset *pinned;
    struct store_row *rows;
    size_t count;

    (void)state;
    CHECK_EQ_("none yet", store_current(n.cx, n.store, "lung", &pinned), FAULT_MISSING);
    publish(&n, 1, first);
    check_answers("the first", &n, first);
    CHECK_OK_("pin", n.cx, store_current(n.cx, n.store, "lung", &pinned));
    publish(&n, 2, second);
    check_answers("the second", &n, second);
    CHECK_EQ_("the pinned one goes on",
              ((const uint8_t *)pinned->columns[F_AGE].values)[0] < 121, true);
    dataset_release(&pinned);
    CHECK_OK_("the old one by its version", n.cx,
              store_version(n.cx, n.store, "lung", first, &pinned));
    CHECK_EQ_("is the old one", memcmp(pinned->version, first, 16), 0);
    dataset_release(&pinned);
    stop(&n);
    start(&n);
    check_answers("after a restart", &n, second);
    CHECK_OK_("old after a restart", n.cx,
              store_version(n.cx, n.store, "lung", first, &pinned));
    dataset_release(&pinned);
    CHECK_OK_("list", n.cx, store_list(n.cx, n.store, true, &rows, &count));
    CHECK_EQ_("two", count, 2);
    assert_string_equal(rows[0].state, "answers");
    assert_string_equal(rows[1].state, "superseded");
    assert_string_equal(rows[0].title, "Lung");
    CHECK_OK_("list", n.cx, store_list(n.cx, n.store, false, &rows, &count));
    CHECK_EQ_("without old ones", count, 1);
    CHECK_EQ_("another name", store_current(n.cx, n.store, "colon", &pinned),
              FAULT_MISSING);
    CHECK_("says what there is", strstr(cx_message(n.cx), "it has: lung") != NULL);
    end(&n);
}

static enum fault refuse(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)sql;
    (void)user;
    return cx_fail(cx, FAULT_REFUSED, "the log is full");
}

static void test_store__what_cannot_be_published_changes_nothing(void **state)
{
    static const struct {
        const char *what, *name;
        int more_rows;
        db_work *work;
        const char *spoil; /* done to the staging folder */
        enum fault want;
    } rows[] = {
        {"fine", "lung", 0, NULL, "true", FAULT_NONE},
        {"another dataset's name", "colon", 0, NULL, "true", FAULT_INVALID},
        {"a row less than said", "lung", 1, NULL, "true", FAULT_CONFLICT},
        {"no log record", "lung", 0, refuse, "true", FAULT_REFUSED},
        {"no patients", "lung", 0, NULL, "rm -f _patients.col", FAULT_STORAGE},
        {"cut short", "lung", 0, NULL, "truncate -s -8 bmi.col", FAULT_STORAGE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct node n = make();
        struct fixture_rows f;
        uint8_t before[16], version[16];
        char command[256];

        publish(&n, 1, before);
        stage(&n, "staging-2", 2, &f);
        (void)snprintf(command, sizeof command, "cd %s/data/staging-2 && chmod 600 * && %s",
                       n.path, rows[i].spoil);
        assert_int_equal(system(command), 0);
        CHECK_EQ_(rows[i].what,
                  store_publish(n.cx, n.store, "staging-2", rows[i].name, n.codebook,
                                f.rows + (size_t)rows[i].more_rows, f.patients,
                                rows[i].work, NULL, version),
                  rows[i].want);
        check_answers(rows[i].what, &n, rows[i].want == FAULT_NONE ? version : before);
        stop(&n);
        start(&n);
        check_answers(rows[i].what, &n, rows[i].want == FAULT_NONE ? version : before);
        CHECK_EQ_("folders", folders(&n), rows[i].want == FAULT_NONE ? 2 : 1);
        end(&n);
    }
}

/* What a crash leaves: a staging folder, a moved folder without a row, a dropped one. */
static void test_store__leftovers_are_swept(void **state)
{
    struct node n = make();
    uint8_t version[16], lost[16] = {9};
    struct fixture_rows f;
    char folder[DATASET_FOLDER];

    (void)state;
    publish(&n, 1, version);
    stage(&n, "staging-dead", 2, &f);
    dataset_folder(lost, folder);
    stage(&n, folder, 3, &f);
    (void)close(fixture_subfolder(n.fd, "notes"));
    CHECK_EQ_("before", folders(&n), 4);
    stop(&n);
    start(&n);
    CHECK_EQ_("its own and a stranger's", folders(&n), 2);
    CHECK_EQ_("the stranger's stays", faccessat(n.fd, "notes", F_OK, 0), 0);
    check_answers("and the dataset answers", &n, version);
    end(&n);
}

static void test_store__a_damaged_version_is_withdrawn(void **state)
{
    static const struct {
        const char *what, *command;
        bool damaged;
    } rows[] = {
        {"untouched", "true", false},
        {"a bit", "printf x | dd of=age.col bs=1 seek=4200 conv=notrunc status=none", true},
        {"cut short", "truncate -s 4000 dx.col", true},
        {"a column lost", "rm -f dead.col", true},
        {"all lost", "rm -f *.col", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int running = 0; running < 2; running++) {
            struct node n = make();
            struct dataset *d = NULL;
            uint8_t version[16], next[16];
            size_t withdrawn = 0;

            publish(&n, 1, version);
            if (running == 0)
                stop(&n);
            damage(&n, version, rows[i].command);
            if (running == 0)
                start(&n);
            else
                CHECK_OK_(rows[i].what, n.cx, store_check(n.cx, n.store, &withdrawn));
            CHECK_EQ_(rows[i].what, withdrawn, running && rows[i].damaged);
            CHECK_EQ_(rows[i].what, store_current(n.cx, n.store, "lung", &d),
                      rows[i].damaged ? FAULT_STORAGE : FAULT_NONE);
            if (rows[i].damaged)
                CHECK_(rows[i].what,
                       strstr(cx_message(n.cx), "lung is withdrawn since ") != NULL);
            dataset_release(&d);
            publish(&n, 2, next);
            check_answers("a new import mends it", &n, next);
            end(&n);
        }
}

static void test_store__a_dropped_dataset_is_gone(void **state)
{
    struct node n = make();
    uint8_t version[16], again[16];
    struct dataset *held, *d;

    (void)state;
    CHECK_EQ_("nothing to drop", store_drop(n.cx, n.store, "lung", NULL, NULL),
              FAULT_MISSING);
    publish(&n, 1, version);
    CHECK_OK_("hold", n.cx, store_current(n.cx, n.store, "lung", &held));
    CHECK_EQ_("not logged, not dropped", store_drop(n.cx, n.store, "lung", refuse, NULL),
              FAULT_REFUSED);
    check_answers("still there", &n, version);
    CHECK_OK_("drop", n.cx, store_drop(n.cx, n.store, "lung", NULL, NULL));
    CHECK_EQ_("no folder", folders(&n), 0);
    CHECK_EQ_("gone", store_current(n.cx, n.store, "lung", &d), FAULT_MISSING);
    CHECK_EQ_("by version too", store_version(n.cx, n.store, "lung", version, &d),
              FAULT_MISSING);
    CHECK_EQ_("whoever holds it reads on", held->patients.ordinal[0], 0);
    dataset_release(&held);
    CHECK_EQ_("once", store_drop(n.cx, n.store, "lung", NULL, NULL), FAULT_MISSING);
    publish(&n, 1, again);
    check_answers("imported again", &n, again);
    end(&n);
}

static void test_store__codebooks_are_found_by_digest(void **state)
{
    struct node n = make();
    struct codebook *cb;
    struct bytes packed;
    uint8_t other[32] = {1};

    (void)state;
    CHECK_OK_("open", n.cx, codebook_open(n.cx, n.codebook, &cb));
    CHECK_OK_("newest", n.cx, store_codebook(n.cx, n.store, "lung", NULL, &packed));
    CHECK_("the same bytes", bytes_equal(packed, n.codebook));
    CHECK_OK_("digest", n.cx, store_codebook(n.cx, n.store, "lung", cb->digest, &packed));
    CHECK_EQ_("another digest", store_codebook(n.cx, n.store, "lung", other, &packed),
              FAULT_MISSING);
    CHECK_EQ_("another name", store_codebook(n.cx, n.store, "colon", NULL, &packed),
              FAULT_MISSING);
    n.codebook.n--;
    CHECK_EQ_("cut short", db_write(n.cx, n.db, put_codebook, &n), FAULT_FORMAT);
    end(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store__the_newest_answers),
        cmocka_unit_test(test_store__what_cannot_be_published_changes_nothing),
        cmocka_unit_test(test_store__leftovers_are_swept),
        cmocka_unit_test(test_store__a_damaged_version_is_withdrawn),
        cmocka_unit_test(test_store__a_dropped_dataset_is_gone),
        cmocka_unit_test(test_store__codebooks_are_found_by_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
