/* doctor.c: memtap doctor, will the tap see this program, and what is missing on this machine. */
#include <ctype.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commands/command.h"
#include "commands/commands.h"
#include "process/inspect.h"
#include "process/launch.h"

/* One line of the answer; returns whether it is bad. */
static bool say(bool good, bool fatal, const char *what)
{
    printf("  %-5s %s\n", good ? "ok" : fatal ? "NO" : "note", what);
    return !good && fatal;
}

static bool file_says(const char *path, const char *word)
{
    char line[8192];
    bool found = false;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = strstr(line, word) != NULL;
    if (f)
        fclose(f);
    return found;
}

static bool check_machine(void)
{
    char tap[PATH_MAX], text[PATH_MAX + 64];
    struct error e;
    struct utsname u;
    int major = 0, minor = 0, libc_major = 0, libc_minor = 0;
    bool bad = false;
    puts("this machine");
    if (launch_find_tap("libmemtap.so", tap, &e)) {
        snprintf(text, sizeof text, "the tap is %s", tap);
        say(true, true, text);
    } else {
        bad |= say(false, true, e.text);
    }
    sscanf(gnu_get_libc_version(), "%d.%d", &libc_major, &libc_minor);
    snprintf(text, sizeof text, "glibc %d.%d; the tap needs 2.28", libc_major, libc_minor);
    bad |= say(libc_major > 2 || libc_minor >= 28, true, text);
    if (uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2) {
        snprintf(text, sizeof text, "Linux %d.%d; from 4.14 on forked children are noticed however they are made",
                 major, minor);
        say(major > 4 || (major == 4 && minor >= 14), false, text);
    }
    bool tsc = file_says("/proc/cpuinfo", "nonstop_tsc");
    say(tsc, false,
        tsc ? "the time stamp counter runs at a constant rate"
            : "the time stamp counter cannot be relied on: each event costs a clock system call");
    bool unwinder = dlopen("libunwind.so.8", RTLD_LAZY) != NULL;
    say(unwinder, false,
        unwinder ? "libunwind is there"
                 : "libunwind.so.8 is missing (apt install libunwind8): stacks will be one frame deep");
    return bad;
}

static bool check_program(const struct inspection *i)
{
    char text[PATH_MAX + 128];
    bool bad = false;
    printf("%s%s\n", i->path, i->is_script ? " (runs the script)" : "");
    bad |= say(i->is_elf, true, i->is_elf ? "is an ELF program" : "is no ELF program");
    if (!i->is_elf)
        return true;
    if (i->other_machine)
        return say(false, true, "is for another processor or 32-bit: the tap is 64-bit code for this one");
    if (i->is_static)
        bad |= say(false, true,
                   "is linked statically: nothing can be preloaded; only children that are not static are seen");
    if (i->is_musl)
        bad |= say(false, true, "uses musl libc, which cannot load the tap (it needs glibc)");
    if (i->privileged)
        bad |= say(false, true, "is setuid, setgid or has file capabilities: the loader ignores LD_PRELOAD");
    if (i->own_malloc)
        bad |= say(false, true, "defines malloc itself (a statically linked allocator): only its mmap calls are seen");
    if (!i->is_static && !i->is_musl) {
        snprintf(text, sizeof text, "is loaded by %s, which honours LD_PRELOAD", i->interpreter);
        say(true, true, text);
    }
    if (i->needs_jemalloc)
        say(true, true, "uses jemalloc dynamically: its calls are seen, and memtap run records its own API as well");
    if (i->is_go)
        say(false, false,
            "is a Go program: its heap shows as mappings; children and C libraries in it are seen in full");
    return bad;
}

int command_doctor(int argc, char **argv)
{
    static const struct option options[] = { { NULL, 0, NULL, 0 } };
    struct inspection i;
    struct error e;
    int answer;
    while ((answer = getopt_long(argc, argv, "+:", options, NULL)) != -1)
        return command_bad_option("doctor", answer, argv);
    bool bad = check_machine();
    if (optind == argc)
        return command_finish(bad ? EXIT_FINDING : EXIT_FINE);
    const char *target = argv[optind];
    int pid = isdigit((unsigned char)*target) && strspn(target, "0123456789") == strlen(target) ? atoi(target) : 0;
    if (!inspect_program(target, pid, &i, &e))
        return command_fail(&e);
    bad |= check_program(&i);
    if (pid && inspect_is_tapped(pid))
        say(true, true, "runs under the tap now");
    else if (pid)
        say(false, false, "runs without the tap; a running process cannot be tapped: start it again under memtap run");
    return command_finish(bad ? EXIT_FINDING : EXIT_FINE);
}
