/*
 * table.h: rows of cells that line up. Text is UTF-8; one column may shrink so that the table fits. Inside report/ and
 * what prints beside it.
 */
#ifndef REPORT_TABLE_H
#define REPORT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS 8u

struct table {
    uint32_t columns, flexible; /* the column that gives way when the table is too wide */
    const char *align;          /* a letter a column: l or r */
    char **cell;                /* columns * rows, "" for an empty one */
    uint32_t count, room;
};

/* `align` has a letter for each column. */
void table_begin(struct table *t, const char *align, uint32_t flexible);

/* Adds a row; the cells are copied. Missing ones, after a NULL, are empty. */
void table_row(struct table *t, const char *first, ...) __attribute__((sentinel));

/* Prints every row behind `indent` spaces, at most `width` columns wide, and forgets all. */
void table_print(struct table *t, uint32_t indent, uint32_t width, FILE *out);

/* Columns that a UTF-8 text takes on a terminal, for the letters that occur here. */
uint32_t table_width(const char *text);

/* Prints at most `width` columns of a text; if it is longer, its end is replaced by "...". */
void table_clip(const char *text, uint32_t width, FILE *out);

/* Prints a text behind `indent` spaces and goes on in new lines, two columns further in, where it is too wide. */
void table_wrap(const char *text, uint32_t indent, uint32_t width, FILE *out);

#endif
