/* unwind_words.c: see unwind_words.h; what few stacks need is not inline. */
#include "unwind_words.h"

uint32_t words_compare_far(const struct words *w, uint32_t pairs)
{
    return words_compare(w->near - w->far, pairs, (uint64_t)w->far_half << 32);
}
