/* abi_libc.h: functions of the C library that some versions do not declare. */
#ifndef PRELOAD_ABI_LIBC_H
#define PRELOAD_ABI_LIBC_H

#include <stddef.h>
#include <sys/types.h>

void cfree(void *block);                                             /* removed in glibc 2.26, still called */
void free_sized(void *block, size_t size);                           /* C23, 7.24.3.4 */
void free_aligned_sized(void *block, size_t alignment, size_t size); /* C23, 7.24.3.5 */
pid_t _Fork(void);                                                   /* glibc 2.34 */

/* The dynamic loader's, since glibc 2.2.5: where argc, argv and the environment lie (sysdeps/generic/ldsodefs.h). */
extern void *__libc_stack_end;

#endif
