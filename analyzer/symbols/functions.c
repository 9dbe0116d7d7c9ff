/*
 * functions.c: see functions.h. dwarf_getscopes would walk a whole unit for every address, and again for the scopes
 * around an inlined call. Here one walk notes where the unit's functions lie; for an address only the entries inside of
 * its function are read.
 */
#include "symbols/functions.h"

#include <dwarf.h>
#include <htslib/khash.h>
#include <stdlib.h>

#include "base/memory.h"

#define DEEPEST 64u /* functions inside of this many namespaces, types and functions are looked for */

/* A part of a function's code. */
struct part {
    Dwarf_Addr start, end, reach; /* reach: the highest end up to here */
    Dwarf_Die function;
    uint32_t order; /* in the unit: of two functions that share code the first one counts */
};

struct unit {
    struct part *part; /* by start */
    uint32_t parts, room;
    bool whole; /* functions inside of other entries are there, too */
};

KHASH_MAP_INIT_INT64(units, struct unit)
KHASH_SET_INIT_INT64(entries)

struct functions {
    khash_t(units) * units;     /* by the place of their first entry */
    khash_t(entries) * imports; /* of the unit that is being read */
    Dwarf_Die *scope;
    uint32_t scopes, scope_room;
};

struct functions *functions_new(void)
{
    struct functions *f = memory_take(sizeof *f);
    f->units = kh_init(units);
    f->imports = kh_init(entries);
    return f;
}

void functions_free(struct functions *f)
{
    if (!f)
        return;
    for (khint_t k = kh_begin(f->units); k != kh_end(f->units); k++)
        if (kh_exist(f->units, k))
            free(kh_value(f->units, k).part);
    kh_destroy(units, f->units);
    kh_destroy(entries, f->imports);
    free(f->scope);
    free(f);
}

/* --- reading a unit ---------------------------------------------------------------------------------------------- */

static void add_function(struct unit *u, Dwarf_Die *die)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
        array_room(u->part, u->parts, u->room);
        u->part[u->parts] = (struct part){ .start = start, .end = end, .function = *die, .order = u->parts };
        u->parts++;
    }
}

/* Whether functions with code can lie inside of such an entry. */
static bool may_hold_functions(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
           tag == DW_TAG_structure_type || tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block;
}

/* The partial unit that stands in the place of this entry, at its first import into the unit. */
static bool find_import(struct functions *f, Dwarf_Die *die, Dwarf_Die *partial)
{
    Dwarf_Attribute attribute;
    int fresh;
    if (!dwarf_formref_die(dwarf_attr(die, DW_AT_import, &attribute), partial) ||
        dwarf_tag(partial) != DW_TAG_partial_unit)
        return false;
    kh_put(entries, f->imports, (uintptr_t)partial->addr, &fresh);
    return fresh > 0;
}

static void collect(struct functions *f, struct unit *u, Dwarf_Die *parent, uint32_t depth)
{
    Dwarf_Die child, partial;
    if (depth > DEEPEST || dwarf_child(parent, &child) != 0)
        return;
    do {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_subprogram)
            add_function(u, &child);
        if (tag == DW_TAG_imported_unit && find_import(f, &child, &partial))
            collect(f, u, &partial, depth + 1);
        else if (u->whole && may_hold_functions(tag))
            collect(f, u, &child, depth + 1);
    } while (dwarf_siblingof(&child, &child) == 0);
}

static int by_start(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void read_unit(struct functions *f, struct unit *u, Dwarf_Die *cu)
{
    Dwarf_Addr reach = 0;
    u->parts = 0;
    kh_clear(entries, f->imports);
    collect(f, u, cu, 0);
    array_sort(u->part, u->parts, sizeof *u->part, by_start);
    for (uint32_t i = 0; i < u->parts; i++)
        u->part[i].reach = reach = u->part[i].end > reach ? u->part[i].end : reach;
}

/* --- looking up -------------------------------------------------------------------------------------------------- */

static const struct part *part_at(const struct unit *u, Dwarf_Addr address)
{
    const struct part *found = NULL;
    uint32_t low = array_behind(u->part, u->parts, start, address);
    for (; low > 0 && u->part[low - 1].reach > address; low--) {
        const struct part *p = &u->part[low - 1];
        if (p->end > address && (!found || p->order < found->order))
            found = p;
    }
    return found;
}

/* Most functions stand right below the unit; the whole of it is read when one does not. */
static const struct part *find_function(struct functions *f, Dwarf_Die *cu, Dwarf_Addr address)
{
    int fresh;
    khint_t k = kh_put(units, f->units, (uintptr_t)cu->addr, &fresh);
    struct unit *u = &kh_value(f->units, k);
    if (fresh) {
        *u = (struct unit){ .part = NULL };
        read_unit(f, u, cu);
    }
    const struct part *found = part_at(u, address);
    if (found || u->whole)
        return found;
    u->whole = true;
    read_unit(f, u, cu);
    return part_at(u, address);
}

static bool may_hold_calls(int tag)
{
    switch (tag) {
    case DW_TAG_lexical_block:
    case DW_TAG_with_stmt:
    case DW_TAG_catch_block:
    case DW_TAG_try_block:
    case DW_TAG_entry_point:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_subprogram:
        return true;
    default:
        return false;
    }
}

/* Goes to the entry right inside of this one that holds the address. */
static bool step_inside(Dwarf_Die *die, Dwarf_Addr address)
{
    Dwarf_Die child;
    if (dwarf_child(die, &child) != 0)
        return false;
    do
        if (may_hold_calls(dwarf_tag(&child)) && dwarf_haspc(&child, address) > 0) {
            *die = child;
            return true;
        }
    while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

uint32_t functions_at(struct functions *f, Dwarf_Die *cu, Dwarf_Addr address, Dwarf_Die **scope)
{
    const struct part *p = cu ? find_function(f, cu, address) : NULL;
    f->scopes = 0;
    if (!p)
        return 0;
    Dwarf_Die die = p->function;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram || tag == DW_TAG_entry_point)
            f->scopes = 0;
        else if (tag != DW_TAG_inlined_subroutine)
            continue;
        array_room(f->scope, f->scopes, f->scope_room);
        f->scope[f->scopes++] = die;
    } while (step_inside(&die, address));
    *scope = f->scope;
    return f->scopes;
}
