/*
 * day.h - dates in the formats that local files use.
 *
 * A format holds %Y (four digits), %m, %d (one or two digits), %b (Jan ... Dec, any case),
 * %% and literal characters; year, month and day exactly once each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char day_format_standard[]; /* %Y-%m-%d */

bool day_format_is_valid(const char *format);
enum day_outcome { DAY_READ, DAY_OTHER_SHAPE, DAY_NOT_THERE /* 30 February */ };
enum day_outcome day_read(const char *text, size_t n, const char *format,
                          int32_t *ret_days);
