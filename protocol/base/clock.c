/* clock.c - time. */
#include "protocol/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t); /* fails only for an unknown clock */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_utc_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

/* Civil date of a day number: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static void civil(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

char *clock_format(int64_t utc_ms, char *text, size_t n)
{
    int64_t s = utc_ms >= 0 ? utc_ms / 1000 : -((-utc_ms + 999) / 1000);
    int64_t days = s >= 0 ? s / 86400 : -((-s + 86399) / 86400);
    int64_t rest = s - days * 86400;
    int y, m, d;

    civil(days, &y, &m, &d);
    (void)snprintf(text, n, "%04d-%02d-%02dT%02d:%02d:%02dZ", y, m, d, (int)(rest / 3600),
                   (int)(rest / 60 % 60), (int)(rest % 60));
    return text;
}

int clock_days(int year, int month, int day, int32_t *ret_days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (month == 2 && leap))
        return 0;
    int y = year - (month <= 2);
    int era = y / 400;
    int yoe = y - era * 400;
    int doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    *ret_days = era * 146097 + doe - 719468;
    return 1;
}

char *clock_date(int32_t days, char *text, size_t n)
{
    int y, m, d;

    civil(days, &y, &m, &d);
    (void)snprintf(text, n, "%04d-%02d-%02d", y, m, d);
    return text;
}

int64_t clock_off(uint64_t theirs, int64_t asked, int64_t heard)
{
    if (theirs == 0 || theirs > INT64_MAX / 2)
        return theirs == 0 ? 0 : INT64_MAX / 2;
    int64_t t = (int64_t)theirs;
    return t < asked ? t - asked : t > heard ? t - heard : 0;
}
