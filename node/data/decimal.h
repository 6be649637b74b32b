/*
 * decimal.h - decimal text to double, correctly rounded, and the shortest text back.
 *
 *   [+-] digits [. digits] [e [+-] digits]     ".5" and "5." too; no hex, inf, nan, spaces
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Longer than this is not a number that somebody measured. */
enum { DECIMAL_BYTES_MAX = 400 };

/* All n bytes are one finite number; `point` is '.' or ','. Equals strtod bit for bit. */
bool decimal_read(const char *text, size_t n, char point, double *ret);

/* The shortest of %.15g, %.16g, %.17g that reads back equal; out holds 32 bytes. Returns
 * out. */
char *decimal_write(double x, char out[32]);
