/* pclntab.c: see pclntab.h. */
#include "symbols/pclntab.h"

#include <gelf.h>
#include <string.h>

#define GO_1_18 0xfffffff0u
#define GO_1_20 0xfffffff1u
#define ALIGNMENT 32u    /* of the header */
#define MODULE_TEXT 176u /* where runtime.moduledata has the address of the code */

/* The header: four bytes that tell the version, two zeros, the unit of code addresses, the size of words; and words. Offsets
 * count from the header. */
enum {
    WORD_FUNCTIONS = 8,
    WORD_TEXT = 24, /* 0 since Go 1.26 */
    WORD_NAMES = 32,
    WORD_TABLE = 64, /* by start: {from the beginning of the code; where more of the function is, from the table} */
    HEADER_SIZE = 72,
};

static bool read_at(const struct pclntab *t, uint64_t offset, void *to, size_t size)
{
    if (offset > t->size || size > t->size - offset)
        return false;
    memcpy(to, t->data + offset, size);
    return true;
}

/* The section with this end of its name, and its bytes; NULL if there is none. */
static Elf_Data *find_section(Elf *elf, const char *end, GElf_Shdr *header)
{
    size_t strings, size = strlen(end);
    if (elf_getshdrstrndx(elf, &strings) != 0)
        return NULL;
    for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
        const char *name = gelf_getshdr(s, header) ? elf_strptr(elf, strings, header->sh_name) : NULL;
        size_t length = name ? strlen(name) : 0;
        if (length >= size && strcmp(name + length - size, end) == 0 && header->sh_type != SHT_NOBITS)
            return elf_getdata(s, NULL);
    }
    return NULL;
}

/* What the loader adds to the load address at this place; 0 if nothing. */
static uint64_t relocated(Elf *elf, uint64_t address)
{
    for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
        GElf_Shdr header;
        GElf_Rela entry;
        Elf_Data *data = gelf_getshdr(s, &header) && header.sh_type == SHT_RELA && header.sh_flags & SHF_ALLOC
                             ? elf_getdata(s, NULL)
                             : NULL;
        for (int i = 0; data && gelf_getrela(data, i, &entry); i++)
            if (entry.r_offset == address && GELF_R_SYM(entry.r_info) == 0)
                return (uint64_t)entry.r_addend;
    }
    return 0;
}

/* A word of a section, as it is when the program has been loaded at its own addresses. */
static uint64_t word_at(Elf *elf, const GElf_Shdr *header, const Elf_Data *data, uint64_t offset)
{
    uint64_t word = 0;
    if (data->d_size >= sizeof word && offset <= data->d_size - sizeof word)
        memcpy(&word, (const char *)data->d_buf + offset, sizeof word);
    return word ? word : relocated(elf, header->sh_addr + offset);
}

static bool is_header(const uint8_t *data)
{
    uint32_t version;
    memcpy(&version, data, sizeof version);
    return (version == GO_1_18 || version == GO_1_20) && data[4] == 0 && data[5] == 0 && data[7] == sizeof(uint64_t);
}

/* Where the header is in the section that holds it. Until Go 1.25, position-independent programs that were not linked by
 * Go itself have it among other data. */
static Elf_Data *find_header(Elf *elf, GElf_Shdr *header, uint64_t *offset)
{
    Elf_Data *data = find_section(elf, ".gopclntab", header);
    if (!data && find_section(elf, ".note.go.buildid", header))
        data = find_section(elf, ".data.rel.ro", header);
    for (*offset = 0; data && *offset + HEADER_SIZE <= data->d_size; *offset += ALIGNMENT)
        if (is_header((const uint8_t *)data->d_buf + *offset))
            return data;
    return NULL;
}

bool pclntab_open(struct pclntab *t, Elf *elf)
{
    GElf_Shdr header, module_header;
    uint64_t functions, offset;
    Elf_Data *data = find_header(elf, &header, &offset), *module;
    if (!data)
        return false;
    *t = (struct pclntab){ .data = (const uint8_t *)data->d_buf + offset, .size = data->d_size - offset };
    memcpy(&functions, t->data + WORD_FUNCTIONS, sizeof functions);
    memcpy(&t->names, t->data + WORD_NAMES, sizeof t->names);
    memcpy(&t->table, t->data + WORD_TABLE, sizeof t->table);
    if (t->table > t->size || t->names > t->size || functions >= (t->size - t->table) / 8)
        return false;
    t->functions = (uint32_t)functions;
    t->text = word_at(elf, &header, data, offset + WORD_TEXT);
    if (!t->text && (module = find_section(elf, ".go.module", &module_header)))
        t->text = word_at(elf, &module_header, module, MODULE_TEXT);
    return t->text != 0;
}

const char *pclntab_function(const struct pclntab *t, uint32_t index, uint64_t *start, uint64_t *end)
{
    uint32_t entry[3], name;
    if (!read_at(t, t->table + 8ull * index, entry, sizeof entry) ||
        !read_at(t, t->table + entry[1] + 4, &name, sizeof name) || name >= t->size - t->names ||
        !memchr(t->data + t->names + name, '\0', t->size - t->names - name))
        return NULL;
    *start = t->text + entry[0];
    *end = t->text + entry[2];
    return (const char *)t->data + t->names + name;
}
