/* definitions.h: nodes, modules, strings and thread names of one trace, as its records define them. Inside trace/. */
#ifndef TRACE_DEFINITIONS_H
#define TRACE_DEFINITIONS_H

#include "trace/trace.h"

struct definitions {
    struct trace_node *node;
    uint32_t nodes, node_room;
    struct trace_module *module;
    uint32_t modules, module_room;
    char **string;
    uint32_t strings, string_room;
    struct thread_entry {
        uint32_t tid;
        char name[17];
    } * thread;
    uint32_t threads, thread_room;
    void *thread_index; /* khash: tid -> place in thread */
    uint64_t most_ids;  /* greater numbers cannot be honest */
};

/* `bytes`: size of all records of the trace, which bounds what they can define. */
void definitions_begin(struct definitions *d, uint64_t bytes);

/* Takes in what the record defines, if anything. False if it defines something impossible. */
bool definitions_take(struct definitions *d, const struct record *r);
void definitions_free(struct definitions *d);
const char *definitions_thread(const struct definitions *d, uint32_t tid);

#endif
