/* consortium.c - a small consortium in memory, for tests. */
#include "tests/protocol/consortium.h"

#include "protocol/base/clock.h"
#include "tests/check.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static void *fresh(struct cx *cx, size_t n)
{
    void *p = cx_alloc(cx, n);

    assert_non_null(p);
    return p;
}

static ProtobufCBinaryData data(struct cx *cx, const void *p, size_t n)
{
    ProtobufCBinaryData d = {.len = n, .data = cx_memdup(cx, p, n)};

    assert_non_null(d.data);
    return d;
}

static char *text(struct cx *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static char *text(struct cx *cx, const char *format, ...)
{
    char t[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(t, sizeof t, format, args);
    va_end(args);
    char *copy = cx_strdup(cx, t);
    assert_non_null(copy);
    return copy;
}

struct bytes consortium_seal(struct cx *cx, enum envelope_kind kind,
                             const ProtobufCMessage *body, struct keys *const *keys,
                             size_t n)
{
    struct bytes packed;

    CHECK_OK_("seal", cx, envelope_seal(cx, kind, body, keys[0], &packed));
    for (size_t i = 1; i < n; i++)
        CHECK_OK_("cosign", cx, envelope_cosign(cx, kind, packed, keys[i], &packed));
    return packed;
}

struct bytes consortium_sign_manifest(struct cx *cx, const Cohortium__Manifest *body,
                                      struct keys *const *keys, size_t n_keys)
{
    return consortium_seal(cx, ENVELOPE_MANIFEST, &body->base, keys, n_keys);
}

static int compare_nodes(const void *a, const void *b)
{
    struct keys *const *ka = a, *const *kb = b;
    uint8_t da[32], db[32];

    digest_of(bytes_of(keys_signing_public(*ka), 32), da);
    digest_of(bytes_of(keys_signing_public(*kb), 32), db);
    return memcmp(da, db, sizeof da);
}

static void make_keys(struct cx *cx, struct consortium *c)
{
    for (int i = 0; i < CONSORTIUM_SITES; i++) {
        CHECK_OK_("node key", cx, keys_new(cx, "node_signing", "node", &c->node[i]));
        CHECK_OK_("officer key", cx, keys_new(cx, "officer", "officer", &c->officer[i]));
    }
    for (int i = 0; i < CONSORTIUM_GOVERNORS; i++)
        CHECK_OK_("governor key", cx,
                  keys_new(cx, "governance", "governor", &c->governor[i]));
    CHECK_OK_("researcher key", cx, keys_new(cx, "researcher", "ada", &c->researcher));
    qsort(c->node, CONSORTIUM_SITES, sizeof c->node[0], compare_nodes);
    for (int i = 0; i < CONSORTIUM_SITES; i++)
        digest_of(bytes_of(keys_signing_public(c->node[i]), 32), c->id[i]);
}

static Cohortium__Member *make_member(struct cx *cx, const struct consortium *c, int i)
{
    Cohortium__Member *m = fresh(cx, sizeof *m);
    Cohortium__Officer *o = fresh(cx, sizeof *o);

    cohortium__member__init(m);
    cohortium__officer__init(o);
    o->name = text(cx, "officer of site_%c", 'a' + i);
    o->key = data(cx, keys_signing_public(c->officer[i]), 32);
    m->node_id = data(cx, c->id[i], 32);
    m->name = text(cx, "site_%c", 'a' + i);
    m->title = text(cx, "Hospital %c", 'A' + i);
    m->signing_key = data(cx, keys_signing_public(c->node[i]), 32);
    m->noise_key = data(cx, keys_link_public(c->node[i]), 32);
    m->n_endpoints = 1;
    m->endpoints = fresh(cx, sizeof *m->endpoints);
    m->endpoints[0] = text(cx, "tcp://127.0.0.1:%d", 7001 + i);
    m->holds_data = true;
    m->issues_researchers = i == 0;
    m->n_officers = 1;
    m->officers = fresh(cx, sizeof(Cohortium__Officer *));
    m->officers[0] = o;
    m->one_officer = true;
    return m;
}

static void make_manifest(struct cx *cx, struct consortium *c)
{
    Cohortium__Manifest *b = &c->body;
    Cohortium__Governance *g = fresh(cx, sizeof *g);

    cohortium__manifest__init(b);
    cohortium__governance__init(g);
    g->n_keys = CONSORTIUM_GOVERNORS;
    g->keys = fresh(cx, g->n_keys * sizeof *g->keys);
    for (int i = 0; i < CONSORTIUM_GOVERNORS; i++)
        g->keys[i] = data(cx, keys_signing_public(c->governor[i]), 32);
    g->threshold = 2;
    b->consortium_name = text(cx, "test consortium");
    b->version = 1;
    b->purpose = COHORTIUM__PURPOSE__LAB;
    b->issued_at = (uint64_t)c->now - 1000;
    b->fresh_until = (uint64_t)c->now + 7 * (uint64_t)DAY_MS;
    b->valid_until = (uint64_t)c->now + 30 * (uint64_t)DAY_MS;
    b->governance = g;
    b->rows_log2 = 30;
    b->permit_signatures = CONSORTIUM_SITES;
    b->n_members = CONSORTIUM_SITES;
    b->members = fresh(cx, b->n_members * sizeof(Cohortium__Member *));
    for (int i = 0; i < CONSORTIUM_SITES; i++)
        b->members[i] = make_member(cx, c, i);
    c->genesis = consortium_sign_manifest(cx, b, c->governor, 2);
    CHECK_OK_("genesis", cx, manifest_load(cx, &c->genesis, 1, NULL, &c->manifest));
}

static Cohortium__Stamp *make_stamp(struct cx *cx, const struct consortium *c,
                                    const uint8_t issuer[32])
{
    Cohortium__Stamp *s = fresh(cx, sizeof *s);

    cohortium__stamp__init(s);
    CHECK_OK_("stamp", cx, stamp_fill(cx, s, c->manifest, issuer, NULL, 15 * 60 * 1000));
    return s;
}

Cohortium__Credential *consortium_credential(struct cx *cx, const struct consortium *c)
{
    Cohortium__Credential *b = fresh(cx, sizeof *b);

    cohortium__credential__init(b);
    b->stamp = make_stamp(cx, c, c->id[0]);
    b->name = text(cx, "ada");
    b->signing_key = data(cx, keys_signing_public(c->researcher), 32);
    b->noise_key = data(cx, keys_link_public(c->researcher), 32);
    b->serial = data(cx, "0123456789abcdef", 16);
    b->not_before = (uint64_t)c->now - 1000;
    b->not_after = (uint64_t)c->now + 10 * (uint64_t)DAY_MS;
    return b;
}

Cohortium__Permit *consortium_permit(struct cx *cx, const struct consortium *c)
{
    Cohortium__Permit *p = fresh(cx, sizeof *p);

    cohortium__permit__init(p);
    p->id = data(cx, c->permit_id, 16);
    p->consortium = data(cx, c->manifest->consortium, 32);
    p->title = text(cx, "study one");
    p->purpose = text(cx, "to test papers");
    p->n_researchers = 1;
    p->researchers = fresh(cx, sizeof *p->researchers);
    p->researchers[0] = data(cx, keys_signing_public(c->researcher), 32);
    p->n_datasets = 1;
    p->datasets = fresh(cx, sizeof *p->datasets);
    p->datasets[0] = text(cx, "lung");
    p->n_members = CONSORTIUM_SITES;
    p->members = fresh(cx, CONSORTIUM_SITES * sizeof *p->members);
    for (int i = 0; i < CONSORTIUM_SITES; i++)
        p->members[i] = data(cx, c->id[i], 32);
    p->by_site = true;
    p->not_before = (uint64_t)c->now - DAY_MS;
    p->not_after = (uint64_t)c->now + 20 * (uint64_t)DAY_MS;
    return p;
}

Cohortium__Request *consortium_request(struct cx *cx, const struct consortium *c)
{
    Cohortium__Request *r = fresh(cx, sizeof *r);
    Cohortium__Question *q = fresh(cx, sizeof *q);
    uint8_t subject[32];

    cohortium__request__init(r);
    cohortium__question__init(q);
    digest_of(bytes_of(keys_signing_public(c->researcher), 32), subject);
    r->stamp = make_stamp(cx, c, subject);
    r->stamp->n_audience = CONSORTIUM_SITES;
    r->stamp->audience = fresh(cx, CONSORTIUM_SITES * sizeof *r->stamp->audience);
    q->n_sites = CONSORTIUM_SITES;
    q->sites = fresh(cx, CONSORTIUM_SITES * sizeof *q->sites);
    for (int i = 0; i < CONSORTIUM_SITES; i++) {
        r->stamp->audience[i] = data(cx, c->id[i], 32);
        q->sites[i] = data(cx, c->id[i], 32);
    }
    q->dataset = text(cx, "lung");
    q->analysis = text(cx, "count");
    q->analysis_version = 1;
    q->codebook = data(cx, c->codebook, 32);
    q->params = fresh(cx, sizeof *q->params);
    cohortium__params__init(q->params);
    r->home = data(cx, c->id[0], 32);
    r->credential = PB_DATA(c->credential);
    r->permit = data(cx, c->permit_id, 16);
    r->question = q;
    return r;
}

void consortium_new(struct cx *cx, struct consortium *c)
{
    memset(c, 0, sizeof *c);
    c->now = clock_utc_ms();
    memset(c->permit_id, 7, sizeof c->permit_id);
    memset(c->codebook, 9, sizeof c->codebook);
    make_keys(cx, c);
    make_manifest(cx, c);
    c->credential = consortium_seal(cx, ENVELOPE_CREDENTIAL,
                                    &consortium_credential(cx, c)->base, &c->node[0], 1);
    c->permit = consortium_seal(cx, ENVELOPE_PERMIT, &consortium_permit(cx, c)->base,
                                c->officer, CONSORTIUM_SITES);
}

void consortium_free(struct consortium *c)
{
    for (int i = 0; i < CONSORTIUM_SITES; i++) {
        keys_free(&c->node[i]);
        keys_free(&c->officer[i]);
    }
    for (int i = 0; i < CONSORTIUM_GOVERNORS; i++)
        keys_free(&c->governor[i]);
    keys_free(&c->researcher);
}
