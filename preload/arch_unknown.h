/* arch_unknown.h: see arch.h. Slow and plain, for processors that nobody has written a member for. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define ARCH_NAME "unknown"
#define ARCH_HAS_TICKS 0
#define ARCH_TICKS_SHIFT 0

long syscall(long number, ...);

static inline long arch_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long result = syscall(n, a, b, c, d, e, f);
    if (result == -1)
        result = -errno;
    errno = saved;
    return result;
}

static inline uint64_t arch_ticks(void)
{
    return 0;
}

static inline bool arch_ticks_usable(void)
{
    return false;
}

static inline void arch_relax(void)
{
}
