/*
 * test_bent_receipt.c - a receipt with each field of each of its parts bent.
 *
 * As whoever holds the file could: the receipt's own fields, and each signed part under its
 * true signatures. As who signed a part could: that part signed again, the rest as it was.
 * One of the log's records with a new tree and a new checkpoint around it. None verifies,
 * but for what no number and no name hangs on: that is excused by name.
 */
#include "protocol/checkpoint.h"
#include "protocol/merkle.h"
#include "tests/check.h"
#include "tests/protocol/bend.h"
#include "tests/protocol/receipt_draft.h"

enum { LARGE = 5000, SITE = 1, MEMORY = 256 << 20 };

struct excuse {
    const char *part, *field, *why;
};

#define OF_ITS_SENDER "within a day and before the record, its sender's to say"
static const struct excuse excuses[] = {
    {"preflight", "stamp.issued_at", OF_ITS_SENDER},
    {"preflight", "stamp.expires_at", OF_ITS_SENDER},
    {"preflight", "policy",
     "the vaults made the session's policy of all of theirs: that one is in "
     "the release, which all have signed"},
    {"preflight", "ledger_head",
     "of its own ledger: another one is for its auditors to find"},
    {"preflight", "memory",
     "the sites judged together by all of theirs: each ACCEPT says what follows"},
    {"preflight", "by_site", "of no meaning to a pooled answer"},
    {"preflight", "rounds", "for people: how long it may take"},
    {"receipt", "software", "who wrote the file: words that nobody signs"},
    {"receipt", "preflights", "in any order: each names its site"},
    {"receipt", "accepts", "in any order: each names its site"},
    {"record", "time", "of its own clock, within the dates of all papers"},
    {0},
};
static bool used[sizeof excuses / sizeof *excuses];

static struct consortium c;
static struct cx *all_cx;
static struct draft d;

struct part {
    const char *name;
    const ProtobufCMessageDescriptor *d;
    enum envelope_kind kind;
    ProtobufCBinaryData *place; /* in the receipt */
    struct keys *const *keys;
    size_t n_keys;
};

struct reading {
    const struct part *part;
    bool raw;
    char name[32];
    struct bend_count count;
};

static bool is_excused(const char *part, const struct bend *b)
{
    for (size_t i = 0; excuses[i].part != NULL; i++) {
        size_t n = strlen(excuses[i].field);

        if (strcmp(excuses[i].part, part) != 0 ||
            strncmp(excuses[i].field, b->field, n) != 0 ||
            (b->field[n] != '\0' && b->field[n] != '.'))
            continue;
        used[i] = true;
        return true;
    }
    return false;
}

static void judge(struct reading *r, const struct bend *b,
                  const Cohortium__Receipt *receipt)
{
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    const char *name = bend_name(r->name, b);
    struct receipt_facts facts;

    assert_non_null(cx);
    r->count.tried[b->how]++;
    enum fault fault = receipt_verify(cx, receipt, c.manifest->consortium, &facts);
    if (fault == FAULT_NONE) {
        if (!is_excused(r->name, b))
            fail_msg("%s: believed: check the field, or excuse it here with a reason",
                     name);
        r->count.excused++;
        return;
    }
    if ((fault != FAULT_DENIED && fault != FAULT_INVALID) ||
        strncmp(cx_message(cx), "receipt: ", 9) != 0)
        fail_msg("%s: %s: %s", name, fault_name(fault), cx_message(cx));
    r->count.found++;
}

static void told_part(void *user, const struct bend *b, struct bytes body)
{
    struct reading *r = user;
    const struct part *p = r->part;
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    ProtobufCBinaryData was = *p->place;

    assert_non_null(cx);
    *p->place = PB_DATA(r->raw ? bend_rewrap(cx, PB_BYTES(was), body)
                               : bend_sign(cx, p->kind, body, p->keys, p->n_keys));
    judge(r, b, &d.receipt);
    *p->place = was;
}

static void play(const struct part *p, bool raw, struct bend_count *sum)
{
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    struct reading r = {.part = p, .raw = raw};
    struct envelope e;

    assert_non_null(cx);
    (void)snprintf(r.name, sizeof r.name, "%s%s", p->name, raw ? " raw" : "");
    CHECK_OK_(p->name, cx, envelope_open(cx, p->kind, PB_BYTES(*p->place), &e));
    bend_fields(p->d, e.body, LARGE, told_part, &r);
    bend_print(r.name, &r.count, "of no meaning to the answer");
    bend_add(sum, &r.count);
}

static void make_draft(bool by_site)
{
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    struct receipt_facts facts;

    assert_non_null(cx);
    draft_new(&d, all_cx, &c, by_site);
    draft_fill(&d);
    draft_seal(&d);
    CHECK_OK_("the true one", cx,
              receipt_verify(cx, &d.receipt, c.manifest->consortium, &facts));
}

static void test_bent__signed_parts(void **state)
{
    struct bend_count sum = {0};
    (void)state;

    for (int by_site = 0; by_site < 2; by_site++) {
        make_draft(by_site);
        Cohortium__Receipt *r = &d.receipt;
        const struct part parts[] = {
            {"manifest", &cohortium__manifest__descriptor, ENVELOPE_MANIFEST,
             &r->manifests[0], c.governor, CONSORTIUM_GOVERNORS},
            {"request", &cohortium__request__descriptor, ENVELOPE_REQUEST, &r->request,
             &c.researcher, 1},
            {"permit", &cohortium__permit__descriptor, ENVELOPE_PERMIT, &r->permits[0],
             c.officer, CONSORTIUM_SITES},
            {"preflight", &cohortium__preflight__descriptor, ENVELOPE_PREFLIGHT,
             &r->preflights[SITE], &c.node[SITE], 1},
            {"accept", &cohortium__accept__descriptor, ENVELOPE_ACCEPT, &r->accepts[SITE],
             &c.node[SITE], 1},
            {by_site ? "own release" : "release", &cohortium__release__descriptor,
             ENVELOPE_RELEASE, &r->releases[by_site ? SITE : 0],
             by_site ? &c.node[SITE] : c.node, by_site ? 1 : CONSORTIUM_SITES},
        };
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            if (parts[i].kind == ENVELOPE_ACCEPT && by_site && r->n_accepts == 0)
                continue;
            play(&parts[i], true, &sum);
            play(&parts[i], false, &sum);
        }
    }
    bend_print("parts", &sum, "of no meaning to the answer");
}

/* ---- the receipt's own fields ---- */

static void told_whole(void *user, const struct bend *b, struct bytes packed)
{
    struct reading *r = user;
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    Cohortium__Receipt *receipt;

    assert_non_null(cx);
    if (pb_unpack(cx, &cohortium__receipt__descriptor, packed, RECEIPT_MAX, &receipt) ==
        FAULT_NONE) {
        judge(r, b, receipt);
        return;
    }
    r->count.tried[b->how]++;
    r->count.found++;
}

static void test_bent__its_own_fields(void **state)
{
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    struct bytes packed;
    (void)state;

    assert_non_null(cx);
    for (int by_site = 0; by_site < 2; by_site++) {
        struct reading r = {.name = "receipt"};

        make_draft(by_site);
        CHECK_OK_("pack", cx, pb_pack(cx, &d.receipt.base, &packed));
        bend_fields(&cohortium__receipt__descriptor, packed, LARGE, told_whole, &r);
        size_t excused = r.count.excused;
        bend_wire(&cohortium__receipt__descriptor, packed, told_whole, &r);
        CHECK_EQ_("no other encoding", r.count.excused, excused);
        bend_print(r.name, &r.count, "of no meaning to the answer");
    }
}

/* ---- a record that its own site logs otherwise ---- */

static void told_record(void *user, const struct bend *b, struct bytes record)
{
    struct reading *r = user;
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);
    Cohortium__LogProof was = d.proofs[SITE];
    uint8_t leaf[32], root[32];
    const char *note;

    assert_non_null(cx);
    merkle_leaf(record, leaf);
    merkle_node(d.siblings[SITE], leaf, root);
    CHECK_OK_("checkpoint", cx,
              checkpoint_sign(cx,
                              checkpoint_origin(cx, c.manifest->consortium,
                                                c.manifest->body->members[SITE]->name),
                              2, root, c.node[SITE], &note));
    d.proofs[SITE].record = PB_DATA(record);
    d.proofs[SITE].checkpoint = (char *)(uintptr_t)note;
    judge(r, b, &d.receipt);
    d.proofs[SITE] = was;
}

static void test_bent__log_records(void **state)
{
    (void)state;

    for (int by_site = 0; by_site < 2; by_site++) {
        struct reading r = {.name = "record"};

        make_draft(by_site);
        struct bytes record = PB_BYTES(d.proofs[SITE].record);
        bend_fields(&cohortium__log_record__descriptor, record, LARGE, told_record, &r);
        size_t excused = r.count.excused;
        bend_wire(&cohortium__log_record__descriptor, record, told_record, &r);
        CHECK_EQ_("no other encoding", r.count.excused, excused);
        bend_print(r.name, &r.count, "of no meaning to the answer");
    }
}

static int make(void **state)
{
    (void)state;
    all_cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    assert_non_null(all_cx);
    consortium_new(all_cx, &c);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    for (size_t i = 0; excuses[i].part != NULL; i++)
        if (!used[i])
            fail_msg("%s %s is excused, and needs no excuse", excuses[i].part,
                     excuses[i].field);
    consortium_free(&c);
    cx_free(&all_cx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bent__signed_parts),
        cmocka_unit_test(test_bent__its_own_fields),
        cmocka_unit_test(test_bent__log_records),
    };

    return cmocka_run_group_tests(tests, make, unmake);
}
