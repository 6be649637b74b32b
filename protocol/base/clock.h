/*
 * clock.h - time. Stamps are UTC milliseconds since 1970; deadlines use the monotonic
 * clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int64_t clock_utc_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

/* How far another's clock is off ours, when it said `theirs` at some moment of our [asked,
 * heard]: 0 where it may be right; 0 for a clock that was not told (0). */
int64_t clock_off(uint64_t theirs, int64_t asked, int64_t heard);
/* "2026-11-24T20:21:06Z" into text; n >= 21. Returns text. */
char *clock_format(int64_t utc_ms, char *text, size_t n);
/* Days since 1970-01-01 of a proleptic Gregorian date; false if there is no such day. */
int clock_days(int year, int month, int day, int32_t *ret_days);
/* The date of a day number, "2026-11-24"; n >= 13. Returns text. */
char *clock_date(int32_t days, char *text, size_t n);
