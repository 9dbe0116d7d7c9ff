/* stack.c: a whole call stack, from a site's node to the outermost frame. See symbols.h. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "symbols/symbols.h"

static void add_frames(struct symbol_stack *stack, struct symbol_frames found)
{
    for (uint32_t i = 0; i < found.count; i++) {
        array_room(stack->frame, stack->count, stack->room);
        stack->frame[stack->count++] = &found.frame[i];
    }
}

void symbols_stack(struct symbols *s, const struct trace *t, uint32_t node, struct symbol_stack *stack)
{
    bool exact = false;
    stack->count = 0;
    stack->tag = NULL;
    stack->own = false;
    for (const struct trace_node *n; (n = trace_node(t, node)); node = n->parent) {
        if (n->module == RECORD_MODULE_TAG) {
            stack->tag = trace_string(t, (uint32_t)n->value);
            continue;
        }
        struct symbol_frames found = symbols_node(s, t, node, exact);
        exact = found.signal;
        stack->own |= found.count && strncmp(symbols_base_name(found.frame->module), "libmemtap", 9) == 0;
        add_frames(stack, found);
    }
}

uint64_t symbols_stack_id(const struct symbol_stack *stack, uint32_t count, const char *call)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, call, strlen(call) + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct symbol_frame *f = stack->frame[i];
        const char *module = symbols_base_name(f->module);
        if (!*module)
            continue;
        XXH3_64bits_update(&state, module, strlen(module) + 1);
        XXH3_64bits_update(&state, &f->offset, sizeof f->offset);
    }
    if (stack->tag)
        XXH3_64bits_update(&state, stack->tag, strlen(stack->tag));
    return XXH3_64bits_digest(&state);
}

void symbols_stack_free(struct symbol_stack *stack)
{
    free(stack->frame);
    *stack = (struct symbol_stack){ .frame = NULL };
}
