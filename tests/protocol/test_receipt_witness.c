/* Whether a receipt is witnessed: by at least two institutions beside each site, or it says
 * so. */
#include "protocol/checkpoint.h"
#include "protocol/receipt.h"
#include "tests/check.h"
#include "tests/protocol/receipt_draft.h"

enum { SITES = CONSORTIUM_SITES, NOBODY = -1 };

static struct cx *cx;
static struct consortium c;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 27, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    consortium_new(cx, &c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    consortium_free(&c);
    cx_free(&cx);
    return 0;
}

static const char *name_of(int site)
{
    const char *name = checkpoint_origin(cx, c.manifest->consortium,
                                         c.manifest->body->members[site]->name);

    assert_non_null(name);
    return name;
}

/* A line by `key` in the name of member `who`, after (or before) the record's time. */
static void cosign(struct draft *d, int site, int who, const struct keys *key,
                   int64_t after)
{
    const char *line, *note;

    CHECK_OK_("cosign", cx,
              cosignature_sign(cx, d->proofs[site].checkpoint, name_of(who), key,
                               (int64_t)d->records[site].time + after, &line));
    CHECK_OK_("add", cx, cosignature_add(cx, d->proofs[site].checkpoint, line, &note));
    d->proofs[site].checkpoint = (char *)(uintptr_t)note;
}

static void draft_all(struct draft *d, bool by_site)
{
    draft_new(d, cx, &c, by_site);
    draft_fill(d);
    draft_seal(d);
}

static void cosign_all(struct draft *d)
{
    for (int site = 0; site < SITES; site++)
        for (int who = 0; who < SITES; who++)
            if (who != site)
                cosign(d, site, who, c.node[who], 1000);
}

static void check(const char *row, struct draft *d, bool witnessed, const char *words)
{
    struct receipt_facts facts;

    CHECK_OK_(row, cx, receipt_verify(cx, &d->receipt, c.manifest->consortium, &facts));
    CHECK_EQ_(row, facts.witnessed, witnessed);
    const char *said = receipt_witness_words(cx, &facts);
    if (said == NULL || strcmp(said, words) != 0)
        fail_msg("%s: it says \"%s\", expected \"%s\"", row, said, words);
    CHECK_(row, strcmp(facts.statements[facts.n_statements - 1], words) == 0);
}

static void test_receipt_witness__two_others_for_each_site(void **state)
{
    static struct draft d;

    (void)state;
    for (int by_site = 0; by_site < 2; by_site++) {
        draft_all(&d, by_site);
        check(
            "as it was before there were witnesses", &d, false,
            "unwitnessed: fewer than 2 other institutions have cosigned the log of site_a");
        cosign_all(&d);
        check("each by the two others", &d, true, "witnessed by site_a, site_b, site_c");
    }
}

static void test_receipt_witness__what_does_not_count(void **state)
{
    static const struct {
        const char *what;
        int who, key; /* of the second cosignature of site_b's checkpoint */
        int64_t after;
        bool witnessed;
    } rows[] = {
        {"of the other site", 2, 2, 0, true},
        {"one is not enough", NOBODY, 0, 0, false},
        {"a site's own", 1, 1, 0, false},
        {"the same again", 0, 0, 5000, false},
        {"in another's name", 2, 0, 0, false},
        {"somewhat before the record, by a clock that is off", 2, 2, -100 * 1000, true},
        {"long before the record", 2, 2, -200 * 1000, false},
        {"a year later", 2, 2, 365 * 24 * 3600 * 1000LL, true},
    };
    static struct draft d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        draft_all(&d, false);
        for (int site = 0; site < SITES; site += 2)
            for (int who = 0; who < SITES; who++)
                if (who != site)
                    cosign(&d, site, who, c.node[who], 0);
        cosign(&d, 1, 0, c.node[0], 0);
        if (rows[i].who != NOBODY)
            cosign(&d, 1, rows[i].who, c.node[rows[i].key], rows[i].after);
        check(rows[i].what, &d, rows[i].witnessed,
              rows[i].witnessed
                  ? "witnessed by site_a, site_b, site_c"
                  : "unwitnessed: fewer than 2 other institutions have cosigned the log of "
                    "site_b");
    }
    draft_all(&d, false);
    cosign_all(&d);
    AUTO_KEYS struct keys *stranger = NULL;
    CHECK_OK_("key", cx, keys_new(cx, "node_signing", "x", &stranger));
    const char *line, *note;
    CHECK_OK_("cosign", cx,
              cosignature_sign(cx, d.proofs[1].checkpoint, "cohortium/0000000000000000/x",
                               stranger, c.now, &line));
    CHECK_OK_("add", cx, cosignature_add(cx, d.proofs[1].checkpoint, line, &note));
    d.proofs[1].checkpoint = (char *)(uintptr_t)note;
    check("a stranger's beside them", &d, true, "witnessed by site_a, site_b, site_c");
}

/* Newer proofs of the same records: the receipt holds as before, and is witnessed. A proof
 * of something else changes nothing, or breaks it. */
static void test_receipt_witness__newer_proofs(void **state)
{
    static struct draft d, fresh;
    Cohortium__LogProof claimed[SITES], *list[SITES];
    struct receipt_facts facts;

    (void)state;
    draft_all(&d, false);
    fresh = d; /* the same records and checkpoints */
    cosign_all(&fresh);
    for (int i = 0; i < SITES; i++) {
        claimed[i] = fresh.proofs[i];
        claimed[i].record = (ProtobufCBinaryData){0}; /* as WITNESS gives them */
        list[SITES - 1 - i] = &claimed[i];            /* in any order */
    }
    Cohortium__Receipt again = d.receipt;
    CHECK_OK_("take", cx, receipt_take_proofs(cx, &again, list, SITES));
    CHECK_OK_("holds", cx, receipt_verify(cx, &again, c.manifest->consortium, &facts));
    assert_true(facts.witnessed);
    CHECK_OK_("the old one, too", cx,
              receipt_verify(cx, &d.receipt, c.manifest->consortium, &facts));
    assert_false(facts.witnessed);

    again = d.receipt;
    claimed[0].index++; /* another record's */
    CHECK_OK_("take", cx, receipt_take_proofs(cx, &again, list, SITES));
    CHECK_OK_("holds", cx, receipt_verify(cx, &again, c.manifest->consortium, &facts));
    assert_false(facts.witnessed);
    claimed[0].index--;
    again = d.receipt;
    claimed[1].n_path = 0;
    CHECK_OK_("take", cx, receipt_take_proofs(cx, &again, list, SITES));
    CHECK_EQ_("a proof that proves nothing",
              receipt_verify(cx, &again, c.manifest->consortium, &facts), FAULT_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receipt_witness__two_others_for_each_site),
        cmocka_unit_test(test_receipt_witness__what_does_not_count),
        cmocka_unit_test(test_receipt_witness__newer_proofs),
    };
    return cmocka_run_group_tests_name("receipt_witness", tests, set_up, tear_down);
}
