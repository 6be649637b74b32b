/*
 * client.c - a researcher's program that does not keep to the rules: it signs with a true key,
 * under a valid permit, what `cohortium` would never send.
 *
 *   client TRICK count clinic --where ... --profile lab-test
 *
 * prints "released", "withheld" or the fault that home answered with, and its words. What it
 * does to a question before it is signed is in the table; tricks on the link in `call`.
 */
#include <sodium.h>
#include <string.h>

#include "node/cli/ask_private.h"

enum { FIELD = 99, UNKNOWN_BYTES = 16, ANSWER_MS = 30000 };

struct trick {
    const char *name;
    enum fault (*bend)(struct home *home, struct cx *cx, Cohortium__Request *r);
    enum service service; /* SERVICE_UNSET: ask */
    bool twice;           /* the same bytes again; the second answer is printed */
};

static Cohortium__Question *question(Cohortium__Request *r)
{
    return r->question;
}

/* A field that the schema does not have, with numbers of our own. */
static enum fault add_field(struct cx *cx, ProtobufCMessage *m)
{
    static const double numbers[2] = {-1000, 1000};

    CX_NEW(cx, m->unknown_fields, 1);
    m->n_unknown_fields = 1;
    m->unknown_fields[0] = (ProtobufCMessageUnknownField){
        .tag = FIELD, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED};
    m->unknown_fields[0].data = cx_alloc(cx, UNKNOWN_BYTES + 1);
    if (m->unknown_fields[0].data == NULL)
        return FAULT_MEMORY;
    m->unknown_fields[0].len = UNKNOWN_BYTES + 1;
    m->unknown_fields[0].data[0] = UNKNOWN_BYTES;
    memcpy(m->unknown_fields[0].data + 1, numbers, UNKNOWN_BYTES);
    return FAULT_NONE;
}

/* ---- tricks ---- */

static enum fault none(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    (void)cx;
    (void)r;
    return FAULT_NONE;
}

static enum fault coefficients(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    return add_field(cx, &question(r)->params->model->base);
}

static enum fault vector(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    question(r)->params->model->weights = (char *)"x0001";
    return add_field(cx, &question(r)->params->base);
}

static enum fault unknown_weights(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    (void)cx;
    question(r)->params->model->weights = (char *)"x0001";
    return FAULT_NONE;
}

static enum fault analysis(Cohortium__Request *r, const char *name)
{
    question(r)->analysis = (char *)name;
    return FAULT_NONE;
}

#define ANALYSIS(name)                                                                     \
    static enum fault name(struct home *home, struct cx *cx, Cohortium__Request *r)        \
    {                                                                                      \
        (void)home;                                                                        \
        (void)cx;                                                                          \
        return analysis(r, #name);                                                         \
    }
ANALYSIS(scatter)
ANALYSIS(covariance)
ANALYSIS(kmeans)
ANALYSIS(km)
ANALYSIS(cox)

/* The first comparison of the cohort becomes another. */
static enum fault compare(struct cx *cx, Cohortium__Request *r, const char *variable,
                          Cohortium__AstOp op, const char *level)
{
    Cohortium__Ast *a = question(r)->cohort;

    if (a == NULL || a->n_nodes < 3)
        return cx_fail(cx, FAULT_USAGE, "this trick needs --where with one comparison");
    a->n_nodes = 3;
    a->nodes[0]->variable = (char *)variable;
    a->nodes[1]->op = COHORTIUM__AST_OP__AST_LEVEL;
    a->nodes[1]->number = 0;
    a->nodes[1]->level = (char *)level;
    a->nodes[2]->op = op;
    return FAULT_NONE;
}

static enum fault identifier(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    return compare(cx, r, "patient", COHORTIUM__AST_OP__AST_EQ, "tim");
}

static enum fault like(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    return compare(cx, r, "patient", (Cohortium__AstOp)40, "t%");
}

/* ---- sites ---- */

static enum fault keep_sites(struct home *home, Cohortium__Request *r, size_t n)
{
    Cohortium__Question *q = question(r);
    size_t k = 1;

    /* Home first, then others: home must be asked. */
    ProtobufCBinaryData own = {DIGEST_BYTES, home->profile.node};
    ProtobufCBinaryData kept[3] = {own};
    for (size_t i = 0; i < q->n_sites && k < n; i++)
        if (memcmp(q->sites[i].data, own.data, DIGEST_BYTES) != 0)
            kept[k++] = q->sites[i];
    if (k == 2 && memcmp(kept[0].data, kept[1].data, DIGEST_BYTES) > 0) {
        kept[0] = kept[1];
        kept[1] = own;
    }
    memcpy(q->sites, kept, k * sizeof kept[0]);
    q->n_sites = k;
    return FAULT_NONE;
}

static enum fault one_site(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)cx;
    return keep_sites(home, r, 1);
}

static enum fault two_sites(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)cx;
    return keep_sites(home, r, 2);
}

static enum fault site_twice(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    (void)cx;
    question(r)->sites[1] = question(r)->sites[0];
    return FAULT_NONE;
}

static enum fault stranger_site(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    uint8_t *id = cx_alloc(cx, DIGEST_BYTES);

    (void)home;
    if (id == NULL)
        return FAULT_MEMORY;
    memset(id, 0xff, DIGEST_BYTES);
    question(r)->sites[2] = (ProtobufCBinaryData){DIGEST_BYTES, id};
    return FAULT_NONE;
}

static enum fault by_site(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    (void)cx;
    question(r)->by_site = true;
    return FAULT_NONE;
}

static enum fault alone_by_site(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    question(r)->by_site = true;
    return one_site(home, cx, r);
}

/* ---- papers ---- */

static enum fault own_codebook(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    uint8_t *digest = cx_memdup(cx, question(r)->codebook.data, DIGEST_BYTES);

    (void)home;
    if (digest == NULL)
        return FAULT_MEMORY;
    digest[0] ^= 1;
    question(r)->codebook.data = digest;
    return FAULT_NONE;
}

static enum fault other_permit(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    uint8_t *id = cx_memdup(cx, r->permit.data, r->permit.len);

    (void)home;
    if (id == NULL)
        return FAULT_MEMORY;
    id[0] ^= 1;
    r->permit.data = id;
    return FAULT_NONE;
}

static enum fault later_version(struct home *home, struct cx *cx, Cohortium__Request *r)
{
    (void)home;
    (void)cx;
    question(r)->analysis_version = 99;
    return FAULT_NONE;
}

static const struct trick tricks[] = {
    {"none", none, SERVICE_UNSET, false},
    {"coefficients", coefficients, SERVICE_UNSET, false},
    {"vector", vector, SERVICE_UNSET, false},
    {"unknown_weights", unknown_weights, SERVICE_UNSET, false},
    {"scatter", scatter, SERVICE_UNSET, false},
    {"covariance", covariance, SERVICE_UNSET, false},
    {"kmeans", kmeans, SERVICE_UNSET, false},
    {"km", km, SERVICE_UNSET, false},
    {"cox", cox, SERVICE_UNSET, false},
    {"identifier", identifier, SERVICE_UNSET, false},
    {"like", like, SERVICE_UNSET, false},
    {"one_site", one_site, SERVICE_UNSET, false},
    {"two_sites", two_sites, SERVICE_UNSET, false},
    {"site_twice", site_twice, SERVICE_UNSET, false},
    {"stranger_site", stranger_site, SERVICE_UNSET, false},
    {"by_site", by_site, SERVICE_UNSET, false},
    {"alone_by_site", alone_by_site, SERVICE_UNSET, false},
    {"own_codebook", own_codebook, SERVICE_UNSET, false},
    {"other_permit", other_permit, SERVICE_UNSET, false},
    {"later_version", later_version, SERVICE_UNSET, false},
    {"again", none, SERVICE_UNSET, true},
    {"begin", none, SERVICE_BEGIN, false},
    {"step", none, SERVICE_STEP, false},
    {"preflight", none, SERVICE_PREFLIGHT, false},
    {"drawer", none, SERVICE_DRAWER, false},
    {"round", none, SERVICE_ROUND, false},
};

/* ---- asking ---- */

static enum fault make_request(struct home *home, struct cx *cx, const struct args *args,
                               const struct trick *trick, struct sent *sent)
{
    const Cohortium__Manifest *m = home->manifest->body;
    Cohortium__Request *r;

    TRY(home_codebook(home, args->words[0], &sent->cb));
    CX_NEW(cx, r, 1);
    cohortium__request__init(r);
    TRY(question_make(cx, sent->cb, args, args->command->words, &r->question));
    TRY(home_permit(home, cx, NULL, args->words[0], &sent->permit));
    r->permit = sent->permit->id;
    CX_NEW(cx, r->question->sites, m->n_members);
    for (size_t i = 0; i < m->n_members; i++)
        r->question->sites[r->question->n_sites++] = m->members[i]->node_id;
    TRY(trick->bend(home, cx, r));
    sent->request = r;
    sent->deadline_ms = ANSWER_MS;
    return ask_seal(home, cx, sent);
}

static void tell(struct cx *cx, struct home *home, enum fault fault)
{
    const Cohortium__Trouble *t = fault == FAULT_NONE ? NULL : home->trouble;

    (void)printf("fault %d: %s", (int)fault, cx_message(cx));
    for (size_t i = 0; t != NULL && i < t->n_complaints; i++)
        (void)printf("; %s: %s", t->complaints[i]->code, t->complaints[i]->text);
    (void)printf("\n");
}

static enum fault show(struct cx *cx, const struct sent *sent, struct home *home,
                       struct bytes packed)
{
    Cohortium__Receipt *receipt;
    struct receipt_facts facts;
    struct answer a = {0};
    bool released = false;

    TRY(pb_unpack(cx, &cohortium__receipt__descriptor, packed, LINK_MESSAGE_MAX, &receipt));
    TRY(receipt_verify(cx, receipt, home->profile.genesis, &facts));
    TRY(answer_make(cx, sent->cb, &facts, &a));
    for (size_t i = 0; i < a.n_shown; i++)
        released = released || a.shown[i].released;
    (void)printf("%s %zu bytes\n", released ? "released" : "withheld", packed.n);
    return FAULT_NONE;
}

static enum fault call(struct cli *cli, const struct trick *trick, const struct args *args)
{
    struct sent sent = {0};
    struct bytes packed;
    struct home home;
    enum fault fault = home_open(cli, args, &home);

    if (fault == FAULT_NONE)
        fault = make_request(&home, cli->cx, args, trick, &sent);
    for (int i = 0; i <= (trick->twice ? 1 : 0) && fault == FAULT_NONE; i++) {
        enum service s = trick->service == SERVICE_UNSET ? SERVICE_ASK : trick->service;

        fault = home_call(&home, cli->cx, s, sent.packed, ANSWER_MS, &packed);
        if (fault != FAULT_NONE)
            tell(cli->cx, &home, fault);
        else if (s != SERVICE_ASK)
            (void)printf("answered %zu bytes\n", packed.n);
        else
            fault = show(cli->cx, &sent, &home, packed);
    }
    home_close(&home);
    return fault;
}

static enum fault run(struct cli *cli, int argc, char **argv)
{
    const struct trick *trick = NULL;
    const struct command *c;
    struct args args;
    int words;

    for (size_t i = 0; argc > 2 && i < COUNT(tricks); i++)
        if (strcmp(tricks[i].name, argv[1]) == 0)
            trick = &tricks[i];
    if (trick == NULL)
        return cx_fail(cli->cx, FAULT_USAGE, "client TRICK QUESTION ...");
    TRY(command_find(cli->cx, argc - 2, argv + 2, &c, &words));
    TRY(args_parse(cli->cx, c, argc - 2 - words, argv + 2 + words, &args));
    return call(cli, trick, &args);
}

int main(int argc, char **argv)
{
    struct cli cli = {.out = stdout, .err = stderr};
    AUTO_CX struct cx *cx = cx_new(CLI_MEMORY, CX_NO_DEADLINE);

    if (cx == NULL || sodium_init() < 0)
        return STATUS_FAILED;
    cli.cx = cx;
    enum fault fault = run(&cli, argc, argv);
    if (fault != FAULT_NONE)
        (void)fprintf(stderr, "%s\n", cx_message(cx));
    return fault_status(fault);
}
