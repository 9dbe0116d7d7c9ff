/* hook_engine_real.c: see hook_engine_real.h. */
#include "hook_engine_real.h"

#include "real.h"

#define FUNCTIONS (sizeof(struct engine) / sizeof(void *))
#define ENGINES 32u
#define SITES_BITS 9u
#define WORDS 64u  /* that are searched for a pointer to code */
#define NEEDED 64u /* objects in the dependencies of one */

static const char *const function_name[FUNCTIONS] = {
#define HOOK(family, name, need) #name,
#include "hooks_engine.def"
#undef HOOK
#define ENGINE_NAME(name) #name,
    ENGINE_ASKED(ENGINE_NAME)
#undef ENGINE_NAME
};

/* What a search fills in: struct engine as an array. */
union functions {
    struct engine engine;
    void *function[FUNCTIONS];
};

static struct {
    union functions found[ENGINES]; /* different ones; a place is filled once */
    bool ready[ENGINES];
    uint32_t count;
    uint64_t site[1u << SITES_BITS]; /* by hash: address of a call site << 8 | place of its engine */
    size_t at_start;                 /* objects that were there when the program began */
} engines;

/* --- objects ----------------------------------------------------------------------------------------------------- */

struct object {
    ElfW(Addr) bias;
    const ElfW(Dyn) * dynamic;
    const char *name;
    bool has_code; /* the address in question lies in it */
};

static struct object object_of(const struct dl_phdr_info *info, uintptr_t code)
{
    struct object o = { .bias = info->dlpi_addr, .name = info->dlpi_name };
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_DYNAMIC)
            o.dynamic = (const ElfW(Dyn) *)(o.bias + p->p_vaddr);
        if (p->p_type == PT_LOAD && code - (o.bias + p->p_vaddr) < p->p_memsz)
            o.has_code = true;
    }
    return o;
}

static bool is_own(const struct object *o)
{
    uintptr_t start, end;
    real_own_range(&start, &end);
    return (uintptr_t)o->dynamic - start < end - start;
}

/* Takes from an object what has not been found yet. */
static void take_from(const struct object *o, union functions *f)
{
    for (unsigned i = 0; o->dynamic && i < FUNCTIONS; i++)
        if (!f->function[i])
            f->function[i] = real_of(o->bias, o->dynamic, function_name[i]);
}

/* --- searching, while the loader's list stands still ------------------------------------------------------------- */

struct search {
    union functions f;
    uintptr_t caller;
    size_t wanted; /* index of the function that must be found */
    size_t number; /* of the object that is looked at */
    bool behind_own;
    struct object root; /* the caller's object; then one of those that it needs */
    const char *name;   /* of an object that is needed */
    struct object queue[NEEDED];
    unsigned queued;
    unsigned definers; /* objects that define what is wanted */
    const void *handle, *stack;
    bool is_lasting; /* the call site will always mean these functions */
};

/* What is linked to the program is searched first for everybody, behind the tap; it never goes away. */
static int visit_start(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *s = data;
    struct object o = object_of(info, s->caller);
    (void)size;
    if (s->behind_own && s->number < engines.at_start)
        take_from(&o, &s->f);
    s->behind_own |= is_own(&o);
    s->number++;
    if (o.has_code && !is_own(&o))
        s->root = o;
    return 0;
}

static const char *base_name(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        base = *path == '/' ? path + 1 : base;
    return base;
}

static const char *string_table(const struct object *o)
{
    for (const ElfW(Dyn) *d = o->dynamic; d && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_STRTAB) /* the loader has added the bias, but for objects that it could not write to */
            return (const char *)(d->d_un.d_ptr < o->bias ? d->d_un.d_ptr + o->bias : d->d_un.d_ptr);
    return NULL;
}

static bool is_called(const struct object *o, const char *name)
{
    const char *strings = string_table(o);
    if (sys_equal(base_name(o->name), name))
        return true;
    for (const ElfW(Dyn) *d = o->dynamic; strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_SONAME)
            return sys_equal(strings + d->d_un.d_val, name);
    return false;
}

static bool is_queued(const struct search *s, const struct object *o)
{
    for (unsigned i = 0; i < s->queued; i++)
        if (s->queue[i].dynamic == o->dynamic)
            return true;
    return false;
}

static int visit_needed(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *s = data;
    struct object o = object_of(info, 0);
    (void)size;
    if (!o.dynamic || is_own(&o) || !is_called(&o, s->name))
        return 0;
    if (s->queued < NEEDED && !is_queued(s, &o))
        s->queue[s->queued++] = o;
    return 1;
}

/* The scope of an object that was loaded later: itself, then what it needs, breadth first. */
static void search_scope(struct search *s, const struct object *root)
{
    s->queue[0] = *root;
    s->queued = 1;
    for (unsigned i = 0; i < s->queued; i++) {
        const struct object *o = &s->queue[i];
        const char *strings = string_table(o);
        take_from(o, &s->f);
        for (const ElfW(Dyn) *d = o->dynamic; strings && d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_NEEDED) {
                s->name = strings + d->d_un.d_val;
                dl_iterate_phdr(visit_needed, s);
            }
    }
}

/* --- when the call came from an object that is not linked to the engine ------------------------------------------ */

/* An engine's function that ends in a call leaves its frame to the function that it calls, which then seems to be called
 * by whoever called the engine. If there are several engines, it is the one whose code is pointed to by what was passed,
 * or from the stack. */
static int visit_definer(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *s = data;
    struct object o = object_of(info, s->caller);
    (void)size;
    bool may_be = o.dynamic && !is_own(&o) && (s->caller == 0 || o.has_code);
    if (!may_be || !real_of(o.bias, o.dynamic, function_name[s->wanted]))
        return 0;
    if (s->definers++ == 0 || o.has_code)
        s->root = o;
    return o.has_code;
}

static bool search_definer(struct search *s, const void *words)
{
    uintptr_t word[WORDS];
    bool found = false;
    if (!sys_read_memory(words, word, sizeof word))
        return false;
    for (unsigned i = 0; i < WORDS && !found; i++) {
        s->caller = word[i];
        found = word[i] > 4096 && dl_iterate_phdr(visit_definer, s);
    }
    return found;
}

static void search_elsewhere(struct search *s)
{
    s->caller = 0;
    dl_iterate_phdr(visit_definer, s);
    if (s->definers > 1 && !search_definer(s, s->handle))
        search_definer(s, s->stack);
    if (s->definers > 0)
        search_scope(s, &s->root);
}

/* The lock is recursive: with it held all the way, nothing that is looked at can be unloaded. */
static int search_all(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *s = data;
    (void)info;
    (void)size;
    dl_iterate_phdr(visit_start, s);
    if (s->root.dynamic)
        search_scope(s, &s->root);
    s->is_lasting = s->f.function[s->wanted] != NULL;
    if (!s->is_lasting)
        search_elsewhere(s);
    return 1;
}

/* --- remembering ------------------------------------------------------------------------------------------------- */

/* The place of these functions, a new one if need be; ENGINES if there is none left. */
static uint32_t place_of(const union functions *f)
{
    uint32_t count = __atomic_load_n(&engines.count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count && i < ENGINES; i++)
        if (__atomic_load_n(&engines.ready[i], __ATOMIC_ACQUIRE) &&
            __builtin_memcmp(&engines.found[i], f, sizeof *f) == 0)
            return i;
    if (count >= ENGINES)
        return ENGINES;
    uint32_t place = __atomic_fetch_add(&engines.count, 1, __ATOMIC_ACQ_REL);
    if (place >= ENGINES)
        return ENGINES;
    engines.found[place] = *f;
    __atomic_store_n(&engines.ready[place], true, __ATOMIC_RELEASE);
    return place;
}

static uint64_t *site_of(const void *caller)
{
    return &engines.site[(uint64_t)(uintptr_t)caller * 0x9e3779b97f4a7c15ull >> (64 - SITES_BITS)];
}

static __attribute__((noinline)) const struct engine *find(const void *caller, size_t wanted, const void *handle)
{
    static __thread union functions unplaced;
    struct search s = { .caller = (uintptr_t)caller,
                        .wanted = wanted / sizeof(void *),
                        .handle = handle,
                        .stack = __builtin_frame_address(0) };
    dl_iterate_phdr(search_all, &s);
    uint32_t place = place_of(&s.f);
    if (place == ENGINES) {
        unplaced = s.f;
        return &unplaced.engine;
    }
    if (s.is_lasting)
        __atomic_store_n(site_of(caller), (uint64_t)(uintptr_t)caller << 8 | place, __ATOMIC_RELEASE);
    return &engines.found[place].engine;
}

const struct engine *engine_of(const void *caller, size_t wanted, const void *handle)
{
    uint64_t site = __atomic_load_n(site_of(caller), __ATOMIC_ACQUIRE);
    if (likely(site >> 8 == (uintptr_t)caller))
        return &engines.found[site & 0xff].engine;
    return find(caller, wanted, handle);
}

void engine_forget(void)
{
    for (unsigned i = 0; i < 1u << SITES_BITS; i++)
        __atomic_store_n(&engines.site[i], 0, __ATOMIC_RELAXED);
}

static int count_object(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)info;
    (void)size;
    ++*(size_t *)count;
    return 0;
}

static void __attribute__((constructor)) count_objects(void)
{
    dl_iterate_phdr(count_object, &engines.at_start);
}
