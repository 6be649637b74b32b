/*
 * test_witness_bent.c - a checkpoint shown to a witness with each field of the call bent:
 * it is cosigned as it is, or not at all.
 */
#include "node/vault/witness.h"
#include "tests/node/session_case.h"
#include "tests/protocol/bend.h"

enum { WITNESS, SHOWN, LARGE = 5000 };

struct showing {
    struct bend_count count;
    bool wire;
};

/* What the vault of SHOWN would show the witness now: packed. */
static struct bytes honest_call(struct cx *cx)
{
    Cohortium__RoundCall call = COHORTIUM__ROUND_CALL__INIT;
    Cohortium__RoundReply *reply;
    struct bytes packed, out;
    ProtobufCBinaryData peer = t.site[WITNESS].v.self->node_id;

    call.peers = &peer;
    call.n_peers = 1;
    CHECK_OK_("pack", cx, pb_pack(cx, &call.base, &packed));
    CHECK_OK_("round", cx, vault_round(cx, &t.site[SHOWN].v, packed, &out));
    CHECK_OK_("unpack", cx,
              pb_unpack(cx, &cohortium__round_reply__descriptor, out, 1 << 20, &reply));
    CHECK_EQ_("turns", reply->n_turns, 1);
    CHECK_OK_("pack", cx, pb_pack(cx, &reply->turns[0]->call->base, &packed));
    return packed;
}

static enum fault show(struct cx *cx, struct bytes packed, bool *ret_cosigned)
{
    Cohortium__AddCheckpointReply *reply;
    struct caller who = play_caller(&t, SHOWN, WITNESS);
    struct bytes out;

    *ret_cosigned = false;
    TRY(vault_add_checkpoint(cx, &t.site[WITNESS].v, &who, packed, &out));
    CHECK_OK_(
        "unpack", cx,
        pb_unpack(cx, &cohortium__add_checkpoint_reply__descriptor, out, 1 << 16, &reply));
    *ret_cosigned = reply->cosignature[0] != '\0';
    return FAULT_NONE;
}

/* The time it was made is the caller's to say: it can only spare it a contradiction. */
static void told(void *user, const struct bend *b, struct bytes packed)
{
    struct showing *s = user;
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    const char *name = bend_name("checkpoint", b);
    bool cosigned;

    assert_non_null(cx);
    s->count.tried[b->how]++;
    enum fault fault = show(cx, packed, &cosigned);
    if (fault == FAULT_INTERNAL || fault == FAULT_MEMORY || fault == FAULT_STORAGE)
        fail_msg("%s: %s", name, cx_message(cx));
    if (cosigned && (s->wire || strcmp(b->field, "made_at") != 0))
        fail_msg("%s: cosigned", name);
    cosigned ? s->count.excused++ : s->count.found++;
}

static void test_witness__a_bent_checkpoint(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct showing s = {0};
    bool cosigned;
    (void)state;

    assert_non_null(cx);
    struct bytes first = honest_call(cx);
    bend_fields(&cohortium__add_checkpoint_call__descriptor, first, LARGE, told, &s);
    s.wire = true;
    bend_wire(&cohortium__add_checkpoint_call__descriptor, first, told, &s);
    CHECK_("all else being true it is cosigned", s.count.excused > 0);
    CHECK_OK_("and known then", cx, show(cx, first, &cosigned));
    CHECK_("once", !cosigned);
    bend_print("checkpoint", &s.count, "cosigned: made at another time, it says");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_witness__a_bent_checkpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
