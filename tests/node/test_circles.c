/* test_circles.c - who judges together, from what all preflights say. */
#include "node/vault/circles.h"

#include "tests/node/scratch.h"

enum { SITES = 6 };

struct scene {
    struct cx *cx;
    uint8_t ids[SITES][32], heads[4][32];
    struct bytes list[SITES];
    Cohortium__Memory claims[SITES], *at[SITES];
    ProtobufCBinaryData members[SITES];
};

/* Nobody is settled, nobody judges alone. */
static void once_more(struct scene *s)
{
    for (size_t i = 0; i < COUNT(s->heads); i++)
        memset(s->heads[i], (int)i, 32);
    for (size_t i = 0; i < SITES; i++) {
        memset(s->ids[i], (int)(16 + i), 32);
        s->list[i] = bytes_of(s->ids[i], 32);
        s->members[i] = PB_DATA(s->list[i]);
        s->claims[i] = (Cohortium__Memory)COHORTIUM__MEMORY__INIT;
        s->claims[i].confirmed_head = s->claims[i].newest_head =
            PB_DATA(bytes_of(s->heads[0], 32));
        s->at[i] = &s->claims[i];
    }
}

static void set_up(struct scene *s)
{
    *s = (struct scene){.cx = cx_new(1 << 20, CX_NO_DEADLINE)};
    assert_non_null(s->cx);
    once_more(s);
}

static void alone(struct scene *s, size_t i)
{
    s->claims[i].alone = true;
    s->claims[i].confirmed_head = s->claims[i].newest_head = (ProtobufCBinaryData){0};
}

/* Sites from first on are settled together, and hold so many columns. */
static void together(struct scene *s, size_t first, size_t n, uint64_t columns)
{
    for (size_t i = first; i < first + n; i++) {
        s->claims[i].members = s->members + first;
        s->claims[i].n_members = n;
        s->claims[i].confirmed = s->claims[i].newest = columns;
        s->claims[i].confirmed_head = s->claims[i].newest_head =
            PB_DATA(bytes_of(s->heads[1], 32));
    }
}

static enum fault make(struct scene *s, size_t n, size_t self, struct circles *ret)
{
    for (size_t i = 0; i < n; i++)
        CHECK_OK_("claim", s->cx, circles_check_claim(s->cx, s->at[i], "lung"));
    return circles_make(s->cx, s->list, s->at, n, self, ret);
}

static void test_circles__new_ones(void **state)
{
    const struct {
        size_t sites, alone, circles, in_it;
    } rows[] = {{6, 0, 1, 6}, {3, 0, 1, 3}, {3, 1, 0, 0}, {6, 3, 1, 3}, {6, 4, 0, 0}, {2, 0, 0, 0}};
    (void)state;

    for (size_t r = 0; r < COUNT(rows); r++) {
        struct scene s;
        struct circles c;

        set_up(&s);
        for (size_t i = 0; i < rows[r].alone; i++)
            alone(&s, i);
        CHECK_EQ_("make", make(&s, rows[r].sites, rows[r].sites - 1, &c), FAULT_NONE);
        CHECK_EQ_("circles", c.n, rows[r].circles);
        CHECK_EQ_("own", c.own, c.n == 1 ? 0 : SIZE_MAX);
        if (c.n == 1) {
            CHECK_EQ_("sites", c.list[0].n, rows[r].in_it);
            CHECK_EQ_("columns", c.list[0].length, 0);
        }
        cx_free(&s.cx);
    }
}

/* A circle, three who join later, and one who judges alone; in whatever order they are asked. */
static void test_circles__settled_ones(void **state)
{
    struct circles c;
    struct scene s;
    (void)state;

    set_up(&s);
    together(&s, 0, 3, 7);
    CHECK_EQ_("with joiners", make(&s, 6, 5, &c), FAULT_NONE);
    CHECK_EQ_("two", c.n, 2);
    CHECK_EQ_("the old one's columns", c.list[0].length, 7);
    CHECK_EQ_("the new one's", c.list[1].length, 0);
    CHECK_EQ_("own", c.own, 1);
    CHECK_EQ_("one joiner judges alone", make(&s, 4, 3, &c), FAULT_NONE);
    CHECK_EQ_("one", c.n, 1);
    CHECK_EQ_("own", c.own, SIZE_MAX);
    CHECK_EQ_("one is left out", make(&s, 2, 0, &c), FAULT_INVALID);
    alone(&s, 3);
    CHECK_EQ_("beside one alone", make(&s, 4, 0, &c), FAULT_NONE);
    CHECK_EQ_("own", c.own, 0);
    cx_free(&s.cx);
}

static void test_circles__they_do_not_agree(void **state)
{
    struct circles c;
    struct scene s;
    (void)state;

    set_up(&s);
    together(&s, 0, 3, 7);
    together(&s, 2, 4, 7);
    CHECK_EQ_("a site in two", make(&s, 6, 0, &c), FAULT_CONFLICT);
    once_more(&s);
    together(&s, 0, 3, 7);
    s.claims[2] = *s.at[5]; /* set back to nothing */
    CHECK_EQ_("one has forgotten it", make(&s, 6, 0, &c), FAULT_CONFLICT);
    cx_free(&s.cx);
}

/* Two have written what the third has not: nobody has seen it. */
static void test_circles__back_to_what_all_have(void **state)
{
    struct circles c;
    struct scene s;
    (void)state;

    set_up(&s);
    together(&s, 0, 3, 7);
    for (size_t i = 0; i < 2; i++) {
        s.claims[i].newest = 9;
        s.claims[i].newest_head = PB_DATA(bytes_of(s.heads[2], 32));
    }
    CHECK_EQ_("make", make(&s, 3, 0, &c), FAULT_NONE);
    CHECK_EQ_("what all have", c.list[0].length, 7);
    assert_memory_equal(c.list[0].head, s.heads[1], 32);
    /* The third has, too: that stands, though one alone knows that all have. */
    s.claims[2].newest = 9;
    s.claims[2].newest_head = PB_DATA(bytes_of(s.heads[2], 32));
    s.claims[1].confirmed = 9;
    s.claims[1].confirmed_head = s.claims[1].newest_head;
    CHECK_EQ_("make", make(&s, 3, 0, &c), FAULT_NONE);
    CHECK_EQ_("the newest", c.list[0].length, 9);
    /* Other columns of the same number. */
    s.claims[1] = s.claims[0];
    s.claims[0].newest_head = PB_DATA(bytes_of(s.heads[3], 32));
    CHECK_EQ_("make", make(&s, 3, 0, &c), FAULT_NONE);
    CHECK_EQ_("what all have", c.list[0].length, 7);
    cx_free(&s.cx);
}

static void test_circles__claims_that_cannot_be(void **state)
{
    struct scene s;
    (void)state;

    for (int how = 0; how < 8; how++) {
        set_up(&s);
        together(&s, 0, 3, 7);
        Cohortium__Memory *c = s.at[1];
        ProtobufCBinaryData swapped[] = {s.members[1], s.members[0], s.members[2]};

        CHECK_OK_("as it is", s.cx, circles_check_claim(s.cx, c, "lung"));
        c->n_members = how == 0 ? 2 : c->n_members;
        c->newest = how == 1 ? 6 : how == 2 ? LEVERAGE_RANK_MAX + 1 : c->newest;
        c->newest_head.len = how == 3 ? 31 : 32;
        c->confirmed_head.len = how == 4 ? 0 : 32;
        c->alone = how == 5;
        c->members = how == 6 ? swapped : c->members;
        if (how == 7)
            c->n_members = 0;
        assert_int_equal(circles_check_claim(s.cx, c, "lung"), FAULT_FORMAT);
        cx_free(&s.cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_circles__new_ones),
        cmocka_unit_test(test_circles__settled_ones),
        cmocka_unit_test(test_circles__they_do_not_agree),
        cmocka_unit_test(test_circles__back_to_what_all_have),
        cmocka_unit_test(test_circles__claims_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
