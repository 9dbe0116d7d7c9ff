/*
 * silence_privileges.c: changes its directory and its root, becomes nobody, and goes on allocating; started as root.
 *
 *      silence_privileges DIRECTORY
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static void *allocate(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++)
        free(kept = malloc((size_t)i % 900 + 1));
    munmap(mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
    return NULL;
}

static void allocate_everywhere(const char *when)
{
    pthread_t thread;
    pthread_create(&thread, NULL, allocate, NULL);
    allocate(NULL);
    pthread_join(thread, NULL);
    printf("%s: allocated\n", when);
    fflush(stdout);
}

static void allocate_in_child(const char *when)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        allocate_everywhere(when);
        exit(7);
    }
    waitpid(pid, &status, 0);
    printf("%s: the child ended with %d\n", when, WEXITSTATUS(status));
}

static void tell(const char *what, int result)
{
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

int main(int argc, char **argv)
{
    char here[PATH_MAX] = "?";
    if (argc != 2)
        return 2;
    allocate_everywhere("as root");
    tell("chdir", chdir(argv[1]));
    allocate_everywhere("elsewhere");
    tell("chroot", chroot("."));
    allocate_everywhere("in a cage");
    allocate_in_child("in a cage");
    tell("setgroups", setgroups(0, NULL));
    tell("setgid", setgid(NOBODY));
    tell("setuid", setuid(NOBODY));
    allocate_everywhere("as nobody");
    allocate_in_child("as nobody");
    tell("setuid(0)", setuid(0));
    tell("/proc", open("/proc", O_RDONLY));
    tell("a secret", open("/secret", O_RDONLY));
    printf("in %s as %d:%d\n", getcwd(here, sizeof here) ? here : "?", (int)getuid(), (int)getgid());
    closefrom(3); /* from here on nobody can open the trace again */
    allocate_everywhere("without descriptors");
    allocate_in_child("without descriptors");
    return 0;
}
