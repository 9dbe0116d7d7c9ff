/* units.c: see units.h. */
#include "base/units.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *units_bytes(char text[UNITS_TEXT], uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1023.95 && unit < 6) {
        value /= 1024;
        unit++;
    }
    snprintf(text, UNITS_TEXT, unit > 0 && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *units_change(char text[UNITS_TEXT], double bytes)
{
    char size[UNITS_TEXT];
    units_bytes(size, (uint64_t)(bytes < 0 ? -bytes : bytes));
    snprintf(text, UNITS_TEXT, "%c%.30s", bytes < 0 ? '-' : '+', size);
    return text;
}

const char *units_count(char text[UNITS_TEXT], uint64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count), used = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *units_duration(char text[UNITS_TEXT], uint64_t ns)
{
    unsigned long long s = ns / 1000000000u, ms = ns / 1000000u;
    if (s < 1)
        snprintf(text, UNITS_TEXT, "%llu ms", ms);
    else if (s < 10)
        snprintf(text, UNITS_TEXT, "%.1f s", (double)ns / 1e9);
    else if (s < 60)
        snprintf(text, UNITS_TEXT, "%llu s", s);
    else if (s < 3600)
        snprintf(text, UNITS_TEXT, "%llu min %llu s", s / 60, s % 60);
    else
        snprintf(text, UNITS_TEXT, "%llu h %llu min", s / 3600, s / 60 % 60);
    return text;
}

bool units_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if ((*end && (!unit || end[1])) || n > UINT64_MAX >> shift)
        return false;
    *bytes = n << shift;
    return true;
}
