/*
 * remains.c: resident memory outside of all blocks and mappings that the program asked for: code and data of modules,
 * stacks of threads, and what an allocator holds around the blocks it gave out.
 */
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"

#define PAGE 4096u
/* Between two blocks of glibc's: the header of a chunk, and what rounding a size up to it leaves. */
#define CHUNK_METADATA 32u

/* What a mapping is for, found out once for all gaps in it. */
struct purpose {
    const char *component;
    bool of_allocator;
};

static uint64_t page_up(uint64_t address)
{
    return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static void add_remains(struct finder *f, uint64_t start, uint64_t end, const char *component,
                        const struct residency_vma *vma)
{
    if (start >= end)
        return;
    struct residency_bytes r = residency_of(f->pages, start, end);
    if (r.anon + r.file + r.swapped == 0)
        return;
    struct owner *o = owners_add(f, start, end);
    o->component = component;
    o->evidence = EVIDENCE_SYSTEM;
    o->file = rules_keep(f->rules, vma->path);
    o->offset = vma->offset + (start - vma->start);
    o->resident = r.anon + r.file;
    o->swapped = r.swapped;
}

/* Whole pages without a block could be given back; what shares its page with a block could not. Of a sample nobody can
 * tell: most blocks lie there, too. */
static void add_of_allocator(struct finder *f, uint64_t start, uint64_t end, const struct residency_vma *vma)
{
    if (heap_sample_mean(f->heap)) {
        add_remains(f, start, end, OWNER_REST, vma);
        return;
    }
    if (end - start <= CHUNK_METADATA) {
        add_remains(f, start, end, "allocator/metadata", vma);
        return;
    }
    uint64_t first = page_up(start), last = end & ~(uint64_t)(PAGE - 1);
    if (first >= last) {
        add_remains(f, start, end, "allocator/fragmentation", vma);
        return;
    }
    add_remains(f, start, first, "allocator/fragmentation", vma);
    add_remains(f, first, last, "allocator/retained", vma);
    add_remains(f, last, end, "allocator/fragmentation", vma);
}

/* glibc's arenas of threads begin at multiples of 64 MiB and are reserved up to the next one (HEAP_MAX_SIZE). */
static bool is_arena(const struct residency_snapshot *pages, const struct residency_vma *vma)
{
    const uint64_t size = 64ull << 20;
    const struct residency_vma *rest = residency_vma_at(pages, vma->end);
    return vma->start % size == 0 && vma->end - vma->start <= size &&
           (vma->end % size == 0 || (rest && !rest->prot && rest->end >= vma->start + size));
}

static bool holds_stack(const struct heap *h, const struct residency_vma *vma)
{
    for (uint32_t i = 0; i < heap_stack_count(h); i++)
        if (heap_stack(h, i) - vma->start < vma->end - vma->start)
            return true;
    return false;
}

/* The data of a module without initial values (.bss) lies right behind what is mapped of its file. NULL: it is none. */
static const char *followed_module(const struct residency_snapshot *pages, const struct residency_vma *vma)
{
    const struct residency_vma *before = residency_vma_at(pages, vma->start - 1);
    return before && before->backing == RESIDENCY_OF_FILE && (before->prot & 2) ? before->path : NULL;
}

static bool is_code(const struct finder *f, const char *path)
{
    for (uint32_t i = 1; i < trace_module_count(f->trace); i++) {
        const struct trace_module *m = trace_module(f->trace, i);
        if (m && m->path && strcmp(m->path, path) == 0)
            return true;
    }
    return strstr(path, ".so") != NULL || strcmp(path, trace_info(f->trace)->executable) == 0;
}

/* The ring in the trace's file, and the tap's code. */
static bool is_own(const struct finder *f, const char *path)
{
    return strcmp(symbols_base_name(path), symbols_base_name(trace_path(f->trace))) == 0 ||
           strncmp(symbols_base_name(path), "libmemtap", 9) == 0;
}

/* `blocks`: heap blocks lie in it. */
static struct purpose purpose_of(const struct finder *f, const struct residency_vma *vma, bool blocks)
{
    bool file = vma->backing == RESIDENCY_OF_FILE;
    if (file && is_own(f, vma->path))
        return (struct purpose){ OWNER_MEMTAP, false };
    if (file && tensors_model(f->tensors, vma->path))
        return (struct purpose){ "weights/other", false };
    if (file)
        return (struct purpose){ is_code(f, vma->path) ? "runtime/code" : "runtime/files", false };
    if (vma->backing != RESIDENCY_OF_ANON)
        return (struct purpose){ "runtime/shared", false };
    if (strcmp(vma->path, "[stack]") == 0)
        return (struct purpose){ "runtime/stacks", false };
    if (trace_info(f->trace)->forked)
        return (struct purpose){ "inherited", false };
    if (blocks || strcmp(vma->path, "[heap]") == 0 || is_arena(f->pages, vma))
        return (struct purpose){ "allocator/retained", true };
    if (holds_stack(f->heap, vma))
        return (struct purpose){ "runtime/stacks", false };
    const char *module = followed_module(f->pages, vma);
    if (module)
        return (struct purpose){ is_own(f, module) ? OWNER_MEMTAP : "runtime/code", false };
    return (struct purpose){ OWNER_NOBODY, false };
}

/* An allocator behind the tap mapped it to put blocks in. */
static bool is_backing(const struct finder *f, const struct residency_vma *vma)
{
    uint32_t i = heap_mapping_behind(f->heap, vma->start);
    const struct heap_mapping *m = i < heap_mapping_count(f->heap) ? heap_mapping(f->heap, i) : NULL;
    const char *component = m && m->start < vma->end ? f->site[m->site].component : NULL;
    return component && strcmp(component, ATTRIBUTION_BACKING) == 0;
}

/* Of the owners, those from `first` on end behind its start. */
static bool has_blocks(const struct finder *f, const struct residency_vma *vma, uint32_t first, uint32_t owners)
{
    for (uint32_t i = first; i < owners && f->owners->owner[i].start < vma->end; i++) {
        const struct owner *o = &f->owners->owner[i];
        if (o->allocated && o->site != HEAP_NO_SITE && !heap_site(f->heap, o->site)->mapping)
            return true;
    }
    return false;
}

static void add_by_purpose(struct finder *f, uint64_t start, uint64_t end, const struct residency_vma *vma,
                           const struct purpose *p)
{
    if (start < end && p->of_allocator)
        add_of_allocator(f, start, end, vma);
    else
        add_remains(f, start, end, p->component, vma);
}

/* What the program did not ask for may be the tap's: the kernel joins its mappings with their neighbours. */
static void add_gap(struct finder *f, uint64_t start, uint64_t end, const struct residency_vma *vma,
                    const struct purpose *p)
{
    for (uint32_t i = 0; i < f->owns && f->own[i].start < end; i++) {
        if (f->own[i].end <= start)
            continue;
        uint64_t from = f->own[i].start > start ? f->own[i].start : start;
        uint64_t to = f->own[i].end < end ? f->own[i].end : end;
        add_by_purpose(f, start, from, vma, p);
        add_remains(f, from, to, OWNER_MEMTAP, vma);
        start = to;
    }
    add_by_purpose(f, start, end, vma, p);
}

static void find_in(struct finder *f, const struct residency_vma *vma, uint32_t *first, uint32_t owners)
{
    while (*first < owners && f->owners->owner[*first].end <= vma->start)
        ++*first;
    struct purpose p = purpose_of(f, vma, is_backing(f, vma) || has_blocks(f, vma, *first, owners));
    uint64_t at = vma->start;
    for (uint32_t i = *first; at < vma->end; i++) {
        bool more = i < owners && f->owners->owner[i].start < vma->end;
        uint64_t until = more ? f->owners->owner[i].start : vma->end, next = more ? f->owners->owner[i].end : vma->end;
        if (until > at)
            add_gap(f, at, until, vma, &p);
        if (next > at)
            at = next;
    }
}

void remains_find(struct finder *f)
{
    uint32_t first = 0, owners = f->owners->count;
    for (uint32_t i = 0; i < f->pages->vmas; i++)
        if (f->pages->vma[i].resident.of[RESIDENCY_ANON] + f->pages->vma[i].resident.of[RESIDENCY_FILE] +
            f->pages->vma[i].resident.of[RESIDENCY_SWAPPED])
            find_in(f, &f->pages->vma[i], &first, owners);
}
