/* day.c - reading dates. */
#include "node/data/day.h"

#include <string.h>
#include <strings.h>

#include "protocol/base/clock.h"

const char day_format_standard[] = "%Y-%m-%d";

bool day_format_is_valid(const char *format)
{
    int years = 0, months = 0, days = 0;

    for (const char *f = format; *f != '\0'; f++) {
        if ((unsigned char)*f < 0x20)
            return false;
        if (*f != '%')
            continue;
        f++;
        if (*f == 'Y')
            years++;
        else if (*f == 'm' || *f == 'b')
            months++;
        else if (*f == 'd')
            days++;
        else if (*f != '%')
            return false;
    }
    return years == 1 && months == 1 && days == 1;
}

static bool digits(const char **p, const char *end, int least, int most, int *ret)
{
    int n = 0, v = 0;

    while (n < most && *p < end && **p >= '0' && **p <= '9') {
        v = v * 10 + (*(*p)++ - '0');
        n++;
    }
    *ret = v;
    return n >= least;
}

static bool month_name(const char **p, const char *end, int *ret)
{
    static const char names[12][4] = {"jan", "feb", "mar", "apr", "may", "jun",
                                      "jul", "aug", "sep", "oct", "nov", "dec"};

    if (end - *p < 3)
        return false;
    for (int i = 0; i < 12; i++)
        if (strncasecmp(*p, names[i], 3) == 0) {
            *p += 3;
            *ret = i + 1;
            return true;
        }
    return false;
}

enum day_outcome day_read(const char *text, size_t n, const char *format, int32_t *ret_days)
{
    const char *p = text, *end = text + n;
    int year = 0, month = 0, day = 0;

    for (const char *f = format; *f != '\0'; f++) {
        bool good;

        if (*f == '%') {
            f++;
            good = *f == 'Y'   ? digits(&p, end, 4, 4, &year)
                   : *f == 'm' ? digits(&p, end, 1, 2, &month)
                   : *f == 'd' ? digits(&p, end, 1, 2, &day)
                   : *f == 'b' ? month_name(&p, end, &month)
                               : p < end && *p++ == '%';
        } else {
            good = p < end && *p++ == *f;
        }
        if (!good)
            return DAY_OTHER_SHAPE;
    }
    if (p != end)
        return DAY_OTHER_SHAPE;
    return clock_days(year, month, day, ret_days) ? DAY_READ : DAY_NOT_THERE;
}
