/*
 * memory.h: memory for the analyzer, which cannot go on without it. Never NULL: when there is none, the handler that
 * main has set is called, and must not return.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

void memory_on_failure(void (*handler)(size_t wanted));
void *memory_take(size_t size); /* zeroed; free() gives it back */
void *memory_resize(void *block, size_t size);

/* Zeroed memory for a large table that is looked up all over: huge pages where the system has them. */
void *memory_take_pages(size_t size);
void memory_free_pages(void *block, size_t size); /* the size that was taken; NULL and 0 are fine */

char *memory_copy(const char *text, size_t size); /* `size` bytes and a NUL */

/*
 * Makes room for one more element behind `count` in a growing array: `array` is a pointer variable, `room` the number
 * of elements it has space for.
 */
#define array_room(array, count, room)                                                                                 \
    ((count) < (room)                                                                                                  \
         ? (void)0                                                                                                     \
         : (void)((room) = (room) ? (room)*2 : 16, (array) = memory_resize((array), (room) * sizeof *(array))))

/* How many items at the beginning of an array, sorted by that member, have one of up to `key`: the place of the first item
 * behind it. */
#define array_behind(array, count, member, key)                                                                        \
    ({                                                                                                                 \
        uint32_t low_ = 0, high_ = (uint32_t)(count);                                                                  \
        while (low_ < high_) {                                                                                         \
            uint32_t middle_ = low_ + (high_ - low_) / 2;                                                              \
            if ((array)[middle_].member <= (key))                                                                      \
                low_ = middle_ + 1;                                                                                    \
            else                                                                                                       \
                high_ = middle_;                                                                                       \
        }                                                                                                              \
        low_;                                                                                                          \
    })

/* qsort, for arrays that may be empty and then NULL. */
void array_sort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *));

#endif
