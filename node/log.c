/* log.c - lines for the operator. */
#include "node/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"

enum { LINE = 1200 };
static const char *name = "node";

void log_open(const char *process)
{
    name = process;
}

__attribute__((format(printf, 2, 0))) static void line(const char *level, const char *format, va_list args)
{
    char text[LINE], stamp[32], out[LINE + 80];

    (void)vsnprintf(text, sizeof text, format, args);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    int n = snprintf(out, sizeof out, "%s %s %s%s\n",
                     clock_format(clock_utc_ms(), stamp, sizeof stamp), name, level, text);
    if (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0)
        return; /* nobody reads: nothing more can be done about it */
}

void log_notice(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("", format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("WARNING ", format, args);
    va_end(args);
}
