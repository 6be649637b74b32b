/*
 * What a peer or a file may hand us before anything in it is believed: bodies of every
 * message, envelopes, checkpoints, manifests, receipts, and the frames between net and
 * vault.
 *
 * The first byte chooses. Besides not breaking: what is taken has one encoding, and no
 * chain or receipt holds whose genesis is pinned to another digest.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/ipc.h"
#include "protocol/carrier_ws.h"
#include "protocol/merkle.h"
#include "protocol/receipt.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 1 << 26, BOUND = 1 << 20 };

static const ProtobufCMessageDescriptor *const bodies[] = {
    &cohortium__envelope__descriptor,    &cohortium__manifest__descriptor,
    &cohortium__credential__descriptor,  &cohortium__permit__descriptor,
    &cohortium__policy__descriptor,      &cohortium__codebook__descriptor,
    &cohortium__request__descriptor,     &cohortium__preflight__descriptor,
    &cohortium__accept__descriptor,      &cohortium__proposal__descriptor,
    &cohortium__vector__descriptor,      &cohortium__release__descriptor,
    &cohortium__receipt__descriptor,     &cohortium__begin_call__descriptor,
    &cohortium__step_call__descriptor,   &cohortium__step_reply__descriptor,
    &cohortium__sites_reply__descriptor, &cohortium__trouble__descriptor,
    &cohortium__admin_call__descriptor,  &cohortium__key_file__descriptor,
};

/* Read beside checkpoints, so that the numbers of the corpus stay. */
static const ProtobufCMessageDescriptor *const of_witnesses[] = {
    &cohortium__add_checkpoint_call__descriptor,
    &cohortium__add_checkpoint_reply__descriptor,
    &cohortium__prove_call__descriptor,
    &cohortium__prove_reply__descriptor,
    &cohortium__witness_call__descriptor,
    &cohortium__held_reply__descriptor,
    &cohortium__round_done_call__descriptor,
    &cohortium__peer_holds__descriptor,
};

static const uint8_t nobody[32] = {1};

static void body(struct cx *cx, const ProtobufCMessageDescriptor *d, struct bytes in)
{
    ProtobufCMessage *m;
    struct bytes again;

    if (pb_unpack(cx, d, in, BOUND, &m) != FAULT_NONE)
        return;
    FUZZ_CHECK(pb_pack(cx, m, &again) == FAULT_NONE && bytes_equal(in, again));
}

static void envelope(struct cx *cx, enum envelope_kind kind, struct bytes in)
{
    struct envelope e;

    if (envelope_open(cx, kind, in, &e) != FAULT_NONE)
        return;
    FUZZ_CHECK(e.body.n <= envelope_bound(kind));
    FUZZ_CHECK(!envelope_is_signed_by(&e, nobody));
}

static void checkpoint(struct cx *cx, struct bytes in)
{
    char *note = cx_alloc(cx, in.n + 1);
    const char *both;
    uint64_t size;
    uint8_t root[32];

    if (note == NULL)
        return;
    memcpy(note, in.p, in.n);
    FUZZ_CHECK(checkpoint_verify(cx, note, "cohortium/0011223344556677/site_a", nobody,
                                 &size, root) != FAULT_NONE);
    FUZZ_CHECK(
        !cosignature_holds(cx, note, "cohortium/0011223344556677/site_a", nobody, &size));
    if (cosignature_add(cx, "a\n\n", note, &both) == FAULT_NONE)
        FUZZ_CHECK(strlen(both) == strlen(note) + 3);
    for (size_t i = 0; i < COUNT(of_witnesses); i++)
        body(cx, of_witnesses[i], in);
}

static void receipt(struct cx *cx, struct bytes in)
{
    Cohortium__Receipt *r;
    struct receipt_facts facts;
    struct manifest *m;

    FUZZ_CHECK(manifest_load(cx, &in, 1, nobody, &m) != FAULT_NONE); /* another genesis */
    if (pb_unpack(cx, &cohortium__receipt__descriptor, in, BOUND, &r) != FAULT_NONE)
        return;
    FUZZ_CHECK(receipt_verify(cx, r, nobody, &facts) != FAULT_NONE);
    if (receipt_verify(cx, r, NULL, &facts) == FAULT_NONE)
        FUZZ_CHECK(facts.manifest != NULL && facts.n_sites > 0);
}

/* What a peer sends for a manifest: nobody's signature is believed by its claims. */
static void offer(struct cx *cx, struct bytes in)
{
    Cohortium__ManifestReply *r;
    struct manifest_claim claim;

    if (pb_unpack(cx, &cohortium__manifest_reply__descriptor, in, BOUND, &r) != FAULT_NONE)
        return;
    for (size_t i = 0; i < r->n_manifests; i++)
        if (manifest_claims(cx, PB_BYTES(r->manifests[i]), &claim) == FAULT_NONE)
            FUZZ_CHECK(claim.version >= 1 && claim.version <= MANIFEST_CHAIN_MAX);
}

static void ipc(struct cx *cx, enum ipc_side sender, struct bytes in)
{
    struct ipc_reader reader = {.sender = sender};
    struct ipc_message m;
    uint8_t *memory;
    int pair[2];

    if (in.n > 100000 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return;
    FUZZ_CHECK(write(pair[0], in.p, in.n) == (ssize_t)in.n);
    (void)close(pair[0]);
    while (ipc_read(cx, &reader, pair[1]) == FAULT_NONE)
        while (ipc_next(&reader, &m, &memory)) {
            FUZZ_CHECK(ipc_is_allowed(sender, m.kind, m.code, m.body.n, m.from.role));
            free(memory);
        }
    ipc_reader_free(&reader);
    (void)close(pair[1]);
}

/* An answer is short and ends a line; what is taken lies within what came. */
static void ws_asked(struct bytes in)
{
    char answer[WS_ANSWER_MAX];
    size_t n = 0, n_answer = 0;
    enum ws_request r = ws_request(in.p, in.n, &n, answer, &n_answer);

    FUZZ_CHECK(n_answer < sizeof answer && n <= in.n);
    FUZZ_CHECK(r != WS_REQUEST_GOOD || (n > 0 && n <= WS_REQUEST_MAX && n_answer > 0));
    FUZZ_CHECK(r != WS_REQUEST_PART || (n_answer == 0 && in.n <= WS_REQUEST_MAX));
}

static void ws_framed(struct cx *cx, struct bytes in)
{
    struct ws ws = {.open = true};
    uint8_t lead[WS_LEAD_MAX], *p = cx_memdup(cx, in.p, in.n);
    const char *why = NULL;
    size_t n = 0, piece = 1;

    for (size_t at = 0; p != NULL && at < in.n; at += piece, piece = piece % 7 + 1) {
        size_t k = in.n - at < piece ? in.n - at : piece;

        if (!ws_take(&ws, p + at, k, &n, &why)) {
            FUZZ_CHECK(why != NULL);
            return;
        }
        FUZZ_CHECK(n <= k && ws.n_control <= WS_CONTROL_MAX && ws.left <= WS_FRAME_MAX);
        FUZZ_CHECK(ws_lead(&ws, lead, n) <= sizeof lead);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t choice = n > 0 ? data[0] : 0;
    struct bytes in = bytes_of(data + 1, n > 0 ? n - 1 : 0);
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);

    if (n == 0 || n > BOUND || cx == NULL)
        return 0;
    if (choice < COUNT(bodies))
        body(cx, bodies[choice], in);
    else if (choice < COUNT(bodies) + ENVELOPE_KINDS)
        envelope(cx, (enum envelope_kind)(choice - COUNT(bodies)), in);
    else if (choice == 64)
        checkpoint(cx, in);
    else if (choice == 65)
        receipt(cx, in);
    else if (choice == 68)
        offer(cx, in);
    else if (choice == 69)
        ws_asked(in);
    else if (choice == 70)
        ws_framed(cx, in);
    else if (choice == 66 || choice == 67)
        ipc(cx, choice == 66 ? IPC_NET : IPC_VAULT, in);
    return 0;
}
