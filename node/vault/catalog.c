/* catalog.c - what this site is and has, for peers and researchers. No row count leaves. */
#include <stdio.h>
#include <string.h>

#include "node/vault/ledger.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

enum { DAY_MS = 24 * 3600 * 1000 };

struct find {
    const uint8_t *id;
    struct bytes packed;
    struct bytes *list;
    size_t n;
    const char *name_space;
    uint8_t head[32];
    const struct credential *who;
    Cohortium__LogRecord *record;
    const char *details;
};

static enum fault find_permit(struct cx *cx, sqlite3 *sql, void *user)
{
    struct find *f = user;

    return permits_find(cx, sql, f->id, &f->packed);
}

enum fault vault_find_permit(struct cx *cx, struct vault *v, const uint8_t id[16],
                             struct bytes *ret_packed)
{
    struct find f = {.id = id};

    TRY(db_read(cx, v->db, find_permit, &f));
    *ret_packed = f.packed;
    return FAULT_NONE;
}

static enum fault find_head(struct cx *cx, sqlite3 *sql, void *user)
{
    struct find *f = user;

    return ledger_head(cx, sql, f->name_space, f->head);
}

enum fault vault_ledger_head(struct cx *cx, struct vault *v, const char *name_space,
                             uint8_t ret[32])
{
    struct find f = {.name_space = name_space};

    TRY(db_read(cx, v->db, find_head, &f));
    memcpy(ret, f.head, sizeof f.head);
    return FAULT_NONE;
}

static enum fault append(struct cx *cx, sqlite3 *sql, void *user)
{
    struct find *f = user;
    uint64_t index;

    return audit_append(cx, sql, f->record, f->details, &index);
}

enum fault vault_log(struct cx *cx, struct vault *v, Cohortium__LogRecord *record,
                     const char *details)
{
    struct find f = {.record = record, .details = details};

    return db_write(cx, v->db, append, &f);
}

enum fault vault_catalog(struct cx *cx, struct vault *v, Cohortium__Site *ret)
{
    struct store_row *rows;
    size_t n;

    *ret = (Cohortium__Site)COHORTIUM__SITE__INIT;
    ret->node_id = v->self->node_id;
    ret->name = v->self->name;
    ret->title = v->self->title;
    ret->state = (char *)"this";
    ret->software = (char *)COHORTIUM_VERSION;
    ret->clock = (uint64_t)clock_utc_ms();
    enum fault fault = vault_is_ready(cx, v);
    ret->ready = fault == FAULT_NONE;
    if (!ret->ready) {
        ret->why_not = cx_strdup(cx, cx_message(cx));
        if (ret->why_not == NULL)
            return FAULT_MEMORY;
    }
    TRY(store_list(cx, v->store, false, &rows, &n));
    CX_NEW(cx, ret->datasets, n);
    for (size_t i = 0; i < n; i++) {
        struct bytes packed;
        struct codebook *cb;
        Cohortium__DatasetCard *card;

        if (strcmp(rows[i].state, "answers") != 0)
            continue;
        TRY(store_codebook(cx, v->store, rows[i].name, rows[i].codebook, &packed));
        TRY(codebook_open(cx, packed, &cb));
        CX_NEW(cx, card, 1);
        *card = (Cohortium__DatasetCard)COHORTIUM__DATASET_CARD__INIT;
        card->name = (char *)rows[i].name;
        card->title = cb->body->title;
        card->codebook = PB_DATA(bytes_of(rows[i].codebook, DIGEST_BYTES));
        for (size_t k = 0; k < cb->body->n_variables; k++)
            card->variables += variable_is_usable(cb->body->variables[k]);
        card->imported_at = rows[i].imported_at / DAY_MS * DAY_MS;
        ret->datasets[ret->n_datasets++] = card;
    }
    return FAULT_NONE;
}

enum fault vault_codebook(struct cx *cx, struct vault *v, struct bytes body, struct bytes *ret)
{
    Cohortium__CodebookCall *call;
    Cohortium__CodebookReply reply = COHORTIUM__CODEBOOK_REPLY__INIT;
    struct bytes packed;

    TRY(pb_unpack(cx, &cohortium__codebook_call__descriptor, body, 4096, &call));
    if (call->digest.len != 0 && call->digest.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "a codebook's digest has 32 bytes");
    TRY(store_codebook(cx, v->store, call->dataset,
                       call->digest.len > 0 ? call->digest.data : NULL, &packed));
    reply.codebook = PB_DATA(packed);
    return pb_pack(cx, &reply.base, ret);
}

struct newest {
    struct vault *v;
    struct credential who;
    struct bytes packed; /* the researcher's newest credential */
};

static enum fault check_credential(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct newest *n = user;

    return researchers_check(cx, sql, n->who.body->serial.data);
}

/* who: NULL for anybody's. */
static enum fault admit(struct cx *cx, struct vault *v, const struct caller *who,
                        struct bytes credential)
{
    struct newest n = {.v = v};

    TRY(credential_verify(cx, v->manifest, credential, clock_utc_ms(), &n.who));
    if (!member_same(n.who.home, v->self))
        return cx_fail(cx, FAULT_DENIED, "this credential was issued by %s; ask there",
                       n.who.home->name);
    if (who != NULL)
        TRY(caller_is_researcher(cx, who, bytes_of(n.who.subject, DIGEST_BYTES)));
    return db_read(cx, v->db, check_credential, &n);
}

enum fault vault_admit(struct cx *cx, struct vault *v, struct bytes credential)
{
    return admit(cx, v, NULL, credential);
}

enum fault vault_admit_caller(struct cx *cx, struct vault *v, const struct caller *who,
                              struct bytes credential)
{
    return admit(cx, v, who, credential);
}

static enum fault gather_sites(struct cx *cx, sqlite3 *sql, void *user)
{
    struct find *f = user;
    struct researcher_row *rows;
    size_t n;
    uint64_t newest = 0;

    TRY(permits_list(cx, sql, &f->list, &f->n));
    TRY(researchers_list(cx, sql, &rows, &n));
    for (size_t i = 0; f->who != NULL && i < n; i++)
        if (memcmp(rows[i].subject, f->who->subject, DIGEST_BYTES) == 0 &&
            rows[i].revoked_at == 0 && rows[i].not_after >= newest) {
            newest = rows[i].not_after;
            f->packed = rows[i].credential;
        }
    return FAULT_NONE;
}

struct use {
    const uint8_t *permit;
    uint64_t charged;
    struct permit_end end;
};

static enum fault read_use(struct cx *cx, sqlite3 *sql, void *user)
{
    struct use *u = user;

    TRY(permits_revoked(cx, sql, u->permit, &u->end));
    return permits_used(cx, sql, u->permit, &u->charged);
}

enum fault vault_permit_stands(struct cx *cx, struct vault *v, const uint8_t id[16])
{
    struct use use = {.permit = id};
    char then[32];

    TRY(db_read(cx, v->db, read_use, &use));
    if (use.end.at == 0)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_DENIED,
                   "this permit was revoked at %s on %s; ask its officers for a new one",
                   v->self->name, clock_format(use.end.at, then, sizeof then));
}

/* The permits that name this researcher, as cards. */
static enum fault list_permits(struct cx *cx, struct vault *v, const struct find *f,
                               Cohortium__SitesReply *reply)
{
    CX_NEW(cx, reply->permits, f->n);
    for (size_t i = 0; i < f->n; i++) {
        struct permit p;
        Cohortium__PermitCard *card;
        bool named = false;

        /* One that the officers of today have not signed, or have taken back, is none. */
        enum fault fault = permit_verify(cx, v->manifest, f->list[i], &p);
        if (fault == FAULT_NONE)
            fault = vault_permit_stands(cx, v, p.body->id.data);
        if (fault == FAULT_DENIED)
            continue;
        TRY(fault);
        for (size_t k = 0; k < p.body->n_researchers; k++)
            named = named || bytes_equal(PB_BYTES(p.body->researchers[k]),
                                         PB_BYTES(f->who->body->signing_key));
        if (!named)
            continue;
        CX_NEW(cx, card, 1);
        *card = (Cohortium__PermitCard)COHORTIUM__PERMIT_CARD__INIT;
        card->id = p.body->id;
        card->title = p.body->title;
        card->n_datasets = p.body->n_datasets;
        card->datasets = p.body->datasets;
        card->not_after = p.body->not_after;
        card->by_site = p.body->by_site;
        card->budget = p.body->budget;
        struct use use = {.permit = p.body->id.data};
        TRY(db_read(cx, v->db, read_use, &use));
        card->charged = use.charged;
        reply->permits[reply->n_permits++] = card;
    }
    return FAULT_NONE;
}

static enum fault fill_manifests(struct cx *cx, struct vault *v, Cohortium__SitesReply *reply)
{
    reply->n_manifests = v->manifest->n_chain;
    CX_NEW(cx, reply->manifests, reply->n_manifests);
    for (size_t i = 0; i < reply->n_manifests; i++)
        reply->manifests[i] = PB_DATA(v->manifest->chain[i]);
    return FAULT_NONE;
}

enum fault vault_sites(struct cx *cx, struct vault *v, const struct caller *caller,
                       struct bytes credential, struct bytes *ret)
{
    Cohortium__SitesReply reply = COHORTIUM__SITES_REPLY__INIT;
    Cohortium__Site site, *list = &site;
    struct credential who;
    struct find f = {.who = &who};

    TRY(admit(cx, v, caller, credential));
    TRY(credential_verify(cx, v->manifest, credential, clock_utc_ms(), &who));
    TRY(vault_catalog(cx, v, &site));
    reply.n_sites = 1;
    reply.sites = &list;
    TRY(fill_manifests(cx, v, &reply));
    TRY(db_read(cx, v->db, gather_sites, &f));
    TRY(list_permits(cx, v, &f, &reply));
    reply.credential = PB_DATA(f.packed);
    return pb_pack(cx, &reply.base, ret);
}

enum fault vault_hello(struct cx *cx, struct vault *v, struct bytes *ret)
{
    Cohortium__SitesReply reply = COHORTIUM__SITES_REPLY__INIT;
    Cohortium__Site site, *list = &site;

    TRY(vault_catalog(cx, v, &site));
    reply.n_sites = 1;
    reply.sites = &list;
    TRY(fill_manifests(cx, v, &reply));
    return pb_pack(cx, &reply.base, ret);
}
