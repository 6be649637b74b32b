/*
 * kernel_eval.c - expressions over 256 rows; built once for each kind of processor.
 *
 * Only + - * / sqrt, comparisons and integer operations, each rounded as IEEE 754 says and
 * never contracted (-ffp-contract=off): every build gives the same bits. exp and log follow
 * fdlibm's reductions (Sun Microsystems, 1993, freely distributable); their polynomials are
 * Taylor's of degree 13 for exp on |r| <= ln(2)/2 (remainder below 5e-18) and fdlibm's for
 * log. Errors stay near one unit in the last place, far inside the 1e-12 by which intervals
 * are widened.
 */
#include <math.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "node/vault/kernel.h"

#if defined(__AVX512F__)
enum { LANES = 8 };
#define KERNEL_TABLE kernel_avx512
#define KERNEL_NAME  "avx512"
#define SUM_TABLE    sum_kernel_avx512
#elif defined(__AVX2__)
enum { LANES = 4 };
#define KERNEL_TABLE kernel_avx2
#define KERNEL_NAME  "avx2"
#define SUM_TABLE    sum_kernel_avx2
#else
enum { LANES = 2 };
#define KERNEL_TABLE kernel_portable
#define KERNEL_NAME  "portable"
#define SUM_TABLE    sum_kernel_exact
#endif

extern const struct kernel KERNEL_TABLE;
extern const struct sum_kernel SUM_TABLE;

typedef double vd __attribute__((vector_size(LANES * 8)));
typedef int64_t vi __attribute__((vector_size(LANES * 8)));
typedef uint64_t vu __attribute__((vector_size(LANES * 8)));

#define EACH  for (size_t i = 0; i < KERNEL_ROWS; i += LANES)
#define AT(p) (*(const vd *)((p) + i))
#define TO(p) (*(vd *)((p) + i))

static const double MAGIC = 0x1.8p52; /* adding it rounds to a whole number */
static const int64_t MAGIC_BITS = 0x4338000000000000;
static const int64_t ONE_BITS = 0x3ff0000000000000;

static inline vd all(double x)
{
    return x - (vd){0};
}

static inline vd pick(vi mask, vd a, vd b)
{
    return (vd)((mask & (vi)a) | (~mask & (vi)b));
}

static inline vd claim(vi mask)
{
    return (vd)(mask & ONE_BITS);
}

static inline vd whole_to_double(vi k)
{
    return (vd)(k + MAGIC_BITS) - MAGIC;
}

static inline vd power_of_two(vi k) /* -1022 .. 1023 */
{
    return (vd)((vu)(k + 1023) << 52);
}

static inline vd absolute(vd x)
{
    return (vd)((vi)x & INT64_MAX);
}

/* x = k ln 2 + r; returns exp(r) - 1. */
static inline vd exp_reduced(vd x, vi *k)
{
    vd shifted = x * 1.44269504088896338700 + MAGIC, n = shifted - MAGIC;
    vd r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    vd p = all(1.0 / 6227020800.0);

    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    *k = (vi)shifted - MAGIC_BITS;
    return r + r * r * p;
}

static inline vd v_exp(vd x)
{
    vi k;

    x = pick(x < -746.0, all(-746.0), x);
    x = pick(x > 710.0, all(710.0), x);
    vd y = 1.0 + exp_reduced(x, &k);
    vi half = (vi)((vu)(k + 2048) >> 1) - 1024;

    return y * power_of_two(half) * power_of_two(k - half);
}

static inline vd v_expm1(vd x)
{
    vi k;
    vd low = pick(x < -60.0, all(-60.0), x);
    vd p = exp_reduced(pick(low > 700.0, all(700.0), low), &k), s = power_of_two(k);

    return pick(x > 700.0, v_exp(x), s * p + (s - 1.0));
}

/* log(u) + rest, u > 0 finite. */
static inline vd log_of(vd u, vd rest)
{
    vi tiny = u < 0x1p-1022;
    vi bits = (vi)pick(tiny, u * 0x1p54, u) + (0x3ff0000000000000 - 0x3fe6a09e00000000);
    vi k = (vi)((vu)bits >> 52) - 1023 - (tiny & 54);
    vd f = (vd)((bits & 0x000fffffffffffff) + 0x3fe6a09e00000000) - 1.0;
    vd s = f / (2.0 + f), z = s * s, w = z * z, n = whole_to_double(k), half = 0.5 * f * f;
    vd t1 = w * (3.999999999940941908e-01 +
                 w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    vd t2 = z * (6.666666666666735130e-01 +
                 w * (2.857142874366239149e-01 +
                      w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));

    return s * (half + (t2 + t1)) + (n * 1.90821492927058770002e-10 + rest) - half + f +
           n * 6.93147180369123816490e-01;
}

static inline vd log_limits(vd x, vd value)
{
    value = pick(x == all(INFINITY), x, value);
    value = pick(x == all(0), all(-INFINITY), value);
    return pick(x >= all(0), value, all(NAN));
}

static inline vd v_log(vd x)
{
    return log_limits(x, log_of(x, all(0)));
}

static inline vd v_log1p(vd x)
{
    vd u = 1.0 + x, rest = pick(x > 1.0, 1.0 - (u - x), x - (u - 1.0));

    return log_limits(u, log_of(u, rest / u));
}

static inline vd v_power(vd x, int n)
{
    unsigned left = (unsigned)(n < 0 ? -n : n);
    vd y = all(1);

    for (; left > 0; left >>= 1, x = x * x)
        if (left & 1)
            y = y * x;
    return n < 0 ? 1.0 / y : y;
}

/* ---- links ---- */

static void logit_shared(const struct step *s)
{
    EACH
    {
        vd eta = AT(s->a);

        eta = pick(eta < -700.0, all(-700.0), eta);
        eta = pick(eta > 700.0, all(700.0), eta);
        vd e = v_exp(-absolute(eta));

        TO(s->out) = eta;
        TO(s->b_out) = e;
        TO(s->c_out) = 1.0 / (1.0 + e);
    }
}

/* a, b, c: what STEP_LOGIT made. */
static void logit_part(const struct step *s)
{
    enum measure_part part = s->node->part;

    EACH
    {
        vd eta = AT(s->a), e = AT(s->b), large = AT(s->c), small = e * large, y;
        vi below = eta < 0.0;
        vd mu = pick(below, small, large), one_mu = pick(below, large, small);

        if (part == PART_MU || part == PART_DMU_OVER_1_MU)
            y = mu;
        else if (part == PART_1_MU || part == PART_DMU_OVER_MU)
            y = one_mu;
        else if (part == PART_DMU)
            y = small * large;
        else if (part == PART_D2MU)
            y = small * large * (one_mu - mu);
        else if (part == PART_LOG_MU)
            y = pick(below, eta, all(0)) - v_log1p(e);
        else
            y = pick(eta > 0.0, -eta, all(0)) - v_log1p(e);
        TO(s->out) = y;
    }
}

static inline vd cloglog_value(enum measure_part part, vd eta)
{
    vd t = v_exp(eta);

    switch (part) {
    case PART_MU:
        return -v_expm1(-t);
    case PART_1_MU:
        return v_exp(-t);
    case PART_DMU:
        return t * v_exp(-t);
    case PART_D2MU:
        return t * v_exp(-t) * (1.0 - t);
    case PART_LOG_MU:
        return v_log(-v_expm1(-t));
    case PART_LOG_1_MU:
        return -t;
    case PART_DMU_OVER_MU:
        return t / v_expm1(t);
    case PART_DMU_OVER_1_MU:
        break;
    }
    return t;
}

static inline vd log_value(enum measure_part part, vd eta)
{
    switch (part) {
    case PART_MU:
    case PART_DMU:
    case PART_D2MU:
        return v_exp(eta);
    case PART_1_MU:
        return -v_expm1(eta);
    case PART_LOG_MU:
        return eta;
    case PART_LOG_1_MU:
        return v_log(-v_expm1(eta));
    case PART_DMU_OVER_MU:
        return all(1);
    case PART_DMU_OVER_1_MU:
        break;
    }
    return 1.0 / v_expm1(-eta);
}

static inline vd identity_value(enum measure_part part, vd eta)
{
    switch (part) {
    case PART_MU:
        return eta;
    case PART_1_MU:
        return 1.0 - eta;
    case PART_DMU:
        return all(1);
    case PART_D2MU:
        return all(0);
    case PART_LOG_MU:
        return v_log(eta);
    case PART_LOG_1_MU:
        return v_log1p(-eta);
    case PART_DMU_OVER_MU:
        return 1.0 / eta;
    case PART_DMU_OVER_1_MU:
        break;
    }
    return 1.0 / (1.0 - eta);
}

static inline vd inverse_value(enum measure_part part, vd eta)
{
    switch (part) {
    case PART_MU:
        return 1.0 / eta;
    case PART_1_MU:
        return 1.0 - 1.0 / eta;
    case PART_DMU:
        return -1.0 / (eta * eta);
    case PART_D2MU:
        return 2.0 / (eta * eta * eta);
    case PART_LOG_MU:
        return -v_log(eta);
    case PART_LOG_1_MU:
        return v_log1p(-1.0 / eta);
    case PART_DMU_OVER_MU:
        return -1.0 / eta;
    case PART_DMU_OVER_1_MU:
        break;
    }
    return -1.0 / (eta * (eta - 1.0));
}

static void link_step(const struct step *s)
{
    enum measure_link link = s->node->link;
    enum measure_part part = s->node->part;
    double lower, upper;

    if (link == LINK_LOGIT) {
        logit_part(s);
        return;
    }
    if (link == LINK_PROBIT) {
        for (size_t i = 0; i < KERNEL_ROWS; i++)
            s->out[i] = link_part(link, part, s->a[i]);
        return;
    }
    link_range(link, &lower, &upper);
    EACH
    {
        vd eta = AT(s->a);

        eta = pick(eta < lower, all(lower), eta);
        eta = pick(eta > upper, all(upper), eta);
        TO(s->out) = link == LINK_CLOGLOG    ? cloglog_value(part, eta)
                     : link == LINK_LOG      ? log_value(part, eta)
                     : link == LINK_IDENTITY ? identity_value(part, eta)
                                             : inverse_value(part, eta);
    }
}

/* ---- steps ---- */

static void load_valid(const struct step *s, uint64_t first, size_t rows)
{
    const uint64_t *words = s->source;
    vi lane;

    for (int l = 0; l < LANES; l++)
        lane[l] = (int64_t)1 << l;
    for (size_t w = 0; w < KERNEL_WORDS; w++) {
        uint64_t word = w * 64 < rows ? words[first / 64 + w] : 0;

        for (size_t i = 0; i < 64; i += LANES) {
            vi bits = (vi){0} + (int64_t)(word >> i);

            *(vd *)(s->out + w * 64 + i) = claim((bits & lane) != 0);
        }
    }
}

/* A block at the end has fewer rows: the rest is 0. */
#define LOAD(name, kind)                                                                   \
    static void name(const struct step *s, uint64_t first, size_t rows)                    \
    {                                                                                      \
        const kind *p = (const kind *)s->source + first;                                   \
        double *out = s->out;                                                              \
                                                                                           \
        if (rows == KERNEL_ROWS)                                                           \
            for (size_t i = 0; i < KERNEL_ROWS; i++)                                       \
                out[i] = p[i];                                                             \
        else                                                                               \
            for (size_t i = 0; i < KERNEL_ROWS; i++)                                       \
                out[i] = i < rows ? p[i] : 0;                                              \
    }
LOAD(load_u8, uint8_t)
LOAD(load_u16, uint16_t)
LOAD(load_i32, int32_t)
LOAD(load_f64, double)

static void by_row(const struct step *s)
{
    for (size_t i = 0; i < KERNEL_ROWS; i++)
        s->out[i] = measure_apply(s->node, s->a[i], s->b != NULL ? s->b[i] : 0,
                                  s->c != NULL ? s->c[i] : 0);
}

#define BINARY(expression)                                                                 \
    EACH                                                                                   \
    {                                                                                      \
        vd a = AT(s->a), b = AT(s->b);                                                     \
        TO(s->out) = (expression);                                                         \
    }                                                                                      \
    return;
#define UNARY(expression)                                                                  \
    EACH                                                                                   \
    {                                                                                      \
        vd a = AT(s->a);                                                                   \
        TO(s->out) = (expression);                                                         \
    }                                                                                      \
    return;

static void compare_step(const struct step *s)
{
    vd zero = all(0);

    switch (s->node->op) {
    case M_EQ:
        BINARY(claim(a == b))
    case M_NE:
        BINARY(claim(a != b))
    case M_LT:
        BINARY(claim(a < b))
    case M_LE:
        BINARY(claim(a <= b))
    case M_AND:
        BINARY(claim((a != zero) & (b != zero)))
    case M_OR:
        BINARY(claim((a != zero) | (b != zero)))
    case M_NOT:
        UNARY(claim(a == zero))
    default:
        by_row(s);
        return;
    }
}

static void root_step(const struct step *s)
{
    for (size_t i = 0; i < KERNEL_ROWS; i++)
        s->out[i] = sqrt(s->a[i]);
}

static void floor_step(const struct step *s)
{
    for (size_t i = 0; i < KERNEL_ROWS; i++)
        s->out[i] = floor(s->a[i]);
}

static void power_step(const struct step *s)
{
    int n = (int)s->b[0]; /* a constant */

    UNARY(v_power(a, n))
}

static void select_step(const struct step *s)
{
    EACH TO(s->out) = pick(AT(s->a) != all(0), AT(s->b), AT(s->c));
}

static void node_step(const struct step *s)
{
    switch (s->node->op) {
    case M_ADD:
        BINARY(a + b)
    case M_SUB:
        BINARY(a - b)
    case M_MUL:
        BINARY(a * b)
    case M_DIV:
        BINARY(a / b)
    case M_NEG:
        UNARY(-a)
    case M_ABS:
        UNARY(absolute(a))
    case M_MIN:
        BINARY(pick(a < b, a, b))
    case M_MAX:
        BINARY(pick(a > b, a, b))
    case M_EXP:
        UNARY(v_exp(a))
    case M_LOG:
        UNARY(v_log(a))
    case M_LOG1P:
        UNARY(v_log1p(a))
    case M_EXPM1:
        UNARY(v_expm1(a))
    case M_POW:
        power_step(s);
        return;
    case M_FLOOR:
        floor_step(s);
        return;
    case M_SQRT:
        root_step(s);
        return;
    case M_SELECT:
        select_step(s);
        return;
    case M_LINK:
        link_step(s);
        return;
    default:
        compare_step(s);
        return;
    }
}

static void and_step(const struct step *s)
{
    BINARY((vd)((vi)a & (vi)b))
}

static void or_step(const struct step *s)
{
    BINARY((vd)((vi)a | (vi)b))
}

static void times_step(const struct step *s)
{
    EACH TO(s->out) = AT(s->a) * AT(s->b) + AT(s->c);
}

static void eval(const struct step *steps, size_t n, uint64_t first, size_t rows)
{
    for (const struct step *s = steps; s < steps + n; s++)
        switch (s->step) {
        case STEP_NODE:
            node_step(s);
            break;
        case STEP_U8:
            load_u8(s, first, rows);
            break;
        case STEP_U16:
            load_u16(s, first, rows);
            break;
        case STEP_I32:
            load_i32(s, first, rows);
            break;
        case STEP_F64:
            load_f64(s, first, rows);
            break;
        case STEP_VALID:
            load_valid(s, first, rows);
            break;
        case STEP_AND:
            and_step(s);
            break;
        case STEP_OR:
            or_step(s);
            break;
        case STEP_TIMES:
            times_step(s);
            break;
        case STEP_LOGIT:
            logit_shared(s);
            break;
        }
}

/* ---- masks, kept values, cells ---- */

/* Which of LANES doubles are not 0, as bits. */
static inline uint64_t lanes_set(const double *where)
{
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask(_mm512_load_pd(where), _mm512_setzero_pd(), _CMP_NEQ_UQ);
#elif defined(__AVX2__)
    return (uint64_t)_mm256_movemask_pd(
        _mm256_cmp_pd(_mm256_load_pd(where), _mm256_setzero_pd(), _CMP_NEQ_UQ));
#else
    return (uint64_t)(where[0] != 0) | (uint64_t)(where[1] != 0) << 1;
#endif
}

static size_t mask(const double *where, size_t rows, uint64_t *mask, uint64_t *words)
{
    size_t kept = 0;

    EACH *(vi *)(mask + i) = AT(where) != all(0);
    for (size_t i = rows; i < KERNEL_ROWS; i++)
        mask[i] = 0;
    for (size_t w = 0; w < KERNEL_WORDS; w++) {
        size_t first = w * 64, inside = first >= rows ? 0 : rows - first;
        uint64_t word = 0;

        for (unsigned i = 0; i < 64; i += LANES)
            word |= lanes_set(where + first + i) << i;
        if (inside < 64)
            word &= ((uint64_t)1 << inside) - 1;
        words[w] = word;
        kept += (size_t)__builtin_popcountll(word);
    }
    return kept;
}

static bool keep(const double *v, const uint64_t *mask, double lower, double upper,
                 double *out)
{
    vi outside = {0};

    EACH
    {
        vd x = (vd)(*(const vi *)(v + i) & *(const vi *)(mask + i));

        outside |= ~((x >= lower) & (x <= upper));
        TO(out) = x;
    }
    int64_t any = 0;

    for (int l = 0; l < LANES; l++)
        any |= outside[l];
    return any == 0;
}

static void times(const double *a, const double *b, double *out)
{
    EACH TO(out) = AT(a) * AT(b);
}

static void cell(const double *const *keys, const uint32_t *strides, size_t n,
                 const uint64_t *mask, uint32_t cells, uint32_t *out)
{
    int64_t whole[KERNEL_ROWS] __attribute__((aligned(64)));
    const vd rest = all(cells);

    EACH
    {
        vd sum = all(0);

        for (size_t k = 0; k < n; k++)
            sum += AT(keys[k]) * (double)strides[k];
        sum = pick(*(const vi *)(mask + i), sum, rest);
        *(vi *)(whole + i) = (vi)(sum + MAGIC); /* the low bits hold the whole number */
    }
    for (size_t i = 0; i < KERNEL_ROWS; i++)
        out[i] = (uint32_t)whole[i];
}

const struct kernel KERNEL_TABLE = {
    .name = KERNEL_NAME,
    .eval = eval,
    .mask = mask,
    .keep = keep,
    .times = times,
    .cell = cell,
    .sums = &SUM_TABLE,
};
