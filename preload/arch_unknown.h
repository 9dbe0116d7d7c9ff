/* arch_unknown.h: see arch.h. Slow and plain, for processors that nobody has written a member for. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define ARCH_NAME "unknown"
#define ARCH_HAS_TICKS 0
#define ARCH_HAS_CFI 0
#define ARCH_HAS_RECORDS 0
#define arch_code(address) (address)
#define ARCH_DWARF_FP 0
#define ARCH_DWARF_SP 1
#define ARCH_DWARF_RA 2
#define ARCH_DWARF_REGISTERS 3
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

static inline void arch_order(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline uintptr_t arch_zero_after(uint64_t value)
{
    (void)value;
    arch_order();
    return 0;
}

static inline bool arch_ticks_usable(void)
{
    return false;
}

#define ARCH_CALLER __builtin_return_address(0)
#define ARCH_HAS_CALLER 0
#define arch_caller_pc(caller) (caller)
#define arch_caller_registers(caller, pc, sp, fp) ((void)(caller), *(pc) = *(sp) = *(fp) = 0)
#define arch_get_registers(pc, sp, fp) ((pc) = 0, (sp) = 0, (fp) = 0)
#define arch_get_all_registers(value) ((void)(value))
#define arch_step_over_signal(value, read, context) ((void)(value), (void)(read), (void)(context), false)
#define ARCH_GO_CODE 1
#define arch_is_call_from_go(code) ((void)(code), false)
#define ARCH_SIGNAL_FP 0
#define ARCH_SIGNAL_SP 0
#define ARCH_SIGNAL_PC 0
