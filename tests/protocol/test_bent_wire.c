/*
 * test_bent_wire.c - every message of the schema has one encoding, and no other is taken.
 *
 * The messages are found from a few by the descriptors of their fields; the schema's own
 * text says whether that were all.
 */
#include <ctype.h>

#include "protocol/cohortium.pb-c.h"
#include "tests/check.h"
#include "tests/protocol/bend.h"

enum { KINDS_MAX = 256, BOUND = 64 << 20, LARGE = 5000 };

/* What no other message holds as a field. One that is missing here is named by the test. */
#define KIND(name) &cohortium__##name##__descriptor
static const ProtobufCMessageDescriptor *const roots[] = {
    KIND(envelope),
    KIND(manifest),
    KIND(card),
    KIND(credential),
    KIND(permit),
    KIND(revocation),
    KIND(review),
    KIND(revocations_call),
    KIND(sites_call),

    KIND(codebook),
    KIND(request),
    KIND(preflight),
    KIND(accept),
    KIND(proposal),
    KIND(shared_input),
    KIND(vector),
    KIND(masked_tally),
    KIND(release),
    KIND(log_record),
    KIND(receipt),
    KIND(begin_call),
    KIND(begin_reply),
    KIND(step_call),
    KIND(step_reply),
    KIND(manifest_call),
    KIND(manifest_reply),
    KIND(manifest_offer),
    KIND(catalog_reply),
    KIND(sites_reply),
    KIND(codebook_call),
    KIND(codebook_reply),
    KIND(trouble),
    KIND(progress),
    KIND(later_call),
    KIND(later_reply),
    KIND(later_store),
    KIND(add_checkpoint_call),
    KIND(prove_call),
    KIND(prove_reply),
    KIND(witness_call),
    KIND(witness_reply),
    KIND(held_call),
    KIND(round_call),
    KIND(round_reply),
    KIND(round_done_call),
    KIND(round_done_reply),
    KIND(peer_holds),
    KIND(admin_call),
    KIND(admin_reply),
    KIND(key_file),
};

static const ProtobufCMessageDescriptor *kinds[KINDS_MAX];
static size_t n_kinds;

static void learn(const ProtobufCMessageDescriptor *d)
{
    for (size_t i = 0; i < n_kinds; i++)
        if (kinds[i] == d)
            return;
    assert_true(n_kinds < KINDS_MAX);
    kinds[n_kinds++] = d;
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            learn(d->fields[i].descriptor);
}

static int learn_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        learn(roots[i]);
    return 0;
}

/* ---- the schema's text ---- */

static bool is_known(const char *name)
{
    for (size_t i = 0; i < n_kinds; i++)
        if (strcmp(kinds[i]->short_name, name) == 0)
            return true;
    return false;
}

static void test_bent__every_message_is_here(void **state)
{
    const char *source = getenv("COHORTIUM_SOURCE");
    char path[4096], line[512], name[64];
    size_t n = 0;
    (void)state;

    (void)snprintf(path, sizeof path, "%s/protocol/cohortium.proto",
                   source != NULL ? source : ".");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "message %63[A-Za-z0-9]", name) != 1)
            continue;
        n++;
        if (!is_known(name))
            fail_msg("message %s is bent by nobody: add it to this test's roots", name);
    }
    (void)fclose(f);
    CHECK_EQ_("no message but the schema's", n_kinds, n);
}

/* ---- bending ---- */

struct reading {
    const ProtobufCMessageDescriptor *d;
    struct bytes honest;
    struct bend_count count;
};

static enum fault read_back(struct reading *r, struct bytes packed, char *message,
                            size_t size)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    void *m;

    assert_non_null(cx);
    enum fault fault = pb_unpack(cx, r->d, packed, BOUND, &m);
    (void)snprintf(message, size, "%s", fault != FAULT_NONE ? cx_message(cx) : "");
    return fault;
}

/* No bent encoding is read. */
static void told_wire(void *user, const struct bend *b, struct bytes packed)
{
    struct reading *r = user;
    char message[512];

    r->count.tried[b->how]++;
    enum fault fault = read_back(r, packed, message, sizeof message);
    if (fault != FAULT_FORMAT || message[0] == '\0')
        fail_msg("%s: %s, want %s", bend_name(r->d->short_name, b), fault_name(fault),
                 fault_name(FAULT_FORMAT));
    r->count.found++;
}

/* A bent field makes another message, or one that no field may hold: never the same bytes.
 */
static void told_field(void *user, const struct bend *b, struct bytes packed)
{
    struct reading *r = user;
    char message[512];

    r->count.tried[b->how]++;
    CHECK_(bend_name(r->d->short_name, b), !bytes_equal(packed, r->honest));
    enum fault fault = read_back(r, packed, message, sizeof message);
    bool unreadable =
        strcmp(b->what, "no UTF-8") == 0 || strcmp(b->what, "a control character") == 0 ||
        strcmp(b->what, "no number") == 0 || strcmp(b->what, "no value of its kind") == 0;
    CHECK_EQ_(bend_name(r->d->short_name, b), fault,
              unreadable ? FAULT_FORMAT : FAULT_NONE);
    if (unreadable)
        r->count.found++;
    else
        r->count.excused++; /* whoever reads it judges it: the other tests of bend.h */
}

static void test_bent__no_other_encoding_is_read(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)256 << 20, CX_NO_DEADLINE);
    struct bend_count wire = {0}, fields = {0};
    (void)state;

    assert_non_null(cx);
    for (size_t i = 0; i < n_kinds; i++) {
        struct reading r = {.d = kinds[i], .honest = bend_sample(cx, kinds[i])};
        struct bend_count none = {0};
        char message[512];

        CHECK_EQ_("honest", read_back(&r, r.honest, message, sizeof message), FAULT_NONE);
        bend_wire(r.d, r.honest, told_wire, &r);
        CHECK_(r.d->short_name, r.count.found > 0);
        bend_add(&wire, &r.count);
        r.count = none;
        bend_fields(r.d, r.honest, LARGE, told_field, &r);
        CHECK_(r.d->short_name, r.count.found + r.count.excused > 0);
        bend_add(&fields, &r.count);
    }
    printf("%zu kinds of messages\n", n_kinds);
    bend_print("encodings", &wire, "read");
    bend_print("fields", &fields, "well formed: for who reads them to judge");
}

/* One byte over its bound is not even looked at. */
static void test_bent__a_bound_is_a_bound(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    void *m;
    (void)state;

    assert_non_null(cx);
    for (size_t i = 0; i < n_kinds; i++) {
        struct bytes honest = bend_sample(cx, kinds[i]);

        CHECK_EQ_(kinds[i]->short_name, pb_unpack(cx, kinds[i], honest, honest.n - 1, &m),
                  FAULT_BOUND);
        CHECK_EQ_(kinds[i]->short_name, pb_unpack(cx, kinds[i], honest, honest.n, &m),
                  FAULT_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bent__every_message_is_here),
        cmocka_unit_test(test_bent__no_other_encoding_is_read),
        cmocka_unit_test(test_bent__a_bound_is_a_bound),
    };

    return cmocka_run_group_tests(tests, learn_all, NULL);
}
