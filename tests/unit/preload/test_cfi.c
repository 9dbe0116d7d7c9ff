/* Call frame information: every address of a real library gets a rule that agrees with libdw's reading of it. */
#include "unit/cmocka_tap.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "cfi.h"

struct library {
    uint64_t bias;
    const void *header;
    Dwarf_CFI *cfi;
};

static int find_header(struct dl_phdr_info *info, size_t size, void *data)
{
    struct library *l = data;
    (void)size;
    if (info->dlpi_addr != l->bias)
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            l->header = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1;
}

static struct library open_library(const char *name)
{
    struct link_map *map = dlopen(name, RTLD_NOW);
    struct library l = { .bias = 0 };
    assert_non_null(map);
    l.bias = map->l_addr;
    dl_iterate_phdr(find_header, &l);
    elf_version(EV_CURRENT);
    l.cfi = dwarf_getcfi_elf(elf_begin(open(map->l_name, O_RDONLY), ELF_C_READ, NULL));
    assert_non_null(l.header);
    assert_non_null(l.cfi);
    return l;
}

/* libdw says "register, offset" where the caller's frame is; other forms are expressions. */
static bool expected_frame(Dwarf_Frame *frame, unsigned *reg, int64_t *offset)
{
    Dwarf_Op *ops;
    size_t count;
    if (dwarf_frame_cfa(frame, &ops, &count) != 0 || count != 1)
        return false;
    *reg = ops[0].atom == DW_OP_bregx ? (unsigned)ops[0].number : (unsigned)(ops[0].atom - DW_OP_breg0);
    *offset = ops[0].atom == DW_OP_bregx ? (int64_t)ops[0].number2 : (int64_t)ops[0].number;
    return true;
}

/* Where the caller's frame pointer was saved, from the frame; false: unchanged. */
static bool expected_saved(Dwarf_Frame *frame, int64_t *offset)
{
    Dwarf_Op memory[3], *ops;
    size_t count;
    if (dwarf_frame_register(frame, 6, memory, &ops, &count) != 0 || count == 0)
        return false;
    *offset = count > 1 && ops[0].atom == DW_OP_call_frame_cfa ? (int64_t)ops[1].number : 0;
    return ops[0].atom == DW_OP_call_frame_cfa;
}

static void check(const struct library *l, uint64_t address, unsigned *compared)
{
    Dwarf_Frame *frame;
    struct cfi_rule rule = cfi_find(l->header, l->bias + address);
    unsigned reg;
    int64_t offset, saved;
    if (dwarf_cfi_addrframe(l->cfi, address, &frame) != 0) {
        assert_int_equal(rule.kind, CFI_NONE);
        return;
    }
    if (expected_frame(frame, &reg, &offset) && (reg == 6 || reg == 7) && rule.kind != CFI_UNSUPPORTED &&
        rule.kind != CFI_END && rule.kind != CFI_SIGNAL) {
        assert_int_equal(rule.kind, reg == 7 ? CFI_STACK : CFI_FRAME);
        assert_true(rule.cfa == offset);
        if (expected_saved(frame, &saved)) {
            assert_true(rule.saves_fp);
            assert_true(rule.fp * 8 == saved);
        } else {
            assert_false(rule.saves_fp);
        }
        ++*compared;
    }
    free(frame);
}

static void rules_agree_with_libdw(void **state)
{
    static const char *const names[] = { "libc.so.6", "libstdc++.so.6", "libcrypto.so.3", "libdw.so.1" };
    (void)state;
    unsigned compared = 0;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!dlopen(names[i], RTLD_NOW))
            continue;
        struct library l = open_library(names[i]);
        for (uint64_t address = 0x20000; address < 0x160000; address += 37)
            check(&l, address, &compared);
    }
    assert_true(compared > 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rules_agree_with_libdw) };
    return unit_main(tests);
}
