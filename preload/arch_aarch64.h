/* arch_aarch64.h: see arch.h. */
#include <stdbool.h>
#include <stdint.h>

#define ARCH_NAME "aarch64"
#define ARCH_HAS_TICKS 1
#define ARCH_HAS_CFI 0
#define ARCH_HAS_RECORDS 1 /* AAPCS64, 6.4.6; compilers make them unless told otherwise, but in leaf functions */
#define ARCH_DWARF_FP 29
#define ARCH_DWARF_SP 31
#define ARCH_DWARF_RA 30
#define ARCH_DWARF_REGISTERS 32
#define ARCH_TICKS_SHIFT 0 /* the generic timer runs at 24 to 1,000 MHz: its tick is the unit */

static inline long arch_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

static inline uint64_t arch_ticks(void)
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

/* Arm ARM, B2.3.12 and D11.2.1: reading the counter is ordered by isb only. */
static inline void arch_order(void)
{
    __asm__ volatile("dsb ish\n\tisb" : : : "memory");
}

static inline uintptr_t arch_zero_after(uint64_t value)
{
    (void)value;
    __asm__ volatile("isb" : : : "memory");
    return 0;
}

/* The architecture demands a constant rate (Arm ARM, D11.1.2). */
static inline bool arch_ticks_usable(void)
{
    return true;
}

/* User addresses end below bit 48; a signature (FEAT_PAuth) takes bits above. */
static inline uint64_t arch_code(uint64_t address)
{
    return address & 0xffffffffffffull;
}

/* The hook's frame record. What is above is not all of the caller's frame, but as unwind_rules.c steps from record to
 * record, any address between the two will do for the stack pointer. */
#define ARCH_CALLER __builtin_frame_address(0)
#define ARCH_HAS_CALLER 1

static inline const void *arch_caller_pc(const void *caller)
{
    return (const void *)(uintptr_t)arch_code(((const uint64_t *)caller)[1]);
}

static inline void arch_caller_registers(const void *caller, uint64_t *pc, uint64_t *sp, uint64_t *fp)
{
    *fp = ((const uint64_t *)caller)[0];
    *pc = arch_code(((const uint64_t *)caller)[1]);
    *sp = (uint64_t)(uintptr_t)caller + 16;
}

#define arch_get_registers(pc, sp, fp)                                                                                 \
    __asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29" : "=r"(pc), "=r"(sp), "=r"(fp))
#define arch_get_all_registers(value) ((void)(value))
#define arch_step_over_signal(value, read, context) ((void)(value), (void)(read), (void)(context), false)
#define ARCH_GO_CODE 1
#define arch_is_call_from_go(code) ((void)(code), false)
#define ARCH_SIGNAL_FP 0
#define ARCH_SIGNAL_SP 0
#define ARCH_SIGNAL_PC 0
