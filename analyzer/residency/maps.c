/* maps.c: the mappings of a live process, with what is behind them. See inside.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "residency/inside.h"

#define MOST_MOUNTS 512

/* Devices of file systems whose pages the kernel counts otherwise than those of files. */
struct devices {
    struct {
        dev_t device;
        enum residency_backing backing;
    } mount[MOST_MOUNTS];
    uint32_t mounts;
    dev_t internal; /* behind memfd_create, shared anonymous memory and System V's; no mount shows it */
};

static void read_mount(struct devices *d, const char *line)
{
    unsigned major, minor;
    const char *type = strstr(line, " - ");
    if (!type || sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2 || d->mounts == MOST_MOUNTS)
        return;
    type += 3;
    if (strncmp(type, "tmpfs ", 6) == 0 || strncmp(type, "devtmpfs ", 9) == 0 || strncmp(type, "ramfs ", 6) == 0)
        d->mount[d->mounts].backing = RESIDENCY_OF_SHMEM;
    else if (strncmp(type, "hugetlbfs ", 10) == 0)
        d->mount[d->mounts].backing = RESIDENCY_OF_HUGETLB;
    else
        return;
    d->mount[d->mounts++].device = makedev(major, minor);
}

static void read_devices(struct devices *d, pid_t pid)
{
    char path[64], *line = NULL;
    size_t room = 0;
    struct stat st;
    d->mounts = 0;
    d->internal = 0;
    int fd = memfd_create("memtap", MFD_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0)
        d->internal = st.st_dev;
    if (fd >= 0)
        close(fd);
    snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && getline(&line, &room, f) > 0)
        read_mount(d, line);
    if (f)
        fclose(f);
    free(line);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static enum residency_backing find_backing(const struct devices *d, const struct residency_vma *v, const char *path)
{
    dev_t device = makedev(v->major, v->minor);
    bool made = begins(path, "/memfd:") || begins(path, "/SYSV") || begins(path, "/anon_hugepage");
    if (begins(path, "[vvar") || begins(path, "[vdso"))
        return RESIDENCY_OF_SPECIAL;
    if (!v->inode)
        return RESIDENCY_OF_ANON;
    if (device == d->internal)
        return RESIDENCY_OF_SHMEM;
    if (made)
        return RESIDENCY_OF_HUGETLB; /* no file of a shared memory system of ours, so of one with large pages */
    if (begins(path, "/dev/zero"))
        return RESIDENCY_OF_ANON;
    if (begins(path, "anon_inode:") || begins(path, "/dmabuf:") ||
        (begins(path, "/dev/") && !begins(path, "/dev/shm/")))
        return RESIDENCY_OF_SPECIAL;
    for (uint32_t i = 0; i < d->mounts; i++)
        if (d->mount[i].device == device)
            return d->mount[i].backing;
    return RESIDENCY_OF_FILE;
}

/* "7f00-7f10 r-xp 00001000 08:01 123   /usr/lib/libc.so.6": false if the line is none of these, or there are too many. */
static bool read_line(struct builder *b, const struct devices *d, char *line)
{
    static const char gone[] = " (deleted)";
    struct residency_vma v = { .start = 0 };
    char mode[5];
    int name = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &v.start, &v.end, mode, &v.offset,
               &v.major, &v.minor, &v.inode, &name) < 7 ||
        !name || v.start >> 63)
        return false; /* no mapping, or [vsyscall], which is in no process's page tables */
    char *path = line + name;
    size_t size = strcspn(path, "\n");
    if (size >= sizeof gone && strncmp(path + size - (sizeof gone - 1), gone, sizeof gone - 1) == 0) {
        v.deleted = true;
        size -= sizeof gone - 1;
    }
    path[size] = '\0';
    struct residency_vma *kept = builder_vma(b, path, size);
    if (!kept)
        return false;
    v.prot = (uint8_t)((mode[0] == 'r' ? PROT_READ : 0) | (mode[1] == 'w' ? PROT_WRITE : 0) |
                       (mode[2] == 'x' ? PROT_EXEC : 0));
    v.shared = mode[3] == 's';
    v.backing = find_backing(d, &v, path);
    v.path = kept->path;
    *kept = v;
    return true;
}

/* Numbers of smaps: "Rss:  12 kB". Rss holds the anonymous pages too. */
static void read_sum(struct residency_vma *v, const char *line)
{
    uint64_t kib;
    char name[32];
    if (sscanf(line, "%31[^:]: %" SCNu64, name, &kib) != 2)
        return;
    enum residency_kind cached = v->backing == RESIDENCY_OF_SHMEM ? RESIDENCY_SHMEM : RESIDENCY_FILE;
    uint64_t bytes = kib << 10;
    if (strcmp(name, "Rss") == 0)
        v->spread.of[cached] = bytes;
    else if (strcmp(name, "Anonymous") == 0)
        v->spread.of[cached] -= bytes < v->spread.of[cached] ? bytes : v->spread.of[cached], v->spread.anon = bytes;
    else if (strcmp(name, "Swap") == 0)
        v->spread.swapped = v->backing == RESIDENCY_OF_SHMEM ? 0 : bytes;
    else if (strcmp(name, "Shared_Hugetlb") == 0 || strcmp(name, "Private_Hugetlb") == 0)
        v->spread.hugetlb += bytes;
}

bool maps_read(struct builder *b, pid_t pid, bool sums, struct error *e)
{
    char path[64], *line = NULL;
    size_t room = 0;
    struct devices devices;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, sums ? "smaps" : "maps");
    FILE *f = fopen(path, "re");
    if (!f)
        return error_set(e, EXIT_TROUBLE, "cannot read %s: %s", path, strerror(errno));
    setvbuf(f, NULL, _IOFBF, 1 << 16);
    read_devices(&devices, pid);
    bool known = false;
    while (getline(&line, &room, f) > 0) {
        bool is_sum = sums && line[0] >= 'A' && line[0] <= 'Z';
        if (!is_sum)
            known = read_line(b, &devices, line);
        else if (known)
            read_sum(&b->s->vma[b->s->vmas - 1], line);
    }
    free(line);
    fclose(f);
    return b->s->vmas > 0 || error_set(e, EXIT_TROUBLE, "%s is empty: the process has just ended", path);
}
