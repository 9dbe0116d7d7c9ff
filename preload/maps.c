/* maps.c: see maps.h. */
#include "maps.h"

#include <errno.h>

/* "start-end perms offset major:minor inode   path" (proc(5)). */
struct mapping maps_parse(const char *line)
{
    struct mapping m;
    const char *p;
    m.start = sys_parse_number(line, &p, 16);
    m.end = sys_parse_number(p + (*p == '-'), &p, 16);
    m.executable = sys_strlen(p) > 5 && p[3] == 'x';
    for (int i = 0; i < 2; i++)
        while (*p && *p++ != ' ')
            ;
    m.offset = sys_parse_number(p, &p, 16);
    for (int i = 0; i < 2; i++)
        while (*p && *p++ != ' ')
            ;
    m.inode = sys_parse_number(p, &p, 10);
    while (*p == ' ')
        p++;
    m.path = p;
    return m;
}

/* Linux 6.11, include/uapi/linux/fs.h: struct procmap_query. */
struct query {
    uint64_t size, flags, address;
    uint64_t start, end, vma_flags, page_size, offset, inode;
    uint32_t device_major, device_minor;
    uint32_t name_size, build_id_size; /* in: room; out: bytes with the NUL, 0: there is none */
    uint64_t name, build_id;
};
_Static_assert(sizeof(struct query) == 104, "an interface of the kernel");
#define QUERY 0xc0686611u   /* _IOWR('f', 17, struct procmap_query) */
#define QUERY_EXECUTABLE 4u /* in vma_flags */

enum maps_answer maps_at(int fd, uint64_t address, struct mapping *m, char *path, size_t size)
{
    struct query q = { .size = sizeof q, .address = address, .name_size = (uint32_t)size, .name = (uintptr_t)path };
    path[0] = '\0';
    int error = sys_ioctl(fd, QUERY, &q);
    if (error)
        return error == -ENOENT ? MAPS_NOTHING : MAPS_SILENT;
    *m = (struct mapping){ q.start, q.end, q.offset, q.inode, q.vma_flags & QUERY_EXECUTABLE, path };
    return MAPS_FOUND;
}
