/* table.c: see table.h. */
#include "report/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define GAP 2u

uint32_t table_width(const char *text)
{
    uint32_t width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80; /* not a continuation byte */
    return width;
}

void table_begin(struct table *t, const char *align, uint32_t flexible)
{
    *t = (struct table){ .columns = (uint32_t)strlen(align), .flexible = flexible, .align = align };
}

void table_row(struct table *t, const char *first, ...)
{
    va_list cells;
    const char *text = first;
    va_start(cells, first);
    for (uint32_t i = 0; i < t->columns; i++) {
        array_room(t->cell, t->count, t->room);
        t->cell[t->count++] = memory_copy(text ? text : "", text ? strlen(text) : 0);
        text = text ? va_arg(cells, const char *) : NULL;
    }
    va_end(cells);
}

void table_clip(const char *text, uint32_t width, FILE *out)
{
    uint32_t used = 0, whole = table_width(text);
    uint32_t limit = whole > width ? (width > 3 ? width - 3 : width) : whole;
    for (; *text; text++) {
        used += (*text & 0xc0) != 0x80;
        if (used > limit)
            break;
        fputc(*text, out);
    }
    if (whole > width && width > 3)
        fputs("...", out);
}

void table_wrap(const char *text, uint32_t indent, uint32_t width, FILE *out)
{
    char word[512];
    uint32_t column = indent;
    fprintf(out, "%*s", (int)indent, "");
    for (bool first = true; *text; first = false) {
        size_t length = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        if (!first && column + 1 + table_width(word) > width) {
            fprintf(out, "\n%*s", (int)indent + 2, "");
            column = indent + 2;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fputs(word, out);
        column += table_width(word);
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

static void print_cell(const char *text, uint32_t width, char align, bool last, FILE *out)
{
    uint32_t used = table_width(text), pad = used < width ? width - used : 0;
    if (align == 'r')
        fprintf(out, "%*s", (int)pad, "");
    table_clip(text, width, out);
    if (align != 'r' && !last)
        fprintf(out, "%*s", (int)pad, "");
}

static void measure(const struct table *t, uint32_t indent, uint32_t width, uint32_t *columns)
{
    uint32_t total = indent + GAP * (t->columns - 1);
    memset(columns, 0, TABLE_COLUMNS * sizeof *columns);
    for (uint32_t i = 0; i < t->count; i++)
        if (table_width(t->cell[i]) > columns[i % t->columns])
            columns[i % t->columns] = table_width(t->cell[i]);
    for (uint32_t i = 0; i < t->columns; i++)
        total += columns[i];
    if (total > width) {
        uint32_t excess = total - width, *flexible = &columns[t->flexible];
        *flexible = *flexible > excess + 8 ? *flexible - excess : 8;
    }
}

/* Empty cells at the end of a row leave no blanks behind. */
static uint32_t last_cell(const struct table *t, uint32_t row)
{
    uint32_t last = t->columns - 1;
    while (last > 0 && !*t->cell[row * t->columns + last])
        last--;
    return last;
}

void table_print(struct table *t, uint32_t indent, uint32_t width, FILE *out)
{
    uint32_t columns[TABLE_COLUMNS];
    measure(t, indent, width, columns);
    for (uint32_t row = 0; row < t->count / t->columns; row++) {
        uint32_t last = last_cell(t, row);
        fprintf(out, "%*s", (int)indent, "");
        for (uint32_t i = 0; i <= last; i++) {
            print_cell(t->cell[row * t->columns + i], columns[i], t->align[i], i == last, out);
            if (i < last)
                fprintf(out, "%*s", (int)GAP, "");
        }
        fputc('\n', out);
    }
    for (uint32_t i = 0; i < t->count; i++)
        free(t->cell[i]);
    free(t->cell);
    *t = (struct table){ .columns = 0 };
}
