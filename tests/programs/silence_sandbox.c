/*
 * silence_sandbox.c: gives up all system calls that it does not need itself, and goes on allocating in two threads.
 *
 *      silence_sandbox refuse|kill      what the others do from then on: fail with EPERM, or end the process
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const int needed[] = {
    SYS_read,           SYS_write,        SYS_mmap,         SYS_munmap,          SYS_mremap,
    SYS_mprotect,       SYS_madvise,      SYS_brk,          SYS_futex,           SYS_exit,
    SYS_exit_group,     SYS_clone3,       SYS_clone,        SYS_set_robust_list, SYS_rseq,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigaction, SYS_getrandom,       SYS_sched_yield,
    SYS_fstat,          SYS_newfstatat,
};

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */

static void *allocate(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50000; i++)
        free(kept = malloc(24 + (size_t)i % 700));
    munmap(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
    return NULL;
}

/* Loads the number of the call, compares it with each in turn, and allows or refuses. */
static int give_up_calls(unsigned refusal)
{
    struct sock_filter filter[COUNT(needed) + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    size_t size = 1;
    for (size_t i = 0; i < COUNT(needed); i++, size++)
        filter[size] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)needed[i],
                                                    (unsigned char)(COUNT(needed) - i), 0);
    filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refusal);
    filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { (unsigned short)size, filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -1 : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 2)
        return 2;
    allocate(NULL);
    puts("outside");
    fflush(stdout);
    if (give_up_calls(strcmp(argv[1], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM) != 0)
        return 3;
    pthread_create(&thread, NULL, allocate, NULL);
    allocate(NULL);
    pthread_join(thread, NULL);
    puts("inside");
    return 0;
}
