/*
 * log.h - what a running node says to its operator: one line each on stderr, UTC stamped.
 * Never a patient's value, a key, or text that a peer chose without a bound. Where stderr
 * is a file, room for some lines is kept at its end, so that a full disk can still be told.
 */
#pragma once

void log_open(const char *process); /* "vault", "net", "node" */
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
