/* elf.c: see elf.h. */
#include "symbols/elf.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "symbols/functions.h"
#include "symbols/pclntab.h"
#include "symbols/units.h"

/* A function of the symbol table, or of Go's own. */
struct function {
    GElf_Addr start, end;
    const char *name;
    bool global;
};

struct elf_module {
    Dwfl *dwfl;
    Dwfl_Module *module;
    struct function *function; /* by start; dwfl_module_addrinfo would search all of them for every address */
    size_t functions;
    struct functions *debug; /* those of the debug information */
    struct units *units;
};

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
};

static bool has_build_id(Dwfl_Module *module, const uint8_t *wanted, size_t size)
{
    const unsigned char *bits;
    GElf_Addr address;
    int found = dwfl_module_build_id(module, &bits, &address);
    return size == 0 || found <= 0 || ((size_t)found == size && memcmp(bits, wanted, size) == 0);
}

/* --- the symbol table -------------------------------------------------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
    const struct function *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (int)y->global - (int)x->global;
}

/* Functions that say how long they are: one without a size holds no address. Of several names the global one counts. */
static void read_functions(struct elf_module *m)
{
    int count = dwfl_module_getsymtab(m->module);
    m->function = memory_take((count > 0 ? (size_t)count : 1) * sizeof *m->function);
    for (int i = 0; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(m->module, i, &symbol, &address, NULL, NULL, NULL);
        int type = GELF_ST_TYPE(symbol.st_info);
        if (name && *name && symbol.st_size && symbol.st_shndx != SHN_UNDEF &&
            (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE))
            m->function[m->functions++] = (struct function){ address, address + symbol.st_size, name,
                                                             GELF_ST_BIND(symbol.st_info) == STB_GLOBAL };
    }
    array_sort(m->function, m->functions, sizeof *m->function, by_start);
}

/* The innermost function that holds the address, if any. */
static const char *symbol_name(const struct elf_module *m, GElf_Addr address)
{
    size_t low = array_behind(m->function, m->functions, start, address);
    for (int tries = 0; low-- > 0 && tries < 8; tries++)
        if (address < m->function[low].end) {
            while (low > 0 && m->function[low - 1].start == m->function[low].start &&
                   address < m->function[low - 1].end)
                low--;
            return m->function[low].name;
        }
    return NULL;
}

/* Of a Go program, where the symbol table does not have them. */
static void read_go_functions(struct elf_module *m, Elf *elf, GElf_Addr bias)
{
    struct pclntab table;
    if (!pclntab_open(&table, elf) || symbol_name(m, table.text + bias))
        return;
    m->function = memory_resize(m->function, (m->functions + table.functions) * sizeof *m->function);
    for (uint32_t i = 0; i < table.functions; i++) {
        uint64_t start, end;
        const char *name = pclntab_function(&table, i, &start, &end);
        if (name)
            m->function[m->functions++] = (struct function){ start + bias, end + bias, name, false };
    }
    array_sort(m->function, m->functions, sizeof *m->function, by_start);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

struct elf_module *elf_open(const char *path, const uint8_t *build_id, size_t build_id_size)
{
    struct elf_module *m = memory_take(sizeof *m);
    GElf_Addr bias;
    Elf *elf = NULL;
    m->dwfl = dwfl_begin(&callbacks);
    if (m->dwfl) {
        dwfl_report_begin(m->dwfl);
        m->module = dwfl_report_elf(m->dwfl, path, path, -1, 0, true); /* addresses are those of the file */
        dwfl_report_end(m->dwfl, NULL, NULL);
    }
    if (m->module && (elf = dwfl_module_getelf(m->module, &bias)) && has_build_id(m->module, build_id, build_id_size)) {
        read_functions(m);
        read_go_functions(m, elf, bias);
        m->debug = functions_new();
        m->units = units_new(m->module);
        return m;
    }
    elf_close(m);
    return NULL;
}

void elf_close(struct elf_module *m)
{
    if (m && m->dwfl)
        dwfl_end(m->dwfl);
    if (m) {
        functions_free(m->debug);
        units_free(m->units);
        free(m->function);
    }
    free(m);
}

/* --- frames ------------------------------------------------------------------------------------------------------ */

/* The linkage name if there is one, since it demangles to the full name; else the plain name. */
static const char *die_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (!name)
        name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    return name ? name : dwarf_diename(die);
}

/* The unit that holds the address. Between two that .debug_aranges tells of, libdwfl gives the first. */
static Dwarf_Die *find_unit(struct elf_module *m, GElf_Addr address, Dwarf_Addr *bias)
{
    Dwarf_Die *cu = dwfl_module_addrdie(m->module, address, bias);
    return cu && dwarf_haspc(cu, address - *bias) > 0 ? cu : units_at(m->units, address, bias);
}

static void set_line(Dwarf_Die *cu, Dwarf_Addr address, struct elf_frame *frame)
{
    int line = 0;
    Dwarf_Line *l = cu ? dwarf_getsrc_die(cu, address) : NULL;
    frame->file = dwarf_linesrc(l, NULL, NULL);
    dwarf_lineno(l, &line);
    frame->line = line > 0 ? (uint32_t)line : 0;
}

/* The frame into which `die` was inlined continues at the place of the call. */
static void set_call_place(Dwarf_Die *cu, Dwarf_Die *die, struct elf_frame *outer)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    Dwarf_Files *files;
    size_t count;
    dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    outer->line = (uint32_t)line;
    outer->file = NULL;
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 &&
        dwarf_getsrcfiles(cu, &files, &count) == 0 && file < count)
        outer->file = dwarf_filesrc(files, file, NULL, NULL);
}

uint32_t elf_frames(struct elf_module *m, uint64_t address, struct elf_frame *frame, uint32_t most)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *scope = NULL, *cu = find_unit(m, address, &bias);
    uint32_t used = 0;
    frame[0] = (struct elf_frame){ .function = NULL };
    set_line(cu, address - bias, &frame[0]);
    for (uint32_t i = functions_at(m->debug, cu, address - bias, &scope); i-- > 0 && used < most;) {
        frame[used].function = die_name(&scope[i]);
        if (i == 0 || used + 1 == most) {
            used++;
            break;
        }
        frame[used++].inlined = true;
        frame[used] = (struct elf_frame){ .function = NULL };
        set_call_place(cu, &scope[i], &frame[used]);
    }
    if (used == 0)
        used = 1;
    /* The symbol table's name is the mangled one also where DWARF has only the bare name. */
    const char *symbol = symbol_name(m, address);
    if (symbol && !frame[used - 1].inlined)
        frame[used - 1].function = symbol;
    return used;
}

bool elf_is_signal_frame(struct elf_module *m, uint64_t address)
{
    GElf_Addr bias = 0;
    Dwarf_Frame *frame = NULL;
    bool signal = false;
    Dwarf_CFI *cfi = dwfl_module_eh_cfi(m->module, &bias);
    if (!cfi || dwarf_cfi_addrframe(cfi, address - bias, &frame) != 0)
        return false;
    dwarf_frame_info(frame, NULL, NULL, &signal);
    free(frame);
    return signal;
}
