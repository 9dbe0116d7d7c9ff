/* error.c: see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(struct error *e, int code, const char *format, ...)
{
    va_list values;
    e->code = code;
    va_start(values, format);
    vsnprintf(e->text, sizeof e->text, format, values);
    va_end(values);
    for (char *p = e->text; *p; p++) /* names come from files: a sentence stays one line, and no terminal obeys it */
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return false;
}
