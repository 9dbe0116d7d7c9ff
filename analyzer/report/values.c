/* values.c: see values.h. */
#include "report/values.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

json_t *values_text(const char *s)
{
    json_t *value = json_string(s);
    if (value)
        return value;
    char *copy = memory_copy(s, strlen(s));
    for (char *p = copy; *p; p++)
        if (*p & 0x80)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *values_number(uint64_t n)
{
    return json_integer((json_int_t)(n > INT64_MAX ? INT64_MAX : n));
}
