/* modules.c: see modules.h. */
#include "modules.h"

#include <elf.h>
#include <fcntl.h>
#include <time.h>

#include "lines.h"
#include "maps.h"

#define MODULES 4096u
#define PHDRS 16u
#define ARENA_SIZE 65536u
#define PATIENCE_NS 1000000000ull /* how long another thread's look is waited for */
#define STRANGE_PAGES 256u
#define STRANGE_NS 1000000000ull /* how long a page is remembered as being no code */

/* One executable mapping. */
struct module {
    uint64_t start, end, bias, inode;
    const char *path;
    const ElfW(Phdr) * phdr; /* our copy; NULL if this is no ELF image */
    uint64_t frame_header;   /* .eh_frame_hdr, before the bias; 0: none */
    uint16_t phdr_count, build_id_size;
    uint8_t build_id[32];
    uint32_t changes; /* odd while the place is being changed */
    bool recorded;    /* in the trace, with this place */
    bool gone;        /* unloaded; the entry waits for the same file to come back, perhaps elsewhere */
    bool seen;        /* in the present look at the maps */
};

static struct {
    struct module *module;
    uint32_t count;
    uint32_t busy; /* somebody looks at the maps */
    uint64_t looked_ns;
    uint64_t strange[STRANGE_PAGES]; /* by hash: pages with "code addresses" in them that are in no mapping of code */
    char *arena;
    size_t arena_used;
    void (*retire)(uint64_t start, uint64_t end);
    struct kept_file maps;
} list = { .maps = { .path = "/proc/self/maps", .flags = O_RDONLY } };

/* --- one module -------------------------------------------------------------------------------------------------- */

static void *arena_take(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!list.arena || list.arena_used + size > ARENA_SIZE) {
        char *more = size <= ARENA_SIZE ? sys_map(ARENA_SIZE) : NULL;
        if (!more)
            return NULL;
        list.arena = more;
        list.arena_used = 0;
    }
    list.arena_used += size;
    return list.arena + list.arena_used - size;
}

static void read_build_id(struct module *m, const ElfW(Phdr) * p)
{
    static uint8_t note[1024]; /* one thread looks at a time */
    size_t size = p->p_memsz < sizeof note ? p->p_memsz : sizeof note;
    if (!sys_read_memory((void *)(m->bias + p->p_vaddr), note, size))
        return;
    for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
        const ElfW(Nhdr) *n = (const void *)(note + at);
        size_t name = at + sizeof *n, text = name + ((n->n_namesz + 3u) & ~3u);
        at = text + ((n->n_descsz + 3u) & ~3u);
        if (at > size || at < text)
            return;
        if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && sys_equal((char *)note + name, "GNU") &&
            n->n_descsz <= sizeof m->build_id) {
            __builtin_memcpy(m->build_id, note + text, n->n_descsz);
            m->build_id_size = (uint16_t)n->n_descsz;
            return;
        }
    }
}

/* Fills in what the ELF header at `base` says about the mapping `code` of the same file. */
static void read_elf(struct module *m, uint64_t base, const struct mapping *code)
{
    ElfW(Ehdr) e;
    if (!sys_read_memory((void *)base, &e, sizeof e) || __builtin_memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
        e.e_phentsize != sizeof(ElfW(Phdr)) || e.e_phnum > PHDRS)
        return;
    ElfW(Phdr) *phdr = arena_take(e.e_phnum * sizeof *phdr);
    if (!phdr || !sys_read_memory((void *)(base + e.e_phoff), phdr, e.e_phnum * sizeof *phdr))
        return;
    const uint64_t page = sys_page_size() - 1;
    for (unsigned i = 0; i < e.e_phnum; i++)
        if (phdr[i].p_type == PT_LOAD && (phdr[i].p_offset & ~page) <= code->offset &&
            code->offset < phdr[i].p_offset + phdr[i].p_filesz)
            m->bias = code->start - (phdr[i].p_vaddr & ~page) - (code->offset - (phdr[i].p_offset & ~page));
    for (unsigned i = 0; i < e.e_phnum; i++) {
        if (phdr[i].p_type == PT_NOTE && !m->build_id_size)
            read_build_id(m, &phdr[i]);
        if (phdr[i].p_type == PT_GNU_EH_FRAME)
            m->frame_header = phdr[i].p_vaddr;
    }
    m->phdr = phdr;
    m->phdr_count = e.e_phnum;
}

static void add_module(const struct mapping *code, uint64_t base)
{
    if (!list.module && !(list.module = sys_map(MODULES * sizeof *list.module)))
        return;
    size_t size = sys_strlen(code->path) + 1;
    char *path = list.count < MODULES ? arena_take(size) : NULL;
    if (!path)
        return;
    __builtin_memcpy(path, code->path, size);
    struct module *m = &list.module[list.count];
    *m = (struct module){ .start = code->start, .end = code->end, .inode = code->inode, .path = path, .seen = true };
    read_elf(m, base, code);
    __atomic_store_n(&list.count, list.count + 1, __ATOMIC_RELEASE);
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

static bool is_gone(const struct module *m)
{
    return __atomic_load_n(&m->gone, __ATOMIC_ACQUIRE);
}

static struct module *find(uint64_t pc)
{
    for (uint32_t i = __atomic_load_n(&list.count, __ATOMIC_ACQUIRE); i-- > 0;) {
        struct module *m = &list.module[i];
        uint32_t changes = __atomic_load_n(&m->changes, __ATOMIC_ACQUIRE);
        bool hit = pc - m->start < m->end - m->start && !is_gone(m);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (hit && changes % 2 == 0 && changes == __atomic_load_n(&m->changes, __ATOMIC_RELAXED))
            return m;
    }
    return NULL;
}

static void move_module(struct module *m, const struct mapping *code)
{
    __atomic_fetch_add(&m->changes, 1, __ATOMIC_ACQ_REL);
    m->bias += code->start - m->start;
    m->start = code->start;
    m->end = code->end;
    m->recorded = false;
    m->gone = false;
    __atomic_fetch_add(&m->changes, 1, __ATOMIC_RELEASE);
}

/* Brings the list up to date with one mapping. */
static void meet_mapping(const struct mapping *code, uint64_t base)
{
    struct module *back = NULL;
    for (uint32_t i = 0; i < list.count; i++) {
        struct module *m = &list.module[i];
        bool same = m->inode == code->inode && sys_equal(m->path, code->path);
        if (same && is_gone(m)) {
            back = m;
        } else if (same && m->start == code->start) {
            uint64_t end = m->end;
            m->end = code->end;
            m->seen = true;
            if (code->end < end && list.retire) /* generated code that has been given up in part */
                list.retire(code->end, end);
            return;
        } else if (!is_gone(m) && m->start == code->start) {
            m->seen = false; /* another file took its place */
        }
    }
    if (!back) {
        add_module(code, base);
        return;
    }
    move_module(back, code);
    back->seen = true;
}

static void retire_unseen(void)
{
    for (uint32_t i = 0; i < list.count; i++) {
        struct module *m = &list.module[i];
        if (m->seen || is_gone(m))
            continue;
        __atomic_store_n(&m->gone, true, __ATOMIC_RELEASE);
        if (list.retire)
            list.retire(m->start, m->end);
    }
}

static void read_maps(struct lines *lines)
{
    uint64_t base = 0, base_inode = 0;
    for (uint32_t i = 0; i < list.count; i++)
        list.module[i].seen = false;
    for (char *line; (line = lines_next(lines));) {
        struct mapping m = maps_parse(line);
        if (m.offset == 0 || m.inode != base_inode) {
            base = m.start;
            base_inode = m.inode;
        }
        if (m.executable)
            meet_mapping(&m, base);
    }
    retire_unseen();
}

/* Whether nothing in the list has to do with this mapping. */
static bool is_news(const struct mapping *code)
{
    for (uint32_t i = 0; i < list.count; i++) {
        const struct module *m = &list.module[i];
        bool same_file = m->inode == code->inode && sys_equal(m->path, code->path);
        if (same_file || (!is_gone(m) && m->start < code->end && code->start < m->end))
            return false;
    }
    return true;
}

/* Adds the module of an address where the rest of the list cannot have changed with it. False: all have to be looked
 * at. */
static bool look_at(int fd, uint64_t pc)
{
    static char path[4096], other[4096];
    struct mapping code, head;
    enum maps_answer answer = maps_at(fd, pc, &code, path, sizeof path);
    if (answer != MAPS_FOUND)
        return answer == MAPS_NOTHING;
    if (!code.executable || !code.inode || !is_news(&code))
        return false;
    if (maps_at(fd, code.start - code.offset, &head, other, sizeof other) != MAPS_FOUND || head.inode != code.inode ||
        head.offset != 0)
        return false;
    add_module(&code, head.start);
    return true;
}

/* Waits while another thread looks: what it finds may be what is wanted. Not for ever, for it may never go on. */
static bool begin_look(void)
{
    if (!__atomic_exchange_n(&list.busy, 1, __ATOMIC_ACQUIRE))
        return true;
    uint64_t until = sys_clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
    while (__atomic_exchange_n(&list.busy, 1, __ATOMIC_ACQUIRE)) {
        if (sys_clock_ns(CLOCK_MONOTONIC) > until)
            return false;
        sys_yield();
    }
    return true;
}

/* The list is this thread's alone. */
static bool look_alone(uint64_t pc)
{
    static struct lines lines;
    int fd = kept_get(&list.maps);
    if (fd < 0) {
        tracefile_shortfall(TRACE_SHORT_NO_PROC);
        return false;
    }
    if (!pc || (!find(pc) && (!list.count || !look_at(fd, pc)))) {
        lines_begin(&lines, fd);
        read_maps(&lines);
    }
    kept_put(&list.maps, fd);
    list.looked_ns = sys_clock_ns(CLOCK_MONOTONIC);
    return true;
}

/* Brings the list up to date, at least with the module of an address, if one is given. Signals wait: a handler of this
 * thread might want to look too, or leave by siglongjmp. */
static bool look(uint64_t pc)
{
    uint64_t signals = sys_block_signals();
    bool mine = begin_look(), looked = mine && look_alone(pc);
    if (mine)
        __atomic_store_n(&list.busy, 0, __ATOMIC_RELEASE);
    sys_unblock_signals(signals);
    return looked;
}

/* An unwinder that has lost its way brings up addresses that are no code: looking for each again and again would cost
 * more than it tells. */
static bool is_strange(uint64_t pc)
{
    uint64_t page = pc >> 12;
    return list.strange[page % STRANGE_PAGES] == page && sys_clock_ns(CLOCK_MONOTONIC) - list.looked_ns < STRANGE_NS;
}

static struct module *find_or_look(uint64_t pc)
{
    struct module *m = find(pc);
    if (m || is_strange(pc) || !look(pc))
        return m;
    if (!(m = find(pc)))
        list.strange[(pc >> 12) % STRANGE_PAGES] = pc >> 12;
    return m;
}

static void record_module(struct cursor *cursor, struct module *m)
{
    struct record_module r = { .time = tracefile_now(),
                               .id = (uint64_t)(m - list.module) + 1,
                               .start = m->start,
                               .end = m->end,
                               .bias = m->bias,
                               .build_id_size = m->build_id_size };
    if (ring_put(cursor, RECORD_MODULE, &r, (char *)m->build_id, m->build_id_size, m->path, sys_strlen(m->path)))
        __atomic_store_n(&m->recorded, true, __ATOMIC_RELEASE);
}

struct module_place modules_locate(struct cursor *cursor, uint64_t pc)
{
    struct module *m = find_or_look(pc);
    if (!m || !m->phdr)
        return (struct module_place){ 0, pc };
    if (!__atomic_load_n(&m->recorded, __ATOMIC_ACQUIRE))
        record_module(cursor, m);
    return (struct module_place){ (uint32_t)(m - list.module) + 1, pc - m->bias };
}

bool modules_frame_header(uint64_t pc, uint64_t *header)
{
    const struct module *m = find_or_look(pc);
    if (m)
        *header = m->frame_header ? m->frame_header + m->bias : 0;
    return m != NULL;
}

int modules_iterate(uint64_t pc, int (*visit)(struct dl_phdr_info *info, size_t size, void *data), void *data)
{
    const struct module *m = find_or_look(pc);
    if (!m || !m->phdr)
        return 0;
    struct dl_phdr_info info = {
        .dlpi_addr = m->bias, .dlpi_name = m->path, .dlpi_phdr = m->phdr, .dlpi_phnum = m->phdr_count
    };
    return visit(&info, sizeof info, data);
}

void modules_start(void (*retire)(uint64_t start, uint64_t end))
{
    list.retire = retire;
}

void modules_changed(void)
{
    look(0);
}

void modules_forget(void)
{
    for (uint32_t i = 0; i < list.count; i++)
        list.module[i].recorded = false;
    kept_close(&list.maps); /* it shows the parent's memory */
    list.busy = 0;
}
