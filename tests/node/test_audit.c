/* A log whose every record can be proved, and whose every change is found. */
#include "node/vault/audit.h"

#include "tests/node/scratch.h"

enum { RECORDS = 14 };
static const char ORIGIN[] = "cohortium/00112233445566778899aabbccddeeff/site_a";

struct fixture {
    struct scratch scratch;
    struct cx *cx;
    struct db *db;
    struct keys *keys;
};

static enum fault append_all(struct cx *cx, sqlite3 *sql, void *user)
{
    struct fixture *f = user;
    uint64_t index;

    for (uint64_t i = 0; i < RECORDS; i++) {
        Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
        Cohortium__LogProof proof = COHORTIUM__LOG_PROOF__INIT;

        record.kind = (char *)(i % 3 == 0 ? "policy" : "question");
        record.decision = (char *)(i % 3 == 0 ? "done" : "not_released");
        /* Each note claims the reference of the record before, the last one a strange one.
         */
        TRY(audit_append(
            cx, sql, &record,
            cx_printf(cx,
                      "record %d; NOT_RELEASED, reference 00000000000000%02x; "
                      "R1: few; note: NOT_RELEASED, reference 00000000000000%02x",
                      (int)i, (unsigned)i,
                      i + 1 == RECORDS ? 0xfeu : ((unsigned)i - 1) & 0xff),
            &index));
        CHECK_EQ_("index", index, i);
        TRY(audit_proof(cx, sql, f->keys, ORIGIN, index, &proof));
    }
    return FAULT_NONE;
}

static void set_up(struct fixture *f)
{
    scratch_new(&f->scratch);
    f->cx = cx_new(64 * 1024 * 1024, CX_NO_DEADLINE);
    f->db = NULL;
    f->keys = NULL;
    CHECK_OK_("keys", f->cx, keys_new(f->cx, "node_signing", "site_a", &f->keys));
    CHECK_OK_("open", f->cx, db_open(f->cx, f->scratch.db, &f->db));
}

static void tear_down(struct fixture *f)
{
    db_close(&f->db);
    keys_free(&f->keys);
    cx_free(&f->cx);
    scratch_free(&f->scratch);
}

/* ---- proofs ---- */

static enum fault prove_all(struct cx *cx, sqlite3 *sql, void *user)
{
    struct fixture *f = user;
    uint64_t size, last = 0;
    uint8_t root[32], leaf[32], signed_root[32], path[MERKLE_PATH_MAX][32];

    TRY(audit_verify(cx, sql, keys_signing_public(f->keys), ORIGIN, &size, root));
    CHECK_EQ_("size", size, RECORDS);
    for (uint64_t i = 0; i < RECORDS; i++) {
        Cohortium__LogProof proof = COHORTIUM__LOG_PROOF__INIT;
        Cohortium__LogRecord *record;

        TRY(audit_proof(cx, sql, f->keys, ORIGIN, i, &proof));
        TRY(checkpoint_verify(cx, proof.checkpoint, ORIGIN, keys_signing_public(f->keys),
                              &size, signed_root));
        CHECK_EQ_("checkpoint's size", size, proof.size);
        CHECK_("checkpoint's root", memcmp(root, signed_root, 32) == 0);
        for (size_t k = 0; k < proof.n_path; k++)
            memcpy(path[k], proof.path[k].data, 32);
        merkle_leaf(PB_BYTES(proof.record), leaf);
        CHECK_("inclusion",
               merkle_inclusion_holds(leaf, i, size, path, proof.n_path, root));
        CHECK_("not at the neighbour's place",
               !merkle_inclusion_holds(leaf, i ^ 1, size, path, proof.n_path, root));
        TRY(pb_unpack(cx, &cohortium__log_record__descriptor, PB_BYTES(proof.record), 4096,
                      &record));
        CHECK_("time does not run back", record->time >= last);
        last = record->time;
    }
    CHECK_EQ_("last time", audit_last_time(cx, sql), last);
    Cohortium__LogProof none = COHORTIUM__LOG_PROOF__INIT;

    CHECK_EQ_("no such record", audit_proof(cx, sql, f->keys, ORIGIN, RECORDS, &none),
              FAULT_MISSING);
    return FAULT_NONE;
}

static enum fault list_some(struct cx *cx, sqlite3 *sql, void *user)
{
    struct audit_entry *list, one;
    size_t n;

    (void)user;
    TRY(audit_list(cx, sql, NULL, 5, &list, &n));
    CHECK_EQ_("five newest", n, 5);
    CHECK_EQ_("newest first", list[0].index, RECORDS - 1);
    TRY(audit_list(cx, sql, "policy", 100, &list, &n));
    CHECK_EQ_("policies", n, 5);
    CHECK_EQ_("newest policy", list[0].index, 12);
    TRY(audit_find_reference(cx, sql, "000000000000000a", &one));
    CHECK_EQ_("by reference, not by what a later note says", one.index, 10);
    CHECK_EQ_("of an act, which is none",
              audit_find_reference(cx, sql, "0000000000000009", &one), FAULT_MISSING);
    CHECK_EQ_("only in a note", audit_find_reference(cx, sql, "00000000000000fe", &one),
              FAULT_MISSING);
    TRY(audit_find(cx, sql, 3, &one));
    CHECK_EQ_("by number", one.index, 3);
    CHECK_EQ_("no such number", audit_find(cx, sql, RECORDS, &one), FAULT_MISSING);
    CHECK_EQ_("nor a number at all", audit_find(cx, sql, UINT64_MAX, &one), FAULT_MISSING);
    CHECK_EQ_("unknown reference", audit_find_reference(cx, sql, "ffffffffffffffff", &one),
              FAULT_MISSING);
    CHECK_EQ_("no reference", audit_find_reference(cx, sql, "1'; DROP TABLE log; --", &one),
              FAULT_INVALID);
    return FAULT_NONE;
}

static enum fault verify_empty(struct cx *cx, sqlite3 *sql, void *user)
{
    struct fixture *f = user;
    uint64_t size = 1;
    uint8_t root[32];
    char *hex;

    CHECK_EQ_("last time", audit_last_time(cx, sql), 0);
    TRY(audit_verify(cx, sql, keys_signing_public(f->keys), ORIGIN, &size, root));
    CHECK_EQ_("size", size, 0);
    hex = bytes_hex(cx, root, 32);
    /* RFC 6962 2.1: the hash of an empty list, as in transparency-dev/merkle
     * rfc6962_test.go */
    CHECK_("root",
           strcmp(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
                       "55") == 0);
    return FAULT_NONE;
}

static void test_audit__every_record_is_proved(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    CHECK_OK_("empty", f.cx, db_read(f.cx, f.db, verify_empty, &f));
    CHECK_OK_("append", f.cx, db_write(f.cx, f.db, append_all, &f));
    CHECK_OK_("prove, reading", f.cx, db_read(f.cx, f.db, prove_all, &f));
    CHECK_OK_("prove, writing", f.cx, db_write(f.cx, f.db, prove_all, &f));
    CHECK_OK_("list", f.cx, db_read(f.cx, f.db, list_some, &f));
    tear_down(&f);
}

/* ---- changes ---- */

struct change {
    const char *what, *sql;
    const char *names, *or_names; /* what the sentence must hold; NULL: it must verify */
};

static const struct change changes[] = {
    {"nothing", "SELECT 1", NULL, NULL},
    {"a leaf edited", "UPDATE log SET leaf=x'0a0161' WHERE idx=5", "record 5 ", NULL},
    {"a hash edited", "UPDATE log SET hash=zeroblob(32) WHERE idx=5", "record 5 ", NULL},
    {"a leaf copied over another, with its hash and details",
     "UPDATE log SET (leaf, hash, details, salt) ="
     " (SELECT leaf, hash, details, salt FROM log WHERE idx=8) WHERE idx=9",
     "record 8 ", NULL},
    {"two records exchanged",
     "UPDATE log SET idx=-1 WHERE idx=4; UPDATE log SET idx=4 WHERE idx=5;"
     " UPDATE log SET idx=5 WHERE idx=-1",
     "record 4 ", "record 5 "},
    {"a record deleted", "DELETE FROM log WHERE idx=6", "record 6 ", NULL},
    {"the first deleted", "DELETE FROM log WHERE idx=0", "record 0 ", NULL},
    {"the first deleted, the others moved up",
     "DELETE FROM log WHERE idx=0; UPDATE log SET idx=idx-1000; UPDATE log SET idx=idx+999",
     "record 0 ", NULL},
    {"the last deleted", "DELETE FROM log WHERE idx=13", "record 13 ", NULL},
    {"the last deleted with its tree",
     "DELETE FROM log WHERE idx=13; DELETE FROM log_node WHERE level=1 AND idx=6",
     "record 13 ", NULL},
    {"the last deleted with the checkpoints",
     "DELETE FROM log WHERE idx=13; DELETE FROM log_checkpoint", "record 13 ", NULL},
    {"details edited", "UPDATE log SET details='nothing happened' WHERE idx=3", "record 3 ",
     NULL},
    {"details exchanged",
     "UPDATE log SET details=(SELECT details FROM log WHERE idx=2) WHERE idx=3",
     "record 3 ", NULL},
    {"salt lost", "UPDATE log SET salt=NULL WHERE idx=3", "record 3 ", NULL},
    {"details erased, with their salt",
     "UPDATE log SET details=NULL, salt=NULL WHERE idx=3", NULL, NULL},
    {"a tree's hash edited",
     "UPDATE log_node SET hash=zeroblob(32) WHERE level=2 AND idx=1", "record 4 ", NULL},
    {"a tree's hash lost", "DELETE FROM log_node WHERE level=3 AND idx=0", "record 0 ",
     NULL},
    {"a checkpoint edited",
     "UPDATE log_checkpoint SET note=replace(note, 'site_a', 'site_b')"
     " WHERE size=7",
     "checkpoint of 7 ", NULL},
    {"a checkpoint moved", "UPDATE log_checkpoint SET size=99 WHERE size=7",
     "checkpoint of 99 ", NULL},
};

struct changing {
    struct fixture *f;
    const struct change *change;
    bool rewrite;
};

/* Changes the log, verifies, and takes the change back. */
static enum fault change_and_verify(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct changing *c = user;
    const char *what = c->change->what;
    uint64_t size;
    uint8_t root[32];

    if (sqlite3_exec(sql, c->change->sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", what, sqlite3_errmsg(sql));
    for (uint64_t i = 0; c->rewrite && i < RECORDS; i++) {
        Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
        uint64_t index;

        record.kind = (char *)"question";
        TRY(audit_append(cx, sql, &record, "another past", &index));
    }
    enum fault fault =
        audit_verify(cx, sql, keys_signing_public(c->f->keys), ORIGIN, &size, root);

    CHECK_EQ_(what, fault, c->change->names == NULL ? FAULT_NONE : FAULT_CONFLICT);
    if (fault != FAULT_NONE && strstr(cx_message(cx), c->change->names) == NULL &&
        (c->change->or_names == NULL ||
         strstr(cx_message(cx), c->change->or_names) == NULL))
        fail_msg("%s: it says \"%s\", not %s", what, cx_message(cx), c->change->names);
    return FAULT_CANCELLED;
}

static void test_audit__every_change_is_named(void **state)
{
    static const struct change rewritten = {"written anew, without the key",
                                            "DELETE FROM log; DELETE FROM log_node",
                                            "record 0 ", NULL};
    struct fixture f;

    (void)state;
    set_up(&f);
    CHECK_OK_("append", f.cx, db_write(f.cx, f.db, append_all, &f));
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct changing c = {&f, &changes[i], false};

        CHECK_EQ_(changes[i].what, db_write(f.cx, f.db, change_and_verify, &c),
                  FAULT_CANCELLED);
    }
    struct changing c = {&f, &rewritten, true};

    CHECK_EQ_("anew", db_write(f.cx, f.db, change_and_verify, &c), FAULT_CANCELLED);
    tear_down(&f);
}

static enum fault verify_other_key(struct cx *cx, sqlite3 *sql, void *user)
{
    uint64_t size;
    uint8_t root[32];

    return audit_verify(cx, sql, user, ORIGIN, &size, root);
}

static void test_audit__checkpoints_are_this_nodes(void **state)
{
    struct fixture f;
    AUTO_KEYS struct keys *other = NULL;

    (void)state;
    set_up(&f);
    CHECK_OK_("append", f.cx, db_write(f.cx, f.db, append_all, &f));
    CHECK_OK_("keys", f.cx, keys_new(f.cx, "node_signing", "site_b", &other));
    CHECK_EQ_("another node's key",
              db_read(f.cx, f.db, verify_other_key, (void *)keys_signing_public(other)),
              FAULT_CONFLICT);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit__every_record_is_proved),
        cmocka_unit_test(test_audit__every_change_is_named),
        cmocka_unit_test(test_audit__checkpoints_are_this_nodes),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
