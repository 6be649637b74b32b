/*
 * decimal.c - decimal text to double.
 *
 * Up to 19 significant digits and powers from 10^-19 to 10^19 are done in whole numbers of
 * 128 bits with one rounding at the end, so they are exact; everything else goes to strtod.
 */
#include "node/data/decimal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_DIGITS = 19, EXACT_POWER = 19 };

static const uint64_t power10[EXACT_POWER + 1] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

/* Both operands below 2^53 and 10^22 are exact doubles, so one operation rounds once. */
static const double exact10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* m / 10^k, rounded once: the quotient gets 62 or 63 bits and its last bit remembers the
 * rest. */
static double divide(uint64_t m, unsigned k)
{
    uint64_t d = power10[k];
    int up = __builtin_clzll(m), down = __builtin_clzll(d);
    unsigned __int128 numerator = (unsigned __int128)(m << up) << 62;
    uint64_t divisor = d << down;
    uint64_t q = (uint64_t)(numerator / divisor);

    if (numerator % divisor != 0)
        q |= 1;
    return ldexp((double)q, down - up - 62);
}

static bool by_strtod(const char *text, size_t n, char point, double *ret)
{
    char copy[DECIMAL_BYTES_MAX + 1], *end;

    memcpy(copy, text, n);
    copy[n] = '\0';
    if (point != '.')
        for (size_t i = 0; i < n; i++)
            if (copy[i] == point)
                copy[i] = '.';
    double x = strtod(copy, &end);
    if (end != copy + n || !isfinite(x))
        return false;
    *ret = x;
    return true;
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* The power after 'e', kept small: what is beyond is strtod's business. */
static bool read_power(const char *p, const char *end, int *ret)
{
    bool minus = false;
    int power = 0;

    if (p < end && (*p == '+' || *p == '-'))
        minus = *p++ == '-';
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return false;
        if (power < 100000)
            power = power * 10 + (*p - '0');
    }
    *ret = minus ? -power : power;
    return true;
}

bool decimal_read(const char *text, size_t n, char point, double *ret)
{
    const char *p = text, *end = text + n;
    bool minus = false;
    uint64_t m = 0;
    int digits = 0, seen = 0, after = 0, power = 0;
    double x;

    if (n == 0 || n > DECIMAL_BYTES_MAX)
        return false;
    if (*p == '-' || *p == '+')
        minus = *p++ == '-';
    for (; p < end && is_digit(*p); p++, seen++) {
        m = m * 10 + (uint64_t)(*p - '0');
        digits += m != 0;
    }
    if (p < end && *p == point)
        for (p++; p < end && is_digit(*p); p++, seen++, after++) {
            m = m * 10 + (uint64_t)(*p - '0');
            digits += m != 0;
        }
    if (seen == 0)
        return false;
    if (p < end) {
        if ((*p != 'e' && *p != 'E') || !read_power(p + 1, end, &power))
            return false;
    }
    power -= after;
    if (digits > EXACT_DIGITS)
        return by_strtod(text, n, point, ret);
    if (m == 0)
        x = 0;
    else if (m < (UINT64_C(1) << 53) && power >= -22 && power <= 22)
        x = power < 0 ? (double)m / exact10[-power] : (double)m * exact10[power];
    else if (power >= -EXACT_POWER && power < 0)
        x = divide(m, (unsigned)-power);
    else if (power >= 0 && power <= EXACT_POWER)
        x = (double)((unsigned __int128)m * power10[power]);
    else
        return by_strtod(text, n, point, ret);
    *ret = minus ? -x : x;
    return true;
}

char *decimal_write(double x, char out[32])
{
    double back;

    for (int digits = 15; digits <= 17; digits++) {
        int n = snprintf(out, 32, "%.*g", digits, x);

        if (n > 0 && n < 32 && decimal_read(out, (size_t)n, '.', &back) && back == x)
            break;
    }
    return out;
}
