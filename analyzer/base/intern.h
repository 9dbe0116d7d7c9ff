/* intern.h: each distinct string once, so that strings can be compared by number. */
#ifndef BASE_INTERN_H
#define BASE_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern;

struct intern *intern_new(void);
void intern_free(struct intern *in);

/* The number of the string, from 0 in the order of first use. */
uint32_t intern_add(struct intern *in, const char *text);

/* The number of a string that was added before; false if it was not. */
bool intern_find(const struct intern *in, const char *text, uint32_t *number);

/* Valid until intern_free. */
const char *intern_text(const struct intern *in, uint32_t number);

#endif
