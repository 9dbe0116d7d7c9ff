/*
 * symbols.h: from code addresses to the names that people know, with inlined frames. A name is only given if the
 * address lies inside the symbol: stripped code is shown as library+0xoffset, never as its nearest neighbour.
 */
#ifndef SYMBOLS_SYMBOLS_H
#define SYMBOLS_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/trace.h"

struct symbol_frame {
    const char *function; /* demangled, without parameters; NULL: unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;        /* 0: unknown */
    bool inlined;         /* into the next frame */
    const char *module;   /* path; "" for generated code */
    uint64_t offset;      /* of the address in the module, as a linker would write it */
};

/* Frames of one address, innermost (most inlined) first. */
struct symbol_frames {
    uint32_t count;
    const struct symbol_frame *frame;
    bool signal; /* returns from a signal handler: the next frame was interrupted anywhere, not in a call */
};

struct symbols;

struct symbols *symbols_new(void);
void symbols_free(struct symbols *s);

/*
 * The frames of a node of a trace, one code address. Remembered, so asking again is cheap. `exact`: the address is that
 * of the instruction itself, not of the one after a call.
 */
struct symbol_frames symbols_node(struct symbols *s, const struct trace *t, uint32_t node, bool exact);

/* A whole stack, innermost frame first. Zeroed before its first use; used again for the next stack. */
struct symbol_stack {
    const struct symbol_frame **frame;
    uint32_t count, room;
    const char *tag; /* the component that memtap_push gave, or NULL */
    bool own;        /* an allocator behind the tap asked for memory */
};

void symbols_stack(struct symbols *s, const struct trace *t, uint32_t node, struct symbol_stack *stack);

/*
 * A number for the `count` innermost frames of a stack and its allocating call, the same in every run of the same build.
 * Generated code counts for nothing: a just-in-time compiler puts the same function elsewhere each time.
 */
uint64_t symbols_stack_id(const struct symbol_stack *stack, uint32_t count, const char *call);
void symbols_stack_free(struct symbol_stack *stack);

/* How many different addresses were asked for, and how many of them have a name. */
void symbols_count(const struct symbols *s, uint64_t *asked, uint64_t *named);

/* All names that have been found, as text (free() it), and back: what was exported elsewhere is not looked up here. */
char *symbols_export(const struct symbols *s);
void symbols_import(struct symbols *s, const char *text); /* NULL or damaged text: nothing happens */

/* The last part of a path. */
const char *symbols_base_name(const char *path);

/* A template's arguments shortened: "std::vector<...>::resize". In `text` of `size` bytes. */
const char *symbols_shorten(const char *function, char *text, size_t size);

#endif
