/* real.c: see real.h. */
#include "real.h"

#include <elf.h>

struct real_functions real_table;
bool real_bound;

/* Set by the linker: this object's own dynamic section and ELF header. */
extern const ElfW(Dyn) own_dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));
extern const ElfW(Ehdr) own_header __asm__("__ehdr_start") __attribute__((visibility("hidden")));

/* What looking up a name needs of one object. */
struct object {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *hash; /* DT_GNU_HASH */
    const uint16_t *versions;
};

/* The loader has added the load address to these pointers, except in objects with a read-only dynamic section. */
static const void *dynamic_pointer(const struct link_map *map, const ElfW(Dyn) * d)
{
    return (const void *)(d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr : d->d_un.d_ptr);
}

static bool object_open(const struct link_map *map, struct object *o)
{
    *o = (struct object){ NULL, NULL, NULL, NULL };
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            o->symbols = dynamic_pointer(map, d);
        else if (d->d_tag == DT_STRTAB)
            o->strings = dynamic_pointer(map, d);
        else if (d->d_tag == DT_GNU_HASH)
            o->hash = dynamic_pointer(map, d);
        else if (d->d_tag == DT_VERSYM)
            o->versions = dynamic_pointer(map, d);
    }
    return o->symbols && o->strings && o->hash;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (uint8_t)*name;
    return h;
}

/*
 * The definition that a new program would be bound to. Versions marked hidden (bit 15 of versym) are for old programs,
 * and count only where the object has no other, as a debugging allocator that keeps to the oldest version.
 */
static const ElfW(Sym) * object_symbol(const struct object *o, const char *name, uint32_t hash)
{
    const uint32_t buckets = o->hash[0], first = o->hash[1], bloom = o->hash[2];
    const uint32_t *bucket = o->hash + 4 + bloom * (sizeof(ElfW(Addr)) / 4), *chain = bucket + buckets;
    const ElfW(Sym) *hidden = NULL;
    uint32_t i = buckets ? bucket[hash % buckets] : 0, end = 0;
    for (; i >= first && i != 0 && !(end & 1); i++) {
        const ElfW(Sym) *s = &o->symbols[i];
        end = chain[i - first];
        if ((end | 1) != (hash | 1) || s->st_shndx == SHN_UNDEF || !sys_equal(o->strings + s->st_name, name))
            continue;
        if (!o->versions || !(o->versions[i] & 0x8000))
            return s;
        hidden = s;
    }
    return hidden;
}

static void *object_find(const struct link_map *map, const char *name, uint32_t hash)
{
    struct object o;
    const ElfW(Sym) *s = object_open(map, &o) ? object_symbol(&o, name, hash) : NULL;
    if (!s)
        return NULL;
    void *address = (void *)(map->l_addr + s->st_value);
    if (ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC)
        address = ((void *(*)(void))address)();
    return address;
}

void *real_next(const char *name)
{
    uint32_t hash = gnu_hash(name);
    const struct link_map *map = _r_debug.r_map;
    while (map && map->l_ld != own_dynamic)
        map = map->l_next;
    for (map = map ? map->l_next : NULL; map; map = map->l_next) {
        void *found = object_find(map, name, hash);
        if (found)
            return found;
    }
    return NULL;
}

static const struct link_map *find_library(const char *library)
{
    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        const char *base = map->l_name;
        for (const char *p = base; *p; p++)
            if (*p == '/')
                base = p + 1;
        if (sys_starts(base, library))
            return map;
    }
    return NULL;
}

void *real_in(const char *library, const char *name)
{
    const struct link_map *map = find_library(library);
    return map ? object_find(map, name, gnu_hash(name)) : NULL;
}

void *real_of(ElfW(Addr) bias, const ElfW(Dyn) * dynamic, const char *name)
{
    struct link_map map = { .l_addr = bias, .l_ld = (ElfW(Dyn) *)(uintptr_t)dynamic };
    return object_find(&map, name, gnu_hash(name));
}

/* Stores a pointer into the global offset table, which the loader may have made read-only. */
static void store_pointer(void **place, void *value)
{
    uintptr_t page = (uintptr_t)place & ~(sys_page_size() - 1);
    if (*place == value)
        return;
    if (sys_protect((void *)page, sys_page_size(), PROT_READ | PROT_WRITE))
        *place = value;
}

static bool rebind_in(const struct link_map *map, const struct object *o, const ElfW(Rela) * r, size_t size,
                      const char *name, void *replacement)
{
    bool found = false;
    for (const ElfW(Rela) *end = r + size / sizeof *r; r < end; r++) {
        uint32_t symbol = (uint32_t)ELF64_R_SYM(r->r_info);
        if (symbol && sys_equal(o->strings + o->symbols[symbol].st_name, name)) {
            store_pointer((void **)(map->l_addr + r->r_offset), replacement);
            found = true;
        }
    }
    return found;
}

bool real_rebind(const char *library, const char *name, void *replacement)
{
    const struct link_map *map = find_library(library);
    const ElfW(Rela) *jump = NULL, *data = NULL;
    size_t jump_size = 0, data_size = 0;
    struct object o;
    if (!map || !object_open(map, &o))
        return false;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_JMPREL)
            jump = dynamic_pointer(map, d);
        else if (d->d_tag == DT_RELA)
            data = dynamic_pointer(map, d);
        else if (d->d_tag == DT_PLTRELSZ)
            jump_size = d->d_un.d_val;
        else if (d->d_tag == DT_RELASZ)
            data_size = d->d_un.d_val;
    }
    bool called = jump && rebind_in(map, &o, jump, jump_size, name, replacement);
    return (data && rebind_in(map, &o, data, data_size, name, replacement)) || called;
}

void real_own_range(uintptr_t *start, uintptr_t *end)
{
    const ElfW(Phdr) *p = (const void *)((const char *)&own_header + own_header.e_phoff);
    *start = *end = (uintptr_t)&own_header;
    for (unsigned i = 0; i < own_header.e_phnum; i++)
        if (p[i].p_type == PT_LOAD && *start + p[i].p_vaddr + p[i].p_memsz > *end)
            *end = *start + p[i].p_vaddr + p[i].p_memsz;
}

void real_bind(void)
{
    struct real_functions found;
#define HOOK(family, name, need) found.name = (__typeof__(name) *)real_next(#name);
#include HOOKS_DEF
#undef HOOK
    real_table = found;
    __atomic_store_n(&real_bound, true, __ATOMIC_RELEASE);
}
