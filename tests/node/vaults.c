/* vaults.c - three real vaults in this process. */
#include "tests/node/vaults_private.h"

#include <fcntl.h>
#include <math.h>
#include <sodium.h>

#include "node/data/policy_yaml.h"
#include "node/folder.h"
#include "node/vault/desk.h"
#include "protocol/base/clock.h"

enum { V_PATIENT, V_AGE, V_SEX, V_STATUS, V_SCORE, V_ALL };
static const int64_t DAY_MS = 24 * 3600 * 1000;

/* ---- codebook and rows ---- */

static const Cohortium__Codebook *codebook_body(void)
{
    static Cohortium__Variable v[V_ALL];
    static Cohortium__Variable *list[V_ALL];
    static Cohortium__Codebook body;
    static char *sex[] = {TEXT("female"), TEXT("male")};
    static double ages[] = {40, 60, 80};
    static const struct {
        const char *name;
        Cohortium__VarType type;
        Cohortium__Role role;
        double lower, upper;
    } rows[V_ALL] = {
        {"patient", COHORTIUM__VAR_TYPE__INTEGER, COHORTIUM__ROLE__DIRECT_IDENTIFIER, 0, 0},
        {"age", COHORTIUM__VAR_TYPE__INTEGER, COHORTIUM__ROLE__QUASI_IDENTIFIER, 0, 120},
        {"sex", COHORTIUM__VAR_TYPE__CATEGORICAL, COHORTIUM__ROLE__QUASI_IDENTIFIER, 0, 0},
        {"status", COHORTIUM__VAR_TYPE__BINARY, COHORTIUM__ROLE__SENSITIVE, 0, 0},
        {"score", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__ORDINARY, -10, 10},
    };

    cohortium__codebook__init(&body);
    body.name = TEXT("lung");
    body.title = TEXT("Lung");
    body.count_unit = TEXT("patient");
    body.patient_namespace = TEXT("patient");
    body.variables = list;
    body.n_variables = V_ALL;
    for (size_t i = 0; i < V_ALL; i++) {
        cohortium__variable__init(&v[i]);
        v[i].name = TEXT(rows[i].name);
        v[i].type = rows[i].type;
        v[i].role = rows[i].role;
        v[i].bounded = rows[i].lower < rows[i].upper;
        v[i].lower = rows[i].lower;
        v[i].upper = rows[i].upper;
        list[i] = &v[i];
    }
    v[V_SEX].levels = sex;
    v[V_SEX].n_levels = COUNT(sex);
    v[V_AGE].grid = ages;
    v[V_AGE].n_grid = COUNT(ages);
    return &body;
}

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

static void make_rows(struct vault_site *s, size_t site)
{
    uint64_t state = 77 + site;

    s->n = 60 + 10 * site;
    for (size_t i = 0; i < s->n; i++) {
        struct vault_row *r = &s->rows[i];

        r->age = i < VAULTS_OLD ? 85 : 20 + (double)draw(&state, 60);
        r->sex = (double)draw(&state, 2);
        r->status = draw(&state, 100) < 40;
        r->score = (r->age - 50) / 10 + ((double)draw(&state, 2001) - 1000) / 500;
    }
}

struct one_patient {
    uint8_t hash[16];
    size_t row;
};

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct one_patient *)a)->hash,
                  ((const struct one_patient *)b)->hash, 16);
}

/* Writes what an import writes: rows in order of the patients' hashes. */
static void write_columns(struct cx *cx, const struct vault_site *s, int fd,
                          const uint8_t key[32])
{
    struct one_patient *p = fresh(cx, s->n * sizeof *p);
    uint8_t *scored = fresh(cx, s->n * sizeof *scored);
    uint32_t *ordinal = fresh(cx, s->n * sizeof *ordinal);
    uint8_t(*hashes)[16] = fresh(cx, s->n * sizeof *hashes);
    double *values[V_ALL];
    uint8_t digest[32];

    for (size_t i = 0; i < s->n; i++) {
        const char *id = cx_printf(cx, "%zu", i + 1);

        assert_non_null(id);
        patient_hash(key, "patient", id, strlen(id), p[i].hash);
        p[i].row = i;
    }
    qsort(p, s->n, sizeof *p, by_hash);
    for (size_t v = V_AGE; v < V_ALL; v++)
        values[v] = fresh(cx, s->n * sizeof(double));
    for (size_t i = 0; i < s->n; i++) {
        const struct vault_row *r = &s->rows[p[i].row];

        memcpy(hashes[i], p[i].hash, sizeof hashes[i]);
        ordinal[i] = (uint32_t)i;
        values[V_AGE][i] = r->age;
        values[V_SEX][i] = r->sex;
        values[V_STATUS][i] = r->status;
        scored[i] = isfinite(r->score) ? 1 : 0;
        values[V_SCORE][i] = scored[i] ? r->score : 0;
    }
    CHECK_OK_(
        "patients", cx,
        patients_write(cx, fd, ordinal, s->n, (const uint8_t(*)[16])hashes, s->n, digest));
    for (size_t v = V_AGE; v < V_ALL; v++)
        CHECK_OK_("column", cx,
                  column_write(cx, fd, codebook_body()->variables[v]->name,
                               column_type_for(codebook_body()->variables[v]), values[v],
                               v == V_SCORE ? scored : NULL, s->n, digest));
}

/* ---- the desk ---- */

const Cohortium__AdminReply *vaults_desk(struct vaults *t, struct cx *cx, size_t site,
                                         const char *command, const char *const *words,
                                         size_t n_words, const struct bytes *blob,
                                         unsigned want)
{
    Cohortium__AdminCall call = COHORTIUM__ADMIN_CALL__INIT;
    Cohortium__AdminReply *reply = fresh(cx, sizeof *reply);
    ProtobufCBinaryData one;

    cohortium__admin_reply__init(reply);
    call.command = TEXT(command);
    call.arguments = (char **)words;
    call.n_arguments = n_words;
    if (blob != NULL) {
        one = PB_DATA(*blob);
        call.blobs = &one;
        call.n_blobs = 1;
    }
    desk_answer(cx, &t->site[site].v, &call, reply);
    if (reply->status != want)
        fail_msg("%s: status %u, want %u: %s", command, reply->status, want, reply->text);
    return reply;
}

void vaults_policy(struct vaults *t, size_t site, const char *yaml)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct vault_site *s = &t->site[site];
    Cohortium__Policy *body;
    struct bytes packed;

    assert_non_null(cx);
    CHECK_OK_("policy", cx,
              policy_from_yaml(cx, "policy", yaml, strlen(yaml), true, &body));
    body->serial = ++s->policies;
    body->node_id = s->v.self->node_id;
    if (body->reason[0] == '\0')
        body->reason = (char *)"a test";
    CHECK_OK_("policy", cx,
              envelope_seal(cx, ENVELOPE_POLICY, &body->base, s->officer, &packed));
    if (s->v.policy != NULL) {
        assert_true(s->n_old < COUNT(s->old));
        s->old[s->n_old++] = s->v.policy;
    }
    (void)vaults_desk(t, cx, site, "policy apply", NULL, 0, &packed, 0);
}

void vaults_permit(struct vaults *t, const struct vaults_permit *what,
                   uint8_t ret_id[ID_BYTES])
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    Cohortium__Permit p = COHORTIUM__PERMIT__INIT;
    ProtobufCBinaryData key, members[VAULTS];
    char *dataset = TEXT("lung");
    struct bytes packed;
    int64_t now = clock_utc_ms();

    assert_non_null(cx);
    randombytes_buf(ret_id, ID_BYTES);
    p.id = PB_DATA(bytes_of(ret_id, ID_BYTES));
    p.consortium = PB_DATA(bytes_of(t->manifest->consortium, DIGEST_BYTES));
    p.title = TEXT("study one");
    p.purpose = TEXT("to test sessions");
    key = PB_DATA(bytes_of(keys_signing_public(what->researcher), KEY_BYTES));
    p.researchers = &key;
    p.n_researchers = 1;
    p.datasets = &dataset;
    p.n_datasets = 1;
    for (size_t i = 0; i < VAULTS; i++)
        members[i] = t->site[i].v.self->node_id;
    p.members = members;
    p.n_members = VAULTS;
    p.not_before = (uint64_t)(now - 1000);
    p.not_after = (uint64_t)(now + (what->lasts_ms > 0 ? what->lasts_ms : DAY_MS));
    p.budget = what->budget;
    p.by_site = what->by_site;
    if (what->issuer != NULL)
        p.issuer = what->issuer->node_id;
    CHECK_OK_("permit", cx,
              envelope_seal(cx, ENVELOPE_PERMIT, &p.base, t->site[0].officer, &packed));
    for (size_t i = 1; i < VAULTS; i++)
        CHECK_OK_(
            "permit", cx,
            envelope_cosign(cx, ENVELOPE_PERMIT, packed, t->site[i].officer, &packed));
    for (size_t i = 0; i < VAULTS; i++)
        (void)vaults_desk(t, cx, i, "permit add", NULL, 0, &packed, 0);
}

struct bytes vaults_credential(struct vaults *t, struct cx *cx, size_t site,
                               const struct keys *researcher)
{
    Cohortium__Card card = COHORTIUM__CARD__INIT;
    const Cohortium__AdminReply *reply;
    struct bytes packed;

    card.name = TEXT(keys_name(researcher));
    card.use = TEXT(keys_use(researcher));
    card.signing_key = PB_DATA(bytes_of(keys_signing_public(researcher), KEY_BYTES));
    card.noise_key = PB_DATA(bytes_of(keys_link_public(researcher), KEY_BYTES));
    CHECK_OK_("card", cx, pb_pack(cx, &card.base, &packed));
    reply = vaults_desk(t, cx, site, "researcher issue", NULL, 0, &packed, 0);
    CHECK_EQ_("credentials", reply->n_blobs, 1);
    return PB_BYTES(data(cx, reply->blobs[0].data, reply->blobs[0].len));
}

const Cohortium__AdminReply *vaults_publish(struct vaults *t, struct cx *cx, size_t site,
                                            unsigned want)
{
    struct vault_site *s = &t->site[site];
    struct bytes packed;
    const char *name = "lung";

    CHECK_OK_(
        "codebook", cx,
        envelope_seal_body(cx, ENVELOPE_CODEBOOK, t->cb->packed, s->officer, &packed));
    (void)vaults_desk(t, cx, site, "codebook add", NULL, 0, &packed, 0);
    const Cohortium__AdminReply *begun =
        vaults_desk(t, cx, site, "data begin", &name, 1, NULL, 0);
    CHECK_EQ_("data begin: blobs", begun->n_blobs, 2);
    int fd = openat(s->v.data_fd, begun->text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    write_columns(cx, s, fd, begun->blobs[1].data);
    (void)close(fd);
    const char *n = cx_printf(cx, "%zu", s->n);
    const char *words[] = {begun->text, name, n, n};
    return vaults_desk(t, cx, site, "data publish", words, COUNT(words), NULL, want);
}

void vaults_import(struct vaults *t, size_t site)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    (void)vaults_publish(t, cx, site, 0);
}

/* ---- the consortium ---- */

struct new_node {
    char folder[96];
    uint8_t signing[KEY_BYTES], noise[KEY_BYTES], id[DIGEST_BYTES];
};

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct new_node *)a)->id, ((const struct new_node *)b)->id,
                  DIGEST_BYTES);
}

static void make_node(struct vaults *t, size_t i, struct new_node *n)
{
    AUTO_KEYS struct keys *signing = NULL;
    AUTO_KEYS struct keys *noise = NULL;

    (void)snprintf(n->folder, sizeof n->folder, "%s/node%zu", t->scratch.folder, i + 1);
    CHECK_OK_("init", t->cx,
              folder_init(t->cx, n->folder, "node", "tcp://127.0.0.1:0", NULL));
    CHECK_OK_("signing key", t->cx,
              keys_read(t->cx, cx_printf(t->cx, "%s/keys/signing.key", n->folder),
                        "node_signing", NULL, &signing));
    CHECK_OK_("noise key", t->cx,
              keys_read(t->cx, cx_printf(t->cx, "%s/keys/noise.key", n->folder),
                        "node_noise", NULL, &noise));
    memcpy(n->signing, keys_signing_public(signing), KEY_BYTES);
    memcpy(n->noise, keys_link_public(noise), KEY_BYTES);
    digest_of(bytes_of(n->signing, KEY_BYTES), n->id);
}

static Cohortium__Member *make_member(struct vaults *t, size_t i, const struct new_node *n)
{
    Cohortium__Member *m = fresh(t->cx, sizeof *m);
    Cohortium__Officer *o = fresh(t->cx, sizeof *o);

    cohortium__member__init(m);
    cohortium__officer__init(o);
    o->name = cx_printf(t->cx, "officer %zu", i);
    o->key = data(t->cx, keys_signing_public(t->site[i].officer), KEY_BYTES);
    m->node_id = data(t->cx, n->id, sizeof n->id);
    m->name = cx_printf(t->cx, "site_%c", (char)('a' + i));
    m->title = cx_printf(t->cx, "Hospital %c", (char)('A' + i));
    m->signing_key = data(t->cx, n->signing, sizeof n->signing);
    m->noise_key = data(t->cx, n->noise, sizeof n->noise);
    m->endpoints = fresh(t->cx, sizeof *m->endpoints);
    m->endpoints[0] = cx_printf(t->cx, "tcp://127.0.0.1:%zu", 7001 + i);
    m->n_endpoints = 1;
    m->holds_data = m->issues_researchers = true;
    m->officers = fresh(t->cx, sizeof(Cohortium__Officer *));
    m->officers[0] = o;
    m->n_officers = 1;
    m->one_officer = true;
    return m;
}

static struct bytes make_manifest(struct vaults *t, const struct new_node *nodes)
{
    Cohortium__Manifest m = COHORTIUM__MANIFEST__INIT;
    Cohortium__Governance g = COHORTIUM__GOVERNANCE__INIT;
    Cohortium__Member *members[VAULTS];
    ProtobufCBinaryData keys[COUNT(t->governor)];
    uint64_t now = (uint64_t)clock_utc_ms();
    struct bytes packed;
    struct envelope e;

    for (size_t i = 0; i < COUNT(keys); i++)
        keys[i] = PB_DATA(bytes_of(keys_signing_public(t->governor[i]), KEY_BYTES));
    g.keys = keys;
    g.n_keys = COUNT(keys);
    g.threshold = 2;
    for (size_t i = 0; i < VAULTS; i++)
        members[i] = make_member(t, i, &nodes[i]);
    m.consortium_name = TEXT("three vaults");
    m.version = 1;
    m.purpose = COHORTIUM__PURPOSE__LAB;
    m.issued_at = now - 3600 * 1000;
    m.fresh_until = now + 7 * (uint64_t)DAY_MS;
    m.valid_until = now + 30 * (uint64_t)DAY_MS;
    m.governance = &g;
    m.members = members;
    m.n_members = VAULTS;
    m.permit_signatures = 1;
    m.rows_log2 = 30;
    CHECK_OK_("manifest", t->cx, manifest_check_body(t->cx, &m));
    CHECK_OK_("manifest", t->cx,
              envelope_seal(t->cx, ENVELOPE_MANIFEST, &m.base, t->governor[0], &packed));
    CHECK_OK_("manifest", t->cx,
              envelope_cosign(t->cx, ENVELOPE_MANIFEST, packed, t->governor[1], &packed));
    CHECK_OK_("manifest", t->cx, envelope_open(t->cx, ENVELOPE_MANIFEST, packed, &e));
    memcpy(t->genesis, e.digest, DIGEST_BYTES);
    CHECK_OK_("manifest", t->cx,
              manifest_load(t->cx, &packed, 1, t->genesis, &t->manifest));
    return packed;
}

static void open_site(struct vault_site *s)
{
    s->cx = cx_new(64 << 20, CX_NO_DEADLINE);
    assert_non_null(s->cx);
    CHECK_OK_("open", s->cx, vault_open(s->cx, &s->v, s->folder, NULL));
}

/* It lives in the memory that it names. */
static void free_policy(struct policy_now *policy)
{
    struct cx *cx = policy != NULL ? policy->cx : NULL;

    cx_free(&cx);
}

static void close_site(struct vault_site *s)
{
    vault_close(&s->v);
    free_policy(s->v.policy);
    while (s->n_old > 0)
        free_policy(s->old[--s->n_old]);
    cx_free(&s->cx);
}

void vaults_reopen(struct vaults *t, size_t site)
{
    close_site(&t->site[site]);
    open_site(&t->site[site]);
    CHECK_OK_("policy", t->site[site].cx,
              vault_load_policy(t->site[site].cx, &t->site[site].v));
}

static void make_keys(struct vaults *t)
{
    for (size_t i = 0; i < COUNT(t->governor); i++)
        CHECK_OK_("key", t->cx, keys_new(t->cx, "governance", "governor", &t->governor[i]));
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_OK_("key", t->cx, keys_new(t->cx, "officer", "officer", &t->site[i].officer));
    CHECK_OK_("key", t->cx, keys_new(t->cx, "researcher", "ada", &t->researcher));
    CHECK_OK_("key", t->cx, keys_new(t->cx, "researcher", "eve", &t->stranger));
}

void vaults_new(struct vaults *t, const char *policy)
{
    struct new_node nodes[VAULTS];

    memset(t, 0, sizeof *t);
    t->cx = cx_new(64 << 20, CX_NO_DEADLINE);
    assert_non_null(t->cx);
    scratch_new(&t->scratch);
    make_keys(t);
    for (size_t i = 0; i < VAULTS; i++)
        make_node(t, i, &nodes[i]);
    qsort(nodes, VAULTS, sizeof nodes[0], by_id);
    struct bytes manifest = make_manifest(t, nodes);
    CHECK_OK_("codebook", t->cx, codebook_from_body(t->cx, codebook_body(), &t->cb));
    for (size_t i = 0; i < VAULTS; i++) {
        memcpy(t->site[i].folder, nodes[i].folder, sizeof t->site[i].folder);
        CHECK_OK_("adopt", t->cx,
                  folder_adopt(t->cx, t->site[i].folder, manifest, t->genesis));
        open_site(&t->site[i]);
        vaults_policy(t, i, policy);
        make_rows(&t->site[i], i);
        vaults_import(t, i);
    }
    vaults_permit(t, &(struct vaults_permit){.researcher = t->researcher}, t->permit);
    t->credential = vaults_credential(t, t->cx, 0, t->researcher);
}

void vaults_free(struct vaults *t)
{
    for (size_t i = 0; i < VAULTS; i++) {
        close_site(&t->site[i]);
        keys_free(&t->site[i].officer);
    }
    for (size_t i = 0; i < COUNT(t->governor); i++)
        keys_free(&t->governor[i]);
    keys_free(&t->researcher);
    keys_free(&t->stranger);
    scratch_free(&t->scratch);
    cx_free(&t->cx);
}
