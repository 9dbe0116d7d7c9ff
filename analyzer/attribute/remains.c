/*
 * remains.c: resident memory outside of all blocks and mappings that the program asked for: code and data of modules,
 * stacks of threads, and what an allocator holds around the blocks it gave out.
 */
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"
#include "base/memory.h"

#define PAGE 4096u
/* Between two blocks of glibc's: the header of a chunk, and what rounding a size up to it leaves. */
#define CHUNK_METADATA 32u

static uint64_t page_up(uint64_t address)
{
    return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static void add_remains(struct owners *w, uint64_t start, uint64_t end, const char *component,
                        const struct residency_vma *vma)
{
    if (start >= end)
        return;
    struct residency_bytes r = residency_of(w->pages, start, end);
    if (r.anon + r.file + r.swapped == 0)
        return;
    struct owner o = OWNER_OF_NOTHING(start, end);
    o.component = component;
    o.evidence = EVIDENCE_SYSTEM;
    o.file = w->walk.purpose.file;
    o.offset = vma->offset + (start - vma->start);
    o.resident = r.anon + r.file;
    o.swapped = r.swapped;
    w->walk.visit(w->walk.context, &o);
}

/* Whole pages without a block could be given back; what shares its page with a block could not. Of a sample nobody can
 * tell: most blocks lie there, too. */
static void add_of_allocator(struct owners *w, uint64_t start, uint64_t end, const struct residency_vma *vma)
{
    if (heap_sample_mean(w->heap)) {
        add_remains(w, start, end, OWNER_REST, vma);
        return;
    }
    if (end - start <= CHUNK_METADATA) {
        add_remains(w, start, end, "allocator/metadata", vma);
        return;
    }
    uint64_t first = page_up(start), last = end & ~(uint64_t)(PAGE - 1);
    if (first >= last) {
        add_remains(w, start, end, "allocator/fragmentation", vma);
        return;
    }
    add_remains(w, start, first, "allocator/fragmentation", vma);
    add_remains(w, first, last, "allocator/retained", vma);
    add_remains(w, last, end, "allocator/fragmentation", vma);
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

static bool is_code(const struct owners *w, const char *path)
{
    for (uint32_t i = 1; i < trace_module_count(w->trace); i++) {
        const struct trace_module *m = trace_module(w->trace, i);
        if (m && m->path && strcmp(m->path, path) == 0)
            return true;
    }
    return strstr(path, ".so") != NULL || strcmp(path, trace_info(w->trace)->executable) == 0;
}

/* The ring in the trace's file, and the tap's code. */
static bool is_own(const struct owners *w, const char *path)
{
    return strcmp(symbols_base_name(path), symbols_base_name(trace_path(w->trace))) == 0 ||
           strncmp(symbols_base_name(path), "libmemtap", 9) == 0;
}

/* An allocator behind the tap mapped it to put blocks in. */
static bool is_backing(const struct owners *w, const struct residency_vma *vma)
{
    uint32_t i = heap_mapping_behind(w->heap, vma->start);
    const struct heap_mapping *m = i < heap_mapping_count(w->heap) ? heap_mapping(w->heap, i) : NULL;
    const char *component = m && m->start < vma->end ? w->site[m->site].component : NULL;
    return component && strcmp(component, ATTRIBUTION_BACKING) == 0;
}

static bool has_blocks(const struct owners *w, const struct residency_vma *vma)
{
    uint32_t below = array_behind(w->block, w->blocks, address, vma->end - 1);
    if (!below)
        return false;
    uint64_t last = w->block[below - 1].address;
    return last >= vma->start || last + heap_block(w->heap, last).size > vma->start;
}

static struct purpose find_purpose(const struct owners *w, const struct residency_vma *vma)
{
    bool file = vma->backing == RESIDENCY_OF_FILE;
    if (file && is_own(w, vma->path))
        return (struct purpose){ .component = OWNER_MEMTAP };
    if (file && tensors_model(w->tensors, vma->path))
        return (struct purpose){ .component = "weights/other" };
    if (file)
        return (struct purpose){ .component = is_code(w, vma->path) ? "runtime/code" : "runtime/files" };
    if (vma->backing != RESIDENCY_OF_ANON)
        return (struct purpose){ .component = "runtime/shared" };
    if (strcmp(vma->path, "[stack]") == 0)
        return (struct purpose){ .component = "runtime/stacks" };
    if (trace_info(w->trace)->forked)
        return (struct purpose){ .component = "inherited" };
    if (is_backing(w, vma) || has_blocks(w, vma) || strcmp(vma->path, "[heap]") == 0 || is_arena(w->pages, vma))
        return (struct purpose){ .component = "allocator/retained", .of_allocator = true };
    if (holds_stack(w->heap, vma))
        return (struct purpose){ .component = "runtime/stacks" };
    const char *module = followed_module(w->pages, vma);
    if (module)
        return (struct purpose){ .component = is_own(w, module) ? OWNER_MEMTAP : "runtime/code" };
    return (struct purpose){ .component = OWNER_NOBODY };
}

static void add_by_purpose(struct owners *w, uint64_t start, uint64_t end, const struct residency_vma *vma,
                           const struct purpose *p)
{
    if (start < end && p->of_allocator)
        add_of_allocator(w, start, end, vma);
    else
        add_remains(w, start, end, p->component, vma);
}

/* What the program did not ask for may be the tap's: the kernel joins its mappings with their neighbours. */
static void add_gap(struct owners *w, uint64_t start, uint64_t end, const struct residency_vma *vma,
                    const struct purpose *p)
{
    for (uint32_t i = 0; i < w->owns && w->own[i].start < end; i++) {
        if (w->own[i].end <= start)
            continue;
        uint64_t from = w->own[i].start > start ? w->own[i].start : start;
        uint64_t to = w->own[i].end < end ? w->own[i].end : end;
        add_by_purpose(w, start, from, vma, p);
        add_remains(w, from, to, OWNER_MEMTAP, vma);
        start = to;
    }
    add_by_purpose(w, start, end, vma, p);
}

static bool is_resident(const struct residency_vma *vma)
{
    const uint64_t *bytes = vma->resident.of;
    return bytes[RESIDENCY_ANON] + bytes[RESIDENCY_FILE] + bytes[RESIDENCY_SWAPPED] > 0;
}

static void add_gap_in(struct owners *w, uint64_t start, uint64_t end, const struct residency_vma *vma)
{
    struct purpose *p = &w->walk.purpose;
    if (start >= end || !is_resident(vma))
        return;
    if (!p->component) {
        *p = find_purpose(w, vma);
        p->file = rules_keep(w->rules, vma->path);
    }
    add_gap(w, start, end, vma, p);
}

void remains_until(struct owners *w, uint64_t until)
{
    for (; w->walk.vma < w->pages->vmas; w->walk.vma++) {
        const struct residency_vma *vma = &w->pages->vma[w->walk.vma];
        uint64_t start = w->walk.covered > vma->start ? w->walk.covered : vma->start;
        add_gap_in(w, start, vma->end < until ? vma->end : until, vma);
        if (vma->end > until)
            return;
        w->walk.purpose.component = NULL;
    }
}
