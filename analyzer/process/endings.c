/* endings.c: see endings.h. */
#include "process/endings.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"

/* include/uapi/linux/pidfd.h of Linux 6.15, which older headers do not have. */
struct pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid;
    uint32_t ids[8];
    int32_t exit_code;
    uint8_t more[32];
};
#define INFO_EXIT (1ull << 3)
#define GET_INFO                                                                                                       \
    _IOWR(                                                                                                             \
        0xff, 11, struct { char size[64]; })

struct watched {
    pid_t pid;
    int fd;
};

struct endings {
    struct watched *process;
    uint32_t count, room;
};

struct endings *endings_new(void)
{
    return memory_take(sizeof(struct endings));
}

void endings_watch(struct endings *e, pid_t pid)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->process[i].pid == pid)
            return;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    array_room(e->process, e->count, e->room);
    e->process[e->count++] = (struct watched){ pid, fd };
}

bool endings_status(const struct endings *e, pid_t pid, int *status)
{
    for (uint32_t i = 0; i < e->count; i++) {
        struct pidfd_info info = { .mask = INFO_EXIT };
        if (e->process[i].pid == pid && ioctl(e->process[i].fd, GET_INFO, &info) == 0 && info.mask & INFO_EXIT) {
            *status = info.exit_code;
            return true;
        }
    }
    return false;
}

void endings_free(struct endings *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        close(e->process[i].fd);
    free(e->process);
    free(e);
}
