/* bent_session.c - tells what bend.c has bent. */
#include "tests/node/bent_session.h"

enum { HOME, LARGE = 5000 };
enum outcome { FOUND_NOW, FOUND_LATER, NOTHING, OUTCOMES };

struct telling {
    struct vaults *t;
    const struct scene *s;
    enum bent_mode mode;
    char message[64];
    const struct excuse *excuses;
    bool *used;
    struct bend_count count;
    /* the bend of this session */
    size_t wanted;
    struct bend b;
    struct bytes body;
    size_t from, to, top; /* its cohort: ages, and below this score */
    bool is_true, apart;  /* what came of it; found since others were told otherwise */
    uint64_t signed_before[VAULTS];
    struct bytes forged; /* what the step is told */
};

static size_t questions;    /* each session has one that nobody has answered */
static struct telling *now; /* for play_lie, which has no user pointer */

struct bytes bent_body(struct play *p, enum envelope_kind kind, struct bytes packed)
{
    struct envelope e;

    CHECK_OK_("open", p->cx, envelope_open(p->cx, kind, packed, &e));
    return e.body;
}

/* ---- a session of one bent message ---- */

static void ask_new(struct telling *w, struct play *p)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    size_t k = questions++;
    const struct scene *s = w->s;

    assert_non_null(cx);
    w->from = 20 + k % 20;
    w->to = 50 + k / 20 % 50;
    w->top = 3 + k / 1000;
    const char *cohort =
        cx_printf(cx, "age >= %zu and age < %zu and score < %zu", w->from, w->to, w->top);
    assert_non_null(cohort);
    Cohortium__Request *r = vaults_request(
        w->t, cx, s->analysis != NULL ? s->analysis : "count", s->formula, cohort);
    r->question->by_site = s->by_site;
    play_new(p, w->t, vaults_seal(cx, r, w->t->researcher));
}

/* The wanted bend of this session's message; false: there are no more. */
static bool bend_it(struct telling *w, struct play *p)
{
    const struct scene *s = w->s;
    bool whole = w->mode == BENT_ENVELOPE || w->mode == BENT_CARRIER;
    const ProtobufCMessageDescriptor *d = whole ? &cohortium__envelope__descriptor : s->d;
    struct bytes packed = s->packed(p, s);
    struct bytes honest = whole               ? packed
                          : s->honest != NULL ? s->honest(p, s)
                                              : bent_body(p, s->kind, packed);

    if (w->mode == BENT_WIRE || w->mode == BENT_CARRIER)
        return bend_encoding(d, honest, w->wanted, p->cx, &w->b, &w->body);
    return bend_field(d, honest, LARGE, w->wanted, p->cx, &w->b, &w->body);
}

static struct bytes forge(struct telling *w, struct play *p, size_t to)
{
    const struct scene *s = w->s;

    if (w->mode == BENT_ENVELOPE || w->mode == BENT_CARRIER)
        return w->body;
    if (w->mode == BENT_RAW)
        return bend_rewrap(p->cx, s->packed(p, s), w->body);
    if (s->forge != NULL)
        return s->forge(p, s, w->body, to);
    return bend_sign_by(p->cx, s->kind, w->body,
                        s->key != NULL ? s->key(p) : lie_key(p, s->liar));
}

static void lie_to_one(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    now->s->put(call, now->s, now->forged);
}

static const char *name_of(const struct telling *w)
{
    return bend_name(w->message, &w->b);
}

/* Whoever reads this must not come to think that an honest member lied. */
static void check_words(const struct telling *w, const struct play *p)
{
    CHECK_(name_of(w), strchr(p->message, ':') != NULL);
    for (size_t i = 0; i < VAULTS && w->s->liar < VAULTS;
         i++) { /* what a person signs names all */
        const char *name = w->t->site[i].v.self->name;

        if (i != w->s->liar && strstr(p->message, "somebody") == NULL &&
            (strstr(p->message, name) != NULL ||
             (i == HOME && strstr(p->message, "coordinator") != NULL)))
            fail_msg("%s: blames %s: %s", name_of(w), name, p->message);
    }
    /* Inside its own memory and its own disk a vault is not lied to. */
    CHECK_(name_of(w), strncmp(p->message, "internal", 8) != 0 &&
                           strncmp(p->message, "memory", 6) != 0);
}

/* Home's vault has decided and logged before it proposes a release, so it may hold an
 * answer that no other has signed; no other may. */
static void check_unsigned(const struct telling *w)
{
    for (size_t i = HOME + 1; i < VAULTS; i++)
        if (i != w->s->liar)
            CHECK_EQ_(name_of(w), vaults_count(w->t, i, TABLE_ANSWERS),
                      w->signed_before[i]);
}

static void check_gone(struct telling *w, struct play *p)
{
    size_t victim = w->s->victim;

    check_words(w, p);
    check_unsigned(w);
    w->apart = strstr(p->message, "somebody") != NULL;
    if (w->s->begin)
        return;
    CHECK_(name_of(w), p->answer[victim] == NULL);
    enum fault fault = victim == HOME ? play_propose(p, NULL) : play_step(p, victim, NULL);
    CHECK_EQ_(name_of(w), fault, FAULT_MISSING);
}

static size_t answers(const struct play *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->answer[i] != NULL;
    return n;
}

/* Steps those who have not stepped in this round; victim has. */
static enum fault step_others(struct play *p, size_t victim)
{
    for (size_t i = p->n; i-- > 0;)
        if (i != victim)
            TRY(play_step(p, i, NULL));
    p->round++;
    return FAULT_NONE;
}

/* As a coordinator goes on who does not know that somebody lies. */
static enum fault go_on(struct play *p)
{
    while (answers(p) == 0) {
        TRY(play_propose(p, NULL));
        TRY(step_others(p, VAULTS));
    }
    return FAULT_NONE;
}

static double true_count(const struct telling *w)
{
    double n = 0;

    for (size_t i = 0; i < VAULTS; i++)
        for (size_t k = 0; k < w->t->site[i].n; k++) {
            const struct vault_row *r = &w->t->site[i].rows[k];

            n += r->age >= (double)w->from && r->age < (double)w->to &&
                 r->score < (double)w->top;
        }
    return n;
}

/* Everybody has answered, with the same bytes; a count with the true number, or none. */
static void check_answers(struct telling *w, struct play *p)
{
    int state;

    CHECK_EQ_(name_of(w), answers(p), p->n);
    w->is_true = true;
    for (size_t i = 0; i < p->n && !w->s->by_site; i++)
        CHECK_(name_of(w), bytes_equal(play_body(p, 0), play_body(p, i)));
    if (w->s->by_site || w->s->analysis != NULL)
        return;
    const Cohortium__Release *r = play_release(p, 0);
    w->is_true = !r->released || released_value(released_item(r->result, "patients"), 0,
                                                &state) == true_count(w);
}

/* Home's last word may reach some and not others: what they have signed is the same, and
 * their signatures alone make no receipt. */
static void check_same(const struct telling *w, struct play *p)
{
    for (size_t i = 0; i < p->n && !w->s->by_site; i++)
        if (p->answer[i] != NULL)
            CHECK_(name_of(w),
                   bytes_equal(play_body(p, i), PB_BYTES(play_proposal(p)->release)));
}

/* No honest vault stands behind an answer that others do not have. */
static enum outcome later(struct telling *w, struct play *p, enum fault fault)
{
    if (fault == FAULT_NONE) {
        check_answers(w, p);
        return NOTHING;
    }
    check_words(w, p);
    if (w->s->liar != HOME || play_proposal(p)->kind != COHORTIUM__ROUND_KIND__RELEASE)
        check_unsigned(w);
    else
        check_same(w, p);
    return FOUND_LATER;
}

static enum outcome tell_step(struct telling *w, struct play *p, bool all)
{
    const struct scene *s = w->s;
    const uint64_t log = vaults_count(w->t, s->victim, TABLE_LOG);
    enum fault fault;

    if (all) {
        s->put_all(p, s, w->forged);
        fault = p->proposal.n > 0 && s->liar == HOME ? FAULT_NONE : play_propose(p, NULL);
        if (fault == FAULT_NONE)
            fault = step_others(p, VAULTS);
    } else {
        now = w;
        if (s->liar !=
            HOME) { /* home's own message is its proposal, made before it is bent */
            fault = play_propose(p, s->victim == HOME ? lie_to_one : NULL);
            if (s->victim != HOME)
                CHECK_EQ_("an honest proposal", fault, FAULT_NONE);
        } else {
            fault = FAULT_NONE;
        }
        if (fault == FAULT_NONE && s->victim != HOME)
            fault = play_step(p, s->victim, lie_to_one);
        if (fault != FAULT_NONE) {
            CHECK_EQ_(name_of(w), vaults_count(w->t, s->victim, TABLE_LOG), log);
            check_gone(w, p);
            return FOUND_NOW;
        }
        fault = step_others(p, s->victim == HOME ? VAULTS : s->victim);
    }
    if (fault == FAULT_NONE)
        fault = go_on(p);
    return later(w, p, fault);
}

/* Before there are rounds: preflights are known, the others have begun. */
static enum outcome tell_begin(struct telling *w, struct play *p)
{
    const struct scene *s = w->s;
    const uint64_t log = vaults_count(w->t, s->victim, TABLE_LOG);
    size_t sessions = sessions_count(&w->t->site[s->victim].v);
    struct bytes was = p->preflight[s->liar], asked = p->request;

    s->put_all(p, s, w->forged);
    enum fault fault = play_begin(p, s->victim, false);
    p->preflight[s->liar] = was;
    p->request = asked;
    if (fault != FAULT_NONE) {
        CHECK_EQ_(name_of(w), sessions_count(&w->t->site[s->victim].v), sessions);
        CHECK_EQ_(name_of(w), vaults_count(w->t, s->victim, TABLE_LOG), log);
        check_gone(w, p);
        return FOUND_NOW;
    }
    CHECK_(name_of(w), p->answer[s->victim] == NULL);
    return later(w, p, go_on(p));
}

/* False: this scene's message has no such bend. */
static bool tell(struct telling *w, bool all, enum outcome *ret)
{
    const struct scene *s = w->s;
    struct play p;
    bool there;

    w->is_true = w->apart = false;
    ask_new(w, &p);
    if (s->begin) {
        for (size_t i = 0; i < p.n; i++)
            CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
        for (size_t i = 0; i < p.n; i++)
            if (i != s->victim)
                CHECK_EQ_("begin", play_begin(&p, i, false), FAULT_NONE);
    } else {
        play_start(&p);
        while (p.round < s->round)
            play_round(&p);
        if (s->liar == HOME)
            CHECK_EQ_("an honest proposal", play_propose(&p, NULL), FAULT_NONE);
    }
    there = bend_it(w, &p);
    for (size_t i = 0; i < VAULTS; i++)
        w->signed_before[i] = vaults_count(w->t, i, TABLE_ANSWERS);
    if (there) {
        w->forged = forge(w, &p, all ? VAULTS : s->victim);
        *ret = s->begin ? tell_begin(w, &p) : tell_step(w, &p, all);
    }
    play_forget(&p);
    play_free(&p);
    return there;
}

/* ---- a scene ---- */

static const struct excuse *find_excuse(struct telling *w, enum outcome one)
{
    for (size_t i = 0; w->excuses[i].message != NULL; i++) {
        const struct excuse *x = &w->excuses[i];
        size_t n = strlen(x->field);

        if (strcmp(x->message, w->message) != 0 || strncmp(x->field, w->b.field, n) != 0 ||
            (w->b.field[n] != '\0' && w->b.field[n] != '.') ||
            (x->what != NULL && strcmp(x->what, w->b.what) != 0) ||
            (one == NOTHING && !x->to_one))
            continue;
        w->used[i] = true;
        return x;
    }
    return NULL;
}

static const char *const mode_words[BENT_MODES] = {"", " raw", " encoding", " envelope",
                                                   " carrier"};

static void play_mode(struct telling *w)
{
    enum outcome one, all = FOUND_NOW;

    /* What must be found by signature or encoding is told to one: it gets no further. */
    bool to_one = w->s->to_one || w->mode != BENT_SIGNED;

    for (; tell(w, false, &one); w->wanted++) {
        w->count.tried[w->b.how]++;
        /* What one refuses by itself all refuse; what it refuses for the others' sake, or
         * takes, is told to all alike. */
        bool is_true = one != NOTHING || w->is_true;
        if (!to_one && (one != FOUND_NOW || w->apart))
            assert_true(tell(w, true, &all));
        else
            all = one;
        if (w->mode != BENT_SIGNED)
            CHECK_EQ_(name_of(w), one, FOUND_NOW);
        if (one != NOTHING && all != NOTHING) {
            w->count.found++;
            continue;
        }
        const struct excuse *x = find_excuse(w, one);
        if (x == NULL)
            fail_msg("%s: %s, and nobody minds: check the field, or excuse it here with a "
                     "reason",
                     name_of(w), one == NOTHING ? "told to one" : "told to all");
        CHECK_(name_of(w), (is_true && (all != NOTHING || w->is_true)) || x->own_number);
        w->count.excused++;
    }
    CHECK_(w->message, w->wanted > 0);
    bend_print(w->message, &w->count, "without effect");
}

void bent_play(struct vaults *t, const struct scene *s, const struct excuse *excuses,
               bool *used, struct bend_count *sum)
{
    for (int mode = 0; mode < BENT_MODES; mode++) {
        struct telling w = {.t = t, .s = s, .excuses = excuses, .used = used, .mode = mode};

        if (s->modes != 0 && (s->modes & 1u << mode) == 0)
            continue;
        (void)snprintf(w.message, sizeof w.message, "%s%s", s->message, mode_words[mode]);
        play_mode(&w);
        bend_add(sum, &w.count);
    }
}

void bent_all_used(const struct excuse *excuses, const bool *used)
{
    for (size_t i = 0; excuses[i].message != NULL; i++)
        if (!used[i])
            fail_msg("%s %s is excused, and needs no excuse", excuses[i].message,
                     excuses[i].field);
}

struct scene bent_of_line(struct scene s, uint32_t round)
{
    s.analysis = "lm";
    s.formula = "score ~ age";
    s.round = round;
    return s;
}
