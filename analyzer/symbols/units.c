/* units.c: see units.h. */
#include "symbols/units.h"

#include <stdlib.h>

#include "base/memory.h"

/* A range of addresses, as in the file. */
struct range {
    Dwarf_Addr start, end;
    Dwarf_Die *unit;
};

struct units {
    Dwfl_Module *module;
    struct range *range; /* by start */
    uint32_t ranges, room;
    Dwarf_Addr bias;
    bool read;
};

struct units *units_new(Dwfl_Module *module)
{
    struct units *u = memory_take(sizeof *u);
    u->module = module;
    return u;
}

void units_free(struct units *u)
{
    if (u)
        free(u->range);
    free(u);
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void read_units(struct units *u)
{
    Dwarf_Addr base, start, end;
    u->read = true;
    for (Dwarf_Die *cu = NULL; (cu = dwfl_module_nextcu(u->module, cu, &u->bias));)
        for (ptrdiff_t at = 0; (at = dwarf_ranges(cu, at, &base, &start, &end)) > 0;)
            if (start < end) {
                array_room(u->range, u->ranges, u->room);
                u->range[u->ranges++] = (struct range){ start, end, cu };
            }
    array_sort(u->range, u->ranges, sizeof *u->range, by_start);
}

Dwarf_Die *units_at(struct units *u, Dwarf_Addr address, Dwarf_Addr *bias)
{
    if (!u->read)
        read_units(u);
    *bias = u->bias;
    uint32_t low = array_behind(u->range, u->ranges, start, address - u->bias);
    return low > 0 && address - u->bias < u->range[low - 1].end ? u->range[low - 1].unit : NULL;
}
