/* papers.c - credentials, permits and requests. */
#include "protocol/papers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"

enum {
    COMPLAINTS_MAX = 64,
    RESEARCHERS_MAX = 1000,
    NAMES_MAX = 4000,     /* datasets, variables, analyses of a permit */
    TEXT_MAX = 4096,      /* bytes of a title, a purpose, a note */
    NAME_MAX_BYTES = 256, /* of a researcher */
};

/* ---- lists ---- */

/* Keys or ids of 32 bytes each, ascending, none twice. */
static enum fault check_ids(struct cx *cx, const char *what, const ProtobufCBinaryData *ids,
                            size_t n, size_t least, size_t most)
{
    if (n < least || n > most)
        return cx_fail(cx, FAULT_FORMAT, "%s: %zu listed, expected %zu to %zu", what, n,
                       least, most);
    for (size_t i = 0; i < n; i++) {
        if (ids[i].len != DIGEST_BYTES)
            return cx_fail(cx, FAULT_FORMAT, "%s: number %zu has %zu bytes, expected 32",
                           what, i + 1, ids[i].len);
        if (i > 0 && memcmp(ids[i - 1].data, ids[i].data, DIGEST_BYTES) >= 0)
            return cx_fail(cx, FAULT_FORMAT, "%s: not sorted, or one is listed twice",
                           what);
    }
    return FAULT_NONE;
}

/* Names, ascending by bytes, none twice. */
static enum fault check_names(struct cx *cx, const char *what, char *const *names, size_t n,
                              size_t least)
{
    if (n < least || n > NAMES_MAX)
        return cx_fail(cx, FAULT_FORMAT, "%s: %zu listed, expected %zu to %d", what, n,
                       least, NAMES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!variable_name_is_valid(names[i]))
            return cx_fail(cx, FAULT_FORMAT, "%s: \"%.40s\" is not a name", what, names[i]);
        if (i > 0 && strcmp(names[i - 1], names[i]) >= 0)
            return cx_fail(cx, FAULT_FORMAT, "%s: not sorted, or %s is listed twice", what,
                           names[i]);
    }
    return FAULT_NONE;
}

static bool ids_hold(const ProtobufCBinaryData *ids, size_t n, const uint8_t id[32])
{
    for (size_t i = 0; i < n; i++)
        if (ids[i].len == DIGEST_BYTES && memcmp(ids[i].data, id, DIGEST_BYTES) == 0)
            return true;
    return false;
}

static bool names_hold(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* ---- credential ---- */

static enum fault check_life(struct cx *cx, const Cohortium__Credential *c, int64_t now)
{
    char then[32], here[32];

    if (c->not_after > INT64_MAX / 2 || c->not_before >= c->not_after ||
        c->not_after - c->not_before > (uint64_t)CREDENTIAL_LIFE_MAX_MS)
        return cx_fail(cx, FAULT_DENIED,
                       "the credential of %.64s has an empty window or one of more than 30 "
                       "days",
                       c->name);
    (void)clock_format(now, here, sizeof here);
    if (now > (int64_t)c->not_after) {
        (void)clock_format((int64_t)c->not_after, then, sizeof then);
        return cx_fail(cx, FAULT_EXPIRED,
                       "the credential of %.64s expired at %s, it is %s here: ask the home "
                       "node's operator for a new one",
                       c->name, then, here);
    }
    if ((int64_t)c->not_before > now + CLOCK_SKEW_MS) {
        (void)clock_format((int64_t)c->not_before, then, sizeof then);
        return cx_fail(
            cx, FAULT_EXPIRED,
            "the credential of %.64s begins at %s, it is %s here: wait, or compare "
            "the clocks",
            c->name, then, here);
    }
    return FAULT_NONE;
}

/* A credential outlives a stamp's 24 hours: of its stamp only who and where is judged, and
 * its own dates bound its life. */
static enum fault check_issuer(struct cx *cx, const struct manifest *m,
                               const Cohortium__Credential *c,
                               const Cohortium__Member **ret_home)
{
    const Cohortium__Stamp *s = c->stamp;

    if (s == NULL || s->consortium.len != DIGEST_BYTES || s->issuer.len != DIGEST_BYTES ||
        s->request_id.len != ID_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "a credential without a complete stamp");
    if (s->n_audience > 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "a credential for %zu nodes: it is for all of the consortium and names "
                       "none",
                       s->n_audience);
    if (memcmp(s->consortium.data, m->consortium, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED, "a credential of another consortium than \"%s\"",
                       m->body->consortium_name);
    if (s->manifest_version < 1 || s->manifest_version > m->body->version)
        return cx_fail(cx, FAULT_DENIED,
                       "a credential made under manifest version %" PRIu64
                       ", here version %" PRIu64
                       " is in force: bring the manifest up to date",
                       s->manifest_version, m->body->version);
    const Cohortium__Member *home = manifest_find(m, s->issuer.data);
    if (home == NULL)
        return cx_fail(cx, FAULT_DENIED,
                       "the credential of %.64s was issued by a node that is not a member",
                       c->name);
    if (!home->issues_researchers)
        return cx_fail(
            cx, FAULT_DENIED,
            "the credential of %.64s was issued by %s, which the manifest does not "
            "let issue credentials",
            c->name, home->name);
    *ret_home = home;
    return FAULT_NONE;
}

/* Names and titles stand in sentences, in lists and in the log: a second line of theirs
 * would read as one of ours. */
static bool is_one_line(const char *text, size_t most)
{
    size_t n = strlen(text);

    return n >= 1 && n <= most && strpbrk(text, "\n\t") == NULL;
}

/* A card proves no possession of its keys. With a node's keys on it, its bearer would be
 * taken for that node wherever only an id is compared. */
static enum fault check_not_a_node(struct cx *cx, const struct manifest *m,
                                   const Cohortium__Credential *c,
                                   const uint8_t subject[32])
{
    const Cohortium__Member *node = manifest_find(m, subject);

    if (node == NULL)
        node = manifest_find_noise(m, c->noise_key.data);
    if (node != NULL)
        return cx_fail(
            cx, FAULT_DENIED,
            "the credential of %.64s is for a key of the node %s: a researcher has "
            "keys of their own",
            c->name, node->name);
    return FAULT_NONE;
}

enum fault credential_verify(struct cx *cx, const struct manifest *m, struct bytes packed,
                             int64_t now, struct credential *ret)
{
    struct credential who = {0};
    Cohortium__Credential *c;

    TRY(envelope_open(cx, ENVELOPE_CREDENTIAL, packed, &who.envelope));
    TRY(pb_unpack(cx, &cohortium__credential__descriptor, who.envelope.body,
                  envelope_bound(ENVELOPE_CREDENTIAL), &c));
    if (c->signing_key.len != KEY_BYTES || c->noise_key.len != KEY_BYTES ||
        c->serial.len != ID_BYTES || !is_one_line(c->name, NAME_MAX_BYTES))
        return cx_fail(
            cx, FAULT_FORMAT,
            "a credential needs a name of one line, at most %d bytes, two keys of "
            "32 bytes and a serial of 16",
            NAME_MAX_BYTES);
    TRY(check_issuer(cx, m, c, &who.home));
    if (!envelope_is_signed_by(&who.envelope, who.home->signing_key.data))
        return cx_fail(cx, FAULT_DENIED,
                       "the credential of %.64s does not carry a valid signature of %s",
                       c->name, who.home->name);
    TRY(check_life(cx, c, now));
    digest_of(PB_BYTES(c->signing_key), who.subject);
    TRY(check_not_a_node(cx, m, c, who.subject));
    who.body = c;
    *ret = who;
    return FAULT_NONE;
}

/* ---- permit ---- */

static enum fault check_permit(struct cx *cx, const struct manifest *m,
                               const Cohortium__Permit *p)
{
    if (p->id.len != ID_BYTES || p->consortium.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT,
                       "a permit needs an id of 16 bytes and a consortium");
    if (memcmp(p->consortium.data, m->consortium, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED, "a permit of another consortium than \"%s\"",
                       m->body->consortium_name);
    if (!is_one_line(p->title, TEXT_MAX) || p->purpose[0] == '\0' ||
        strlen(p->purpose) > TEXT_MAX)
        return cx_fail(
            cx, FAULT_FORMAT,
            "a permit needs a title of one line and a purpose, of at most %d bytes "
            "each",
            TEXT_MAX);
    if (p->not_before >= p->not_after || p->not_after > INT64_MAX / 2)
        return cx_fail(cx, FAULT_FORMAT, "a permit whose window is empty");
    TRY(check_ids(cx, "researchers", p->researchers, p->n_researchers, 1, RESEARCHERS_MAX));
    TRY(check_ids(cx, "members", p->members, p->n_members, 1, MANIFEST_MEMBERS_MAX));
    if (p->issuer.len != 0 && (p->issuer.len != DIGEST_BYTES ||
                               !ids_hold(p->members, p->n_members, p->issuer.data)))
        return cx_fail(cx, FAULT_FORMAT,
                       "a permit is issued by one of the members that it names, or by none");
    TRY(check_names(cx, "datasets", p->datasets, p->n_datasets, 1));
    TRY(check_names(cx, "variables", p->variables, p->n_variables, 0));
    return check_names(cx, "analyses", p->analyses, p->n_analyses, 0);
}

bool permit_is_signed_for(const struct permit *p, const Cohortium__Member *member)
{
    for (size_t i = 0; i < member->n_officers; i++)
        if (envelope_is_signed_by(&p->envelope, member->officers[i]->key.data))
            return true;
    return false;
}

enum fault permit_verify(struct cx *cx, const struct manifest *m, struct bytes packed,
                         struct permit *ret)
{
    struct permit permit = {0};
    Cohortium__Permit *p;
    uint32_t need = m->body->permit_signatures > 1 ? m->body->permit_signatures : 1,
             have = 0;

    TRY(envelope_open(cx, ENVELOPE_PERMIT, packed, &permit.envelope));
    TRY(pb_unpack(cx, &cohortium__permit__descriptor, permit.envelope.body,
                  envelope_bound(ENVELOPE_PERMIT), &p));
    if (check_permit(cx, m, p) != FAULT_NONE)
        return cx_prefix(cx, "permit \"%.64s\": ", p->title);
    for (size_t i = 0; i < p->n_members; i++) {
        const Cohortium__Member *member = manifest_find(m, p->members[i].data);

        have += member != NULL && permit_is_signed_for(&permit, member);
    }
    if (have < need)
        return cx_fail(
            cx, FAULT_DENIED,
            "permit \"%.64s\": signed by officers of %u of the members it names, "
            "and %u must sign",
            p->title, have, need);
    permit.body = p;
    *ret = permit;
    return FAULT_NONE;
}

/* ---- complaints ---- */

struct complaints complaints_new(struct cx *cx)
{
    return (struct complaints){.cx = cx};
}

static bool complaints_room(struct complaints *c)
{
    size_t size = c->size ? 2 * c->size : 8;

    if (c->n < c->size)
        return true;
    Cohortium__Complaint **list = cx_array(c->cx, size, sizeof *list);
    if (list == NULL)
        return false;
    if (c->n > 0)
        memcpy(list, c->list, c->n * sizeof *list);
    c->list = list;
    c->size = size;
    return true;
}

void complain(struct complaints *c, const char *code, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (c->n >= COMPLAINTS_MAX || c->fault != FAULT_NONE)
        return;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* A cut may fall inside a character, and a reply must be clean text. */
    for (size_t k = strlen(text);
         n >= (int)sizeof text && k > 0 && !utf8_is_clean(text, k);)
        text[--k] = '\0';
    Cohortium__Complaint *one = cx_alloc(c->cx, sizeof *one);
    if (n < 0 || one == NULL || !complaints_room(c)) {
        c->fault = FAULT_MEMORY;
        return;
    }
    cohortium__complaint__init(one);
    one->code = cx_strdup(c->cx, code);
    one->text = cx_strdup(c->cx, text);
    if (one->code == NULL || one->text == NULL)
        c->fault = FAULT_MEMORY;
    else
        c->list[c->n++] = one;
}

static void complain_of_dates(struct complaints *c, const Cohortium__Permit *p, int64_t now)
{
    char then[32], here[32];

    (void)clock_format(now, here, sizeof here);
    if (now > (int64_t)p->not_after) {
        (void)clock_format((int64_t)p->not_after, then, sizeof then);
        complain(
            c, "expired_permit",
            "permit \"%.64s\" ended at %s, it is %s here: ask the officers for a new one",
            p->title, then, here);
    }
    if ((int64_t)p->not_before > now) {
        (void)clock_format((int64_t)p->not_before, then, sizeof then);
        complain(c, "permit_not_begun", "permit \"%.64s\" begins at %s, it is %s here",
                 p->title, then, here);
    }
}

static void complain_of_sites(struct complaints *c, const Cohortium__Permit *p,
                              const struct manifest *m, const Cohortium__Question *q)
{
    for (size_t i = 0; i < q->n_sites; i++) {
        if (q->sites[i].len == DIGEST_BYTES &&
            ids_hold(p->members, p->n_members, q->sites[i].data))
            continue;
        const Cohortium__Member *member =
            q->sites[i].len == DIGEST_BYTES ? manifest_find(m, q->sites[i].data) : NULL;
        complain(
            c, "site_not_permitted",
            "permit \"%.64s\" does not cover site %s: leave it out, or ask the officers",
            p->title, member != NULL ? member->name : "(not a member)");
    }
}

void permit_complaints(struct complaints *c, const struct permit *p,
                       const struct manifest *m, const Cohortium__Request *request,
                       const struct credential *who, int64_t now)
{
    const Cohortium__Permit *b = p->body;
    const Cohortium__Question *q = request->question;

    if (!bytes_equal(PB_BYTES(b->id), PB_BYTES(request->permit)))
        complain(c, "wrong_permit",
                 "the request names another permit than \"%.64s\": choose the one with "
                 "--permit",
                 b->title);
    complain_of_dates(c, b, now);
    if (!ids_hold(b->researchers, b->n_researchers, who->body->signing_key.data))
        complain(c, "researcher_not_permitted",
                 "permit \"%.64s\" does not name researcher %.64s with this key: ask the "
                 "officers to add it",
                 b->title, who->body->name);
    if (q == NULL) {
        complain(c, "no_question", "the request holds no question");
        return;
    }
    if (!names_hold(b->datasets, b->n_datasets, q->dataset)) {
        const char *near =
            bytes_nearest(q->dataset, (const char *const *)b->datasets, b->n_datasets);

        complain(c, "dataset_not_permitted",
                 "permit \"%.64s\" does not cover dataset %.64s%s%s%s", b->title,
                 q->dataset, near != NULL ? ": did you mean " : "",
                 near != NULL ? near : "",
                 near != NULL ? "?" : ": ask for one it names, or ask the officers");
    }
    if (b->n_analyses > 0 && !names_hold(b->analyses, b->n_analyses, q->analysis))
        complain(
            c, "analysis_not_permitted",
            "permit \"%.64s\" does not cover the analysis %.64s: ask the officers to add "
            "it",
            b->title, q->analysis);
    complain_of_sites(c, b, m, q);
    if (q->by_site && !b->by_site)
        complain(c, "by_site_not_permitted",
                 "permit \"%.64s\" allows no answers by site: ask for the pooled one",
                 b->title);
}

/* ---- request ---- */

static enum fault check_sites(struct cx *cx, const struct manifest *m,
                              const Cohortium__Request *r)
{
    const Cohortium__Question *q = r->question;
    const Cohortium__Stamp *s = r->stamp;

    TRY(check_ids(cx, "sites of a request", q->sites, q->n_sites, 1, MANIFEST_MEMBERS_MAX));
    for (size_t i = 0; i < q->n_sites; i++) {
        const Cohortium__Member *site = manifest_find(m, q->sites[i].data);

        if (site == NULL)
            return cx_fail(cx, FAULT_DENIED, "site %zu of a request is not a member",
                           i + 1);
        if (!site->holds_data)
            return cx_fail(cx, FAULT_DENIED,
                           "site %s of a request holds no data: leave it out", site->name);
        if (!ids_hold(s->audience, s->n_audience, q->sites[i].data))
            return cx_fail(cx, FAULT_DENIED, "site %s is not in the request's audience",
                           site->name);
    }
    return FAULT_NONE;
}

static enum fault check_request(struct cx *cx, const Cohortium__Request *r)
{
    if (r->stamp == NULL || r->question == NULL)
        return cx_fail(cx, FAULT_FORMAT, "a request without a %s",
                       r->stamp == NULL ? "stamp" : "question");
    if (r->home.len != DIGEST_BYTES || r->permit.len != ID_BYTES ||
        strlen(r->note) > TEXT_MAX)
        return cx_fail(
            cx, FAULT_FORMAT,
            "a request needs a home of 32 bytes, a permit of 16 and a note of at "
            "most %d bytes",
            TEXT_MAX);
    if (!name_is_valid(r->question->dataset) || !name_is_valid(r->question->analysis) ||
        r->question->codebook.len != DIGEST_BYTES)
        return cx_fail(
            cx, FAULT_FORMAT,
            "a question needs names of a dataset and an analysis, and the digest of "
            "its codebook");
    return FAULT_NONE;
}

/* stamp_now: when its window is judged; now: when its credential must hold. */
static enum fault request_open(struct cx *cx, const struct manifest *m, struct bytes packed,
                               const uint8_t *own_node, int64_t stamp_now, int64_t now,
                               struct request *ret)
{
    struct request request = {0};
    Cohortium__Request *r;

    TRY(envelope_open(cx, ENVELOPE_REQUEST, packed, &request.envelope));
    TRY(pb_unpack(cx, &cohortium__request__descriptor, request.envelope.body,
                  envelope_bound(ENVELOPE_REQUEST), &r));
    TRY(check_request(cx, r));
    if (stamp_check_life(cx, r->stamp, m, own_node, stamp_now, REQUEST_LIFE_MAX_MS) !=
        FAULT_NONE)
        return cx_prefix(cx, "request: ");
    TRY(credential_verify(cx, m, PB_BYTES(r->credential), now, &request.who));
    if (!envelope_is_signed_by(&request.envelope, request.who.body->signing_key.data))
        return cx_fail(cx, FAULT_DENIED,
                       "the request does not carry a valid signature of researcher %.64s",
                       request.who.body->name);
    if (memcmp(r->stamp->issuer.data, request.who.subject, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED,
                       "the request's issuer is not the researcher %.64s of its credential",
                       request.who.body->name);
    if (memcmp(r->home.data, request.who.home->node_id.data, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED,
                       "the request's home is not %s, which issued the credential",
                       request.who.home->name);
    if (!ids_hold(r->stamp->audience, r->stamp->n_audience, r->home.data))
        return cx_fail(cx, FAULT_DENIED, "the home %s is not in the request's audience",
                       request.who.home->name);
    TRY(check_sites(cx, m, r));
    request.body = r;
    *ret = request;
    return FAULT_NONE;
}

enum fault request_verify(struct cx *cx, const struct manifest *m, struct bytes packed,
                          const uint8_t own_node[32], int64_t now, struct request *ret)
{
    return request_open(cx, m, packed, own_node, now, now, ret);
}

enum fault request_verify_at(struct cx *cx, const struct manifest *m, struct bytes packed,
                             int64_t at, struct request *ret)
{
    struct envelope claimed;
    Cohortium__Request *r;
    int64_t stamp_now = at;

    /* The window says until when a request may be begun; its answer is logged when it is
     * done. A session that ran past the window was begun inside it: at most a day before.
     */
    TRY(envelope_open(cx, ENVELOPE_REQUEST, packed, &claimed));
    TRY(pb_unpack(cx, &cohortium__request__descriptor, claimed.body,
                  envelope_bound(ENVELOPE_REQUEST), &r));
    if (r->stamp != NULL && r->stamp->expires_at <= INT64_MAX / 2 &&
        at > (int64_t)r->stamp->expires_at &&
        at - (int64_t)r->stamp->expires_at <= SESSION_LIFE_MAX_MS)
        stamp_now = (int64_t)r->stamp->expires_at;
    return request_open(cx, m, packed, NULL, stamp_now, at, ret);
}
