/* units.h: numbers as people read them. The text lives in a caller's buffer. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT 32

/* "0 B", "512 B", "1.5 KiB", "13.4 GiB": three significant digits at most behind a unit of 1,024. */
const char *units_bytes(char text[UNITS_TEXT], uint64_t bytes);
/* The same with a sign for a change: "+16.8 MiB", "-3 B". */
const char *units_change(char text[UNITS_TEXT], double bytes);
/* "1,234,567" */
const char *units_count(char text[UNITS_TEXT], uint64_t count);
/* "48 s", "6 min 12 s", "2 h 3 min", "350 ms" */
const char *units_duration(char text[UNITS_TEXT], uint64_t ns);
/* "512M" and the like; false if it is no size. */
bool units_parse_size(const char *text, uint64_t *bytes);

#endif
