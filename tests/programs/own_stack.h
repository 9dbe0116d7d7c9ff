/*
 * own_stack.h: a program that knows its own call stacks. OWN_STACK walks the stack of the function that it stands in,
 * the slow way of debuggers (libunwind's cursor, nothing remembered from one walk to the next), writes it to a file and
 * gives a size that no other allocation has. The caller allocates so many bytes next: whoever reads both knows which
 * recorded stack must be equal to which one of the file.
 *
 *   size_t size = OWN_STACK("");           the next allocation is by this function itself
 *   size_t size = OWN_STACK("libc.so.6");  this function calls one in that library, which allocates
 *   size_t size = OWN_STACK("gone");       this function jumps to one that allocates: its own frame is gone by then
 *
 * libunwind comes by dlopen, so that it does not replace the program's own unwinder for exceptions.
 */
#ifndef OWN_STACK_H
#define OWN_STACK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <fcntl.h>
#include <libunwind.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_FRAMES 400
#define OWN_FIRST_SIZE 50021u

static struct {
    int (*get_context)(unw_context_t *);
    int (*init)(unw_cursor_t *, unw_context_t *);
    int (*step)(unw_cursor_t *);
    int (*get_register)(unw_cursor_t *, int, unw_word_t *);
    int (*get_function)(unw_cursor_t *, unw_proc_info_t *);
    int fd;
    unsigned count;
} own;

/* Opens the file; `more`: goes on behind what it holds. */
static inline void own_open(const char *path, int more)
{
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    own.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | (more ? 0 : O_TRUNC), 0644);
    if (!library || own.fd < 0) {
        perror(path);
        _exit(3);
    }
#define OWN_BIND(member, name) *(void **)&own.member = dlsym(library, name)
    OWN_BIND(get_context, "_Ux86_64_getcontext");
    OWN_BIND(init, "_ULx86_64_init_local");
    OWN_BIND(step, "_ULx86_64_step");
    OWN_BIND(get_register, "_ULx86_64_get_reg");
    OWN_BIND(get_function, "_ULx86_64_get_proc_info");
#undef OWN_BIND
    int (*set_caching)(unw_addr_space_t, unw_caching_policy_t);
    *(void **)&set_caching = dlsym(library, "_ULx86_64_set_caching_policy");
    set_caching(*(unw_addr_space_t *)dlsym(library, "_ULx86_64_local_addr_space"), UNW_CACHE_NONE);
}

/* A line for one frame: module, offset of the address in it, first and last offset of the function. */
static inline size_t own_frame(char *text, size_t room, unw_cursor_t *cursor)
{
    unw_word_t ip = 0;
    unw_proc_info_t function;
    Dl_info symbol;
    struct link_map *map = NULL;
    const char *module = "";
    own.get_register(cursor, UNW_REG_IP, &ip);
    if (own.get_function(cursor, &function) < 0)
        function.start_ip = function.end_ip = 0;
    if (dladdr1((void *)ip, &symbol, (void **)&map, RTLD_DL_LINKMAP) && map)
        module = *map->l_name ? map->l_name : "/proc/self/exe";
    unw_word_t base = map ? map->l_addr : 0;
    int size = snprintf(text, room, "frame %s %lx %lx %lx\n", *module ? module : "-", ip - base,
                        function.start_ip - base, function.end_ip - base);
    return size > 0 && (size_t)size < room ? (size_t)size : 0;
}

static inline size_t own_write(unw_context_t *here, const char *through)
{
    size_t size = OWN_FIRST_SIZE + 2 * (size_t)__atomic_fetch_add(&own.count, 1, __ATOMIC_RELAXED);
    static __thread char text[OWN_FRAMES * 100];
    size_t used = (size_t)snprintf(text, sizeof text, "take %zu %s\n", size, through);
    unw_cursor_t cursor;
    int frames = 0;
    own.init(&cursor, here);
    do
        used += own_frame(text + used, sizeof text - used, &cursor);
    while (++frames < OWN_FRAMES && own.step(&cursor) > 0);
    return write(own.fd, text, used) == (ssize_t)used ? size : 0;
}

/* Everything that follows belongs to this case. */
static inline void own_case(const char *name)
{
    char text[100];
    int size = snprintf(text, sizeof text, "case %s\n", name);
    if (write(own.fd, text, (size_t)size) != size)
        _exit(3);
}

#define OWN_STACK(through)                                                                                             \
    __extension__({                                                                                                    \
        unw_context_t own_here;                                                                                        \
        own.get_context(&own_here);                                                                                    \
        own_write(&own_here, through);                                                                                 \
    })

/* Functions that are to be frames of their own. */
#define FRAME __attribute__((noinline, noclone))

/* Allocates here and now; not in a tail call. */
#define OWN_ALLOC()                                                                                                    \
    do {                                                                                                               \
        void *volatile own_block = malloc(OWN_STACK(""));                                                              \
        free(own_block);                                                                                               \
    } while (0)

/* Keeps a call from becoming a jump. */
#define AFTER_CALL __asm__ volatile("" ::: "memory")

/* What most cases call in the end. */
static FRAME __attribute__((unused)) void innermost(void)
{
    OWN_ALLOC();
}

#endif
