/* inspect.c: see inspect.h. */
#include "process/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#else
#define THIS_MACHINE EM_NONE
#endif

/* --- finding ----------------------------------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool find_in_path(const char *name, char *found)
{
    const char *path_list = getenv("PATH");
    char *list = strdup(path_list ? path_list : "/usr/bin:/bin"), *save;
    bool hit = false;
    for (char *directory = strtok_r(list, ":", &save); directory && !hit; directory = strtok_r(NULL, ":", &save)) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", directory, name);
        hit = is_program(path) && access(path, X_OK) == 0 && realpath(path, found);
    }
    free(list);
    return hit;
}

/* "#!/usr/bin/env python3" or "#!/bin/sh -e": what really runs. */
static bool find_interpreter(const char *path, char *found)
{
    char line[512] = "", *save;
    FILE *f = fopen(path, "re");
    bool script = f && fgets(line, sizeof line, f) && strncmp(line, "#!", 2) == 0;
    if (f)
        fclose(f);
    char *program = script ? strtok_r(line + 2, " \t\n", &save) : NULL;
    char *next = program ? strtok_r(NULL, " \t\n", &save) : NULL;
    if (!program)
        return false;
    const char *base = strrchr(program, '/');
    if (base && strcmp(base, "/env") == 0 && next && *next != '-')
        return find_in_path(next, found);
    return realpath(program, found) != NULL;
}

/* --- the ELF file ------------------------------------------------------------------------------------------------ */

static void look_at_segments(Elf *elf, int fd, struct inspection *i)
{
    size_t count = 0;
    bool dynamic = false;
    elf_getphdrnum(elf, &count);
    for (size_t n = 0; n < count; n++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)n, &p))
            continue;
        dynamic |= p.p_type == PT_INTERP;
        if (p.p_type == PT_INTERP && p.p_filesz < sizeof i->interpreter &&
            pread(fd, i->interpreter, p.p_filesz, (off_t)p.p_offset) < 0)
            i->interpreter[0] = '\0';
    }
    i->is_static = !dynamic;
    i->is_musl = strstr(i->interpreter, "ld-musl") != NULL;
}

static void look_at_needs(Elf *elf, Elf_Scn *section, const GElf_Shdr *head, struct inspection *i)
{
    Elf_Data *data = elf_getdata(section, NULL);
    for (size_t n = 0; data && head->sh_entsize && n < head->sh_size / head->sh_entsize; n++) {
        GElf_Dyn d;
        if (!gelf_getdyn(data, (int)n, &d) || d.d_tag != DT_NEEDED)
            continue;
        const char *name = elf_strptr(elf, head->sh_link, d.d_un.d_val);
        i->needs_jemalloc |= name && strncmp(name, "libjemalloc", 11) == 0;
    }
}

static void look_at_symbols(Elf *elf, Elf_Scn *section, const GElf_Shdr *head, struct inspection *i)
{
    Elf_Data *data = elf_getdata(section, NULL);
    for (size_t n = 0; data && head->sh_entsize && n < head->sh_size / head->sh_entsize; n++) {
        GElf_Sym s;
        if (!gelf_getsym(data, (int)n, &s) || s.st_shndx == SHN_UNDEF || GELF_ST_TYPE(s.st_info) != STT_FUNC)
            continue;
        const char *name = elf_strptr(elf, head->sh_link, s.st_name);
        i->own_malloc |= name && strcmp(name, "malloc") == 0;
    }
}

static void look_at_sections(Elf *elf, struct inspection *i)
{
    size_t names = 0;
    elf_getshdrstrndx(elf, &names);
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        GElf_Shdr head;
        if (!gelf_getshdr(section, &head))
            continue;
        const char *name = elf_strptr(elf, names, head.sh_name);
        i->is_go |= name && (strcmp(name, ".gopclntab") == 0 || strcmp(name, ".note.go.buildid") == 0);
        if (head.sh_type == SHT_DYNAMIC)
            look_at_needs(elf, section, &head, i);
        if (head.sh_type == SHT_DYNSYM)
            look_at_symbols(elf, section, &head, i);
    }
}

static void look_at_file(int fd, struct inspection *i)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    GElf_Ehdr e;
    i->is_elf = elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &e);
    if (i->is_elf) {
        i->other_machine = e.e_machine != THIS_MACHINE || e.e_ident[EI_CLASS] != ELFCLASS64;
        look_at_segments(elf, fd, i);
        look_at_sections(elf, i);
    }
    elf_end(elf);
}

/* --- the room's face --------------------------------------------------------------------------------------------- */

bool inspect_program(const char *name, int pid, struct inspection *i, struct error *e)
{
    char place[PATH_MAX], found[PATH_MAX];
    struct stat st;
    memset(i, 0, sizeof *i);
    if (pid)
        snprintf(place, sizeof place, "/proc/%d/exe", pid);
    else if (strchr(name, '/') ? !realpath(name, place) : !find_in_path(name, place))
        return error_set(e, EXIT_TROUBLE, "there is no program %s", name);
    if (!pid && find_interpreter(place, found)) {
        i->is_script = true;
        snprintf(place, sizeof place, "%s", found);
    }
    int fd = open(place, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(e, EXIT_TROUBLE, "cannot look into %s: %s", place, strerror(errno));
    snprintf(i->path, sizeof i->path, "%s", place);
    if (pid && readlink(place, i->path, sizeof i->path - 1) < 0)
        snprintf(i->path, sizeof i->path, "%s", place);
    i->privileged = (fstat(fd, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID))) ||
                    fgetxattr(fd, "security.capability", NULL, 0) > 0;
    look_at_file(fd, i);
    close(fd);
    return true;
}

bool inspect_is_tapped(int pid)
{
    char path[64], line[5000];
    bool tapped = false;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *f = fopen(path, "re");
    while (f && !tapped && fgets(line, sizeof line, f))
        tapped = strstr(line, "/libmemtap.so") != NULL;
    if (f)
        fclose(f);
    return tapped;
}
