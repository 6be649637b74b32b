/* crate.c - the metadata of a crate: JSON-LD by construction, one entity a function. */
#include "node/cli/crate.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/data/decimal.h"
#include "protocol/checkpoint.h"

static const char completed[] = "http://schema.org/CompletedActionStatus",
                  failed[] = "http://schema.org/FailedActionStatus",
                  profile_id[] = "https://w3id.org/5s-crate/0.4",
                  metadata_id[] = "ro-crate-metadata.json", question_id[] = "question/";

struct maker {
    const struct crate *c;
    struct cx *cx;
    json_t *graph;
    json_t *mentions;
    bool broken; /* out of memory */
};

/* ---- pieces ---- */

static json_t *link_to(const char *id)
{
    return json_pack("{s:s}", "@id", id == NULL ? "" : id);
}

/* A new entity in the graph, which owns it. */
static json_t *entity(struct maker *m, const char *id, const char *type, const char *name)
{
    json_t *e = json_pack("{s:s, s:s, s:s}", "@id", id == NULL ? "" : id, "@type", type,
                          "name", name == NULL ? "" : name);

    m->broken = m->broken || id == NULL || name == NULL || e == NULL ||
                json_array_append_new(m->graph, e) != 0;
    return e;
}

static void put(struct maker *m, json_t *e, const char *key, json_t *value)
{
    m->broken = m->broken || value == NULL || json_object_set_new(e, key, value) != 0;
}

static void put_text(struct maker *m, json_t *e, const char *key, const char *text)
{
    put(m, e, key, text == NULL ? NULL : json_string(text));
}

static void append(struct maker *m, json_t *list, json_t *value)
{
    m->broken = m->broken || value == NULL || json_array_append_new(list, value) != 0;
}

static const char *hex_of(struct maker *m, struct bytes b)
{
    const char *hex = bytes_hex(m->cx, b.p, b.n);

    m->broken = m->broken || hex == NULL;
    return hex == NULL ? "" : hex;
}

static const char *text_of(struct maker *m, const char *text)
{
    m->broken = m->broken || text == NULL;
    return text == NULL ? "" : text;
}

static const char *member_id(struct maker *m, const Cohortium__Member *member)
{
    return text_of(m, cx_printf(m->cx, "#member-%s", member->name));
}

static const char *data_id(struct maker *m, size_t i)
{
    return text_of(m, cx_printf(m->cx, "#data-%s", m->c->facts->sites[i].member->name));
}

/* Of site i: its own where each answered alone. */
static const char *policy_id(struct maker *m, size_t i)
{
    return m->c->facts->release != NULL
               ? "#policy"
               : text_of(
                     m, cx_printf(m->cx, "#policy-%s", m->c->facts->sites[i].member->name));
}

/* An action of the five safes, mentioned by the root. */
static json_t *action(struct maker *m, const char *id, const char *type, const char *kind,
                      const char *name, bool well)
{
    json_t *e = entity(m, id, type, name);

    if (kind != NULL)
        put(m, e, "additionalType", link_to(kind));
    put_text(m, e, "actionStatus", well ? completed : failed);
    append(m, m->mentions, link_to(id));
    return e;
}

/* ---- the crate itself ---- */

static void put_descriptor(struct maker *m)
{
    json_t *e = entity(m, metadata_id, "CreativeWork", "RO-Crate metadata");

    put(m, e, "about", link_to("./"));
    put(m, e, "conformsTo", link_to("https://w3id.org/ro/crate/1.1"));
    e = entity(m, profile_id, "CreativeWork", "Five Safes RO-Crate profile");
    put_text(m, e, "version", "0.4");
}

static void put_root(struct maker *m)
{
    const struct receipt_facts *f = m->c->facts;
    const Cohortium__Question *q = f->request.body->question;
    json_t *parts = json_array();
    json_t *e = entity(m, "./", "Dataset",
                       text_of(m, cx_printf(m->cx, "Answer to: %s", m->c->words)));

    put_text(
        m, e, "description",
        text_of(m, cx_printf(m->cx,
                             "%s of %s over %zu site%s of the consortium \"%s\": a "
                             "federated answer with its proof. %s",
                             q->analysis, q->dataset, f->n_sites,
                             f->n_sites == 1 ? "" : "s", f->manifest->body->consortium_name,
                             f->exact_for_testing ? "Exact for testing: a lab's answer."
                                                  : "No row left a site.")));
    put_text(m, e, "datePublished", crate_time(m->cx, (uint64_t)f->answered_at));
    put(m, e, "license", link_to("#terms"));
    put(m, e, "conformsTo", link_to(profile_id));
    for (size_t i = 0; i < m->c->n_files; i++)
        if (strcmp(m->c->files[i].path, crate_question) != 0)
            append(m, parts, link_to(m->c->files[i].path));
    append(m, parts, link_to(question_id));
    put(m, e, "hasPart", parts);
    put(m, e, "mainEntity", link_to(question_id));
    put(m, e, "mentions", json_incref(m->mentions));
    put(m, e, "author", link_to("#researcher"));
    put(m, e, "sourceOrganization", link_to("#project"));
    put(m, e, "publisher", link_to(member_id(m, f->request.who.home)));
    e = entity(m, "#terms", "CreativeWork", "Terms of use of this answer");
    put_text(m, e, "description",
             "Aggregate numbers that the sites have let go under the permit named here. "
             "Its purpose and the members' agreement bind whoever uses them; no licence "
             "is granted by this export.");
}

static void put_files(struct maker *m)
{
    json_t *e;

    for (size_t i = 0; i < m->c->n_files; i++) {
        const struct crate_file *f = &m->c->files[i];
        uint8_t digest[DIGEST_BYTES];

        digest_of(f->content, digest);
        e = entity(m, f->path, "File", f->name);
        put_text(m, e, "encodingFormat", f->type);
        put_text(m, e, "contentSize", text_of(m, cx_printf(m->cx, "%zu", f->content.n)));
        put_text(m, e, "sha256", hex_of(m, bytes_of(digest, sizeof digest)));
        if (strcmp(f->path, crate_receipt) == 0)
            put_text(
                m, e, "description",
                text_of(m, cx_printf(m->cx,
                                     "The proof of this answer: `cohortium verify %s "
                                     "--genesis %s`",
                                     crate_receipt,
                                     hex_of(m, bytes_of(m->c->facts->manifest->consortium,
                                                        DIGEST_BYTES)))));
    }
    e = entity(m, question_id, "Dataset", m->c->words);
    put_text(m, e, "description",
             "The question: a typed request that every site compiles itself. "
             "No program travels.");
    put(m, e, "hasPart", json_pack("[o]", link_to(crate_question)));
}

/* ---- safe people, safe projects ---- */

static void put_people(struct maker *m)
{
    const struct receipt_facts *f = m->c->facts;
    const Cohortium__Credential *who = f->request.who.body;
    json_t *members = json_array();
    json_t *e = entity(m, "#researcher", "Person", who->name);

    put(m, e, "affiliation", link_to(member_id(m, f->request.who.home)));
    put(m, e, "memberOf", json_pack("[o]", link_to("#project")));
    put_text(
        m, e, "identifier",
        text_of(m, cx_printf(m->cx, "sha256:%s",
                             hex_of(m, bytes_of(f->request.who.subject, DIGEST_BYTES)))));
    put_text(m, e, "description",
             text_of(m, cx_printf(m->cx, "Credential signed by %s, valid %s to %s",
                                  f->request.who.home->name,
                                  text_of(m, crate_time(m->cx, who->not_before)),
                                  text_of(m, crate_time(m->cx, who->not_after)))));
    for (size_t i = 0; i < f->manifest->body->n_members; i++) {
        const Cohortium__Member *member = f->manifest->body->members[i];

        e = entity(m, member_id(m, member), "Organization",
                   member->title[0] != '\0' ? member->title : member->name);
        put_text(m, e, "identifier", hex_of(m, PB_BYTES(member->node_id)));
        append(m, members, link_to(member_id(m, member)));
    }
    e = entity(m, "#consortium", "Organization", f->manifest->body->consortium_name);
    put_text(m, e, "identifier",
             hex_of(m, bytes_of(f->manifest->consortium, DIGEST_BYTES)));
    put(m, e, "member", members);
}

static void put_project(struct maker *m)
{
    const struct receipt_facts *f = m->c->facts;
    json_t *members = json_array();
    json_t *e = entity(m, "#project", "Project", f->permit->title);

    put_text(m, e, "description", f->permit->purpose);
    put_text(m, e, "identifier", hex_of(m, PB_BYTES(f->permit->id)));
    put(m, e, "parentOrganization", link_to("#consortium"));
    for (size_t i = 0; i < f->permit->n_members; i++) {
        const Cohortium__Member *member =
            manifest_find(f->manifest, f->permit->members[i].data);

        if (member != NULL)
            append(m, members, link_to(member_id(m, member)));
    }
    put(m, e, "member", members);
    e = entity(m, "#permit", "CreativeWork",
               text_of(m, cx_printf(m->cx, "Permit \"%s\"", f->permit->title)));
    put_text(m, e, "identifier", hex_of(m, PB_BYTES(f->permit->id)));
    put_text(m, e, "description",
             text_of(m, cx_printf(m->cx, "Valid %s to %s. Purpose: %s",
                                  text_of(m, crate_time(m->cx, f->permit->not_before)),
                                  text_of(m, crate_time(m->cx, f->permit->not_after)),
                                  f->permit->purpose)));
}

/* The officers of site i whose signatures are on some copy of the permit. */
static enum fault put_signoff(struct maker *m, size_t i)
{
    const Cohortium__Receipt *r = m->c->receipt;
    const Cohortium__Member *site = m->c->facts->sites[i].member;
    json_t *agents = json_array();
    json_t *e = action(m, text_of(m, cx_printf(m->cx, "#signoff-%s", site->name)),
                       "AssessAction", "https://w3id.org/shp#SignOff",
                       text_of(m, cx_printf(m->cx,
                                            "Sign-off of the permit by officers of "
                                            "%s: approved",
                                            site->name)),
                       true);

    put(m, e, "agent", agents);
    put(m, e, "instrument", link_to("#permit"));
    put(m, e, "object",
        json_pack("[o, o, o]", link_to("./"), link_to(question_id), link_to("#project")));
    for (size_t k = 0; k < site->n_officers; k++) {
        bool has_signed = false;

        for (size_t j = 0; j < r->n_permits && !has_signed; j++) {
            struct envelope permit;

            TRY(envelope_open(m->cx, ENVELOPE_PERMIT, PB_BYTES(r->permits[j]), &permit));
            has_signed = envelope_is_signed_by(&permit, site->officers[k]->key.data);
        }
        if (!has_signed)
            continue;
        const char *id = text_of(m, cx_printf(m->cx, "#officer-%s-%zu", site->name, k + 1));
        json_t *officer = entity(m, id, "Person", site->officers[k]->name);
        put(m, officer, "affiliation", link_to(member_id(m, site)));
        append(m, agents, link_to(id));
    }
    return FAULT_NONE;
}

/* ---- safe data, safe settings ---- */

static void put_data(struct maker *m)
{
    const struct receipt_facts *f = m->c->facts;
    const Cohortium__Question *q = f->request.body->question;
    const char *codebook =
        m->c->cb != NULL && m->c->cb->body->text[0] != '\0' ? crate_codebook : "#codebook";

    for (size_t i = 0; i < f->n_sites; i++) {
        const struct receipt_site *s = &f->sites[i];
        json_t *e =
            entity(m, data_id(m, i), "Dataset",
                   text_of(m, cx_printf(m->cx, "%s at %s", q->dataset, s->member->name)));

        put_text(m, e, "version", hex_of(m, s->version));
        put_text(m, e, "conditionsOfAccess",
                 "Its rows never leave the site; only sums that its gate lets go do.");
        put(m, e, "provider", link_to(member_id(m, s->member)));
        put(m, e, "isBasedOn", link_to(codebook));
    }
    if (codebook != crate_codebook) {
        json_t *e = entity(m, codebook, "CreativeWork",
                           text_of(m, cx_printf(m->cx, "Codebook of %s", q->dataset)));

        put_text(
            m, e, "identifier",
            text_of(m, cx_printf(m->cx, "sha256:%s", hex_of(m, PB_BYTES(q->codebook)))));
    }
}

static void put_policy(struct maker *m, size_t i)
{
    const Cohortium__Policy *p = crate_release(m->c, i)->policy;
    json_t *fields = json_array();
    json_t *e = entity(
        m, policy_id(m, i), "CreativeWork",
        text_of(m, cx_printf(m->cx, "Disclosure policy of class %s", p->policy_class)));

    put_text(m, e, "identifier",
             text_of(m, cx_printf(m->cx, "sha256:%s",
                                  hex_of(m, bytes_of(m->c->facts->sites[i].policy,
                                                     DIGEST_BYTES)))));
    put(m, e, "additionalProperty", fields);
    for (size_t k = 0; k < p->n_fields; k++) {
        const Cohortium__PolicyField *field = p->fields[k];
        const char *id =
            text_of(m, cx_printf(m->cx, "%s-%s", policy_id(m, i), field->name));
        json_t *value = field->n_words > 0 ? json_array() : json_real(field->number);

        for (size_t w = 0; w < field->n_words; w++)
            append(m, value, json_string(field->words[w]));
        put(m, entity(m, id, "PropertyValue", field->name), "value", value);
        append(m, fields, link_to(id));
    }
}

static void put_software(struct maker *m)
{
    json_t *e = entity(m, "#cohortium", "SoftwareApplication", "Cohortium");

    put_text(m, e, "softwareVersion", m->c->receipt->software);
    e = action(m, "#verification", "AssessAction", "https://w3id.org/shp#CheckValue",
               text_of(m, cx_printf(m->cx,
                                    "Every signature and log proof of the receipt "
                                    "verified: %zu statements hold",
                                    m->c->facts->n_statements)),
               true);
    put(m, e, "agent", link_to("#cohortium"));
    put(m, e, "object", link_to(crate_receipt));
}

/* Each site judged the request before it touched a row. */
static enum fault put_preflights(struct maker *m)
{
    for (size_t i = 0; i < m->c->receipt->n_preflights; i++) {
        struct envelope e;
        Cohortium__Preflight *p;

        TRY(envelope_open(m->cx, ENVELOPE_PREFLIGHT, PB_BYTES(m->c->receipt->preflights[i]),
                          &e));
        TRY(pb_unpack(m->cx, &cohortium__preflight__descriptor, e.body,
                      envelope_bound(ENVELOPE_PREFLIGHT), &p));
        const Cohortium__Member *site =
            manifest_find(m->c->facts->manifest, p->stamp->issuer.data);
        if (site == NULL)
            continue;
        json_t *a = action(m, text_of(m, cx_printf(m->cx, "#preflight-%s", site->name)),
                           "AssessAction", "https://w3id.org/shp#ValidationCheck",
                           text_of(m, cx_printf(m->cx,
                                                "Preflight at %s, before any row was "
                                                "read: approved",
                                                site->name)),
                           true);
        put_text(m, a, "endTime", crate_time(m->cx, p->stamp->issued_at));
        put(m, a, "agent", link_to(member_id(m, site)));
        put(m, a, "instrument", link_to("#permit"));
        put(m, a, "object", link_to("./"));
    }
    return FAULT_NONE;
}

/* ---- safe outputs ---- */

static void put_disclosure(struct maker *m, size_t i)
{
    const struct receipt_site *s = &m->c->facts->sites[i];
    bool released = crate_release(m->c, i)->released;
    json_t *e =
        action(m, text_of(m, cx_printf(m->cx, "#disclosure-%s", s->member->name)),
               "AssessAction", "https://w3id.org/shp#DisclosureCheck",
               text_of(m, cx_printf(m->cx, "Disclosure check at %s: %s", s->member->name,
                                    released ? "approved" : "not released")),
               released);

    put_text(m, e, "endTime", crate_time(m->cx, s->record->time));
    put(m, e, "agent", link_to(member_id(m, s->member)));
    put(m, e, "instrument", link_to(policy_id(m, i)));
    put(m, e, "object", link_to("./"));
    put_text(m, e, "description",
             text_of(m, cx_printf(m->cx,
                                  "Logged as \"%s\" at index %llu of a log of %llu records "
                                  "that the site signed",
                                  s->record->decision, (unsigned long long)s->index,
                                  (unsigned long long)s->size)));
}

/* Who else has seen site i's log as it was: the checkpoint that the decision is under, and
 * the other institutions that have cosigned it. Fewer than two are no witnesses. */
static void put_witness(struct maker *m, size_t i)
{
    const struct receipt_site *s = &m->c->facts->sites[i];
    const struct receipt_seen *seen = &m->c->facts->seen[i];
    const char *note = m->c->receipt->proofs[i]->checkpoint;
    const char *id = text_of(m, cx_printf(m->cx, "#checkpoint-%s", s->member->name));
    bool well = seen->n >= WITNESSES_MIN;
    json_t *agents = json_array();
    uint8_t digest[DIGEST_BYTES];

    digest_of(bytes_of(note, strlen(note)), digest);
    json_t *e = entity(
        m, id, "CreativeWork",
        text_of(m, cx_printf(m->cx, "Checkpoint of the log of %s", s->member->name)));
    put_text(
        m, e, "description",
        text_of(m, cx_printf(m->cx,
                             "The tree of %llu records that the decision at index %llu "
                             "is under, signed by the site (C2SP tlog-checkpoint); it "
                             "is in %s",
                             (unsigned long long)s->size, (unsigned long long)s->index,
                             crate_receipt)));
    put_text(m, e, "identifier",
             text_of(m, cx_printf(m->cx, "sha256:%s",
                                  hex_of(m, bytes_of(digest, sizeof digest)))));
    put(m, e, "version", json_integer((json_int_t)s->size));
    put(m, e, "author", link_to(member_id(m, s->member)));
    put(m, e, "isPartOf", link_to(crate_receipt));
    for (size_t k = 0; k < seen->n; k++)
        append(m, agents, link_to(member_id(m, seen->by[k])));
    if (seen->n == 0)
        append(m, agents, link_to("#cohortium")); /* who looked for them */
    e = action(m, text_of(m, cx_printf(m->cx, "#witness-%s", s->member->name)),
               "AssessAction", "https://w3id.org/shp#CheckValue",
               text_of(m, cx_printf(m->cx, "The log of %s at %llu records: %s",
                                    s->member->name, (unsigned long long)s->size,
                                    well ? "witnessed" : "unwitnessed")),
               well);
    put(m, e, "agent", agents);
    put(m, e, "object", json_pack("[o, o]", link_to(id), link_to(crate_receipt)));
    if (!well)
        put_text(m, e, "error",
                 text_of(m, cx_printf(m->cx,
                                      "unwitnessed: %zu other institution%s cosigned it, "
                                      "and at least %d must",
                                      seen->n, seen->n == 1 ? " has" : "s have",
                                      WITNESSES_MIN)));
}

static void put_query(struct maker *m)
{
    const struct receipt_facts *f = m->c->facts;
    json_t *objects = json_array();
    json_t *e = action(m, "#query", "CreateAction", NULL,
                       text_of(m, cx_printf(m->cx, "Execute: %s", m->c->words)),
                       crate_is_released(m->c));

    put(m, e, "agent", link_to("#researcher"));
    put(m, e, "instrument", link_to(question_id));
    put_text(m, e, "startTime", crate_time(m->cx, f->request.body->stamp->issued_at));
    put_text(m, e, "endTime", crate_time(m->cx, (uint64_t)f->answered_at));
    for (size_t i = 0; i < f->n_sites; i++)
        append(m, objects, link_to(data_id(m, i)));
    put(m, e, "object", objects);
    put(m, e, "result",
        json_pack("[o, o, o]", link_to(crate_json), link_to(crate_csv),
                  link_to(crate_receipt)));
    if (!crate_is_released(m->c))
        put_text(m, e, "error",
                 "not released: some rule of the sites withheld this answer");
}

/* ---- all of it ---- */

static enum fault fill(struct maker *m)
{
    put_descriptor(m);
    put_root(m);
    put_files(m);
    put_people(m);
    put_project(m);
    put_data(m);
    put_software(m);
    for (size_t i = 0; i < crate_releases(m->c); i++)
        put_policy(m, i);
    put_query(m);
    for (size_t i = 0; i < m->c->facts->n_sites; i++)
        TRY(put_signoff(m, i));
    TRY(put_preflights(m));
    for (size_t i = 0; i < m->c->facts->n_sites; i++)
        put_disclosure(m, i);
    for (size_t i = 0; i < m->c->facts->n_sites; i++)
        put_witness(m, i);
    return FAULT_NONE;
}

enum fault crate_metadata(const struct crate *c, struct bytes *ret)
{
    struct maker m = {.c = c, .cx = c->cx, .graph = json_array(), .mentions = json_array()};
    enum fault fault = fill(&m);
    /* sha256 is a term of schema.org that the context of RO-Crate 1.1 is too old for. */
    json_t *document = json_pack("{s:[s, {s:s}], s:O}", "@context",
                                 "https://w3id.org/ro/crate/1.1/context", "sha256",
                                 "http://schema.org/sha256", "@graph", m.graph);
    char *text = fault != FAULT_NONE || m.broken || document == NULL
                     ? NULL
                     : json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(17));

    json_decref(document);
    json_decref(m.graph);
    json_decref(m.mentions);
    TRY(fault);
    if (text == NULL)
        return cx_fail(c->cx, FAULT_MEMORY, "out of memory for the crate's metadata");
    const char *copy = cx_printf(c->cx, "%s\n", text);
    free(text);
    if (copy == NULL)
        return FAULT_MEMORY;
    *ret = bytes_of(copy, strlen(copy));
    return FAULT_NONE;
}
