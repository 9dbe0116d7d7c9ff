/* Words of a stack: each one that is not what it was is noticed, the one that was read first before all others; and nothing
 * further out is read. */
#include "unit/cmocka_tap.h"

#include <sys/mman.h>

#include "unwind_words.h"

enum { MOST = 70 }; /* more than the row of comparisons has */

static uint64_t elsewhere[MOST]; /* not within 4 GiB of the stack: programs are loaded far from it */

struct list {
    struct words words;
    struct word_pair memory[MOST];
};

static void begin(struct list *l, bool apart)
{
    l->words = (struct words){ .pair = l->memory, .pairs = apart ? WORDS_APART : 0 };
}

static uint64_t address(const uint64_t *word)
{
    return (uintptr_t)word;
}

/* Every other word of `stack`, which grows downwards: what lies furthest up was read last. */
static uint64_t *word_of(uint64_t *stack, unsigned index)
{
    return &stack[2 * (MOST - index)];
}

static void fill(struct list *l, uint64_t *stack, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        *word_of(stack, i) = 1000 + i;
        assert_true(words_add(&l->words, address(stack), address(word_of(stack, i)), 1000 + i));
    }
    assert_int_equal(l->words.count, count);
}

static void assert_changes_are_noticed(const struct list *l, uint64_t *stack, unsigned count)
{
    uint64_t sp = address(stack);
    assert_true(words_hold(&l->words, sp));
    for (unsigned i = 0; i < count; i++) {
        ++*word_of(stack, i);
        assert_false(words_hold(&l->words, sp));
        for (unsigned first = 0; first <= count; first++)
            assert_int_equal(words_changed_first(&l->words, first, sp), i < first ? i + 1 : 0);
        ++*word_of(stack, 0);
        assert_int_equal(words_changed_first(&l->words, count, sp), i + 1);
        --*word_of(stack, 0);
        --*word_of(stack, i);
    }
}

static void each_change_is_noticed(void **state)
{
    uint64_t stack[2 * MOST + 1];
    struct list l;
    (void)state;
    for (int apart = 0; apart <= 1; apart++)
        for (unsigned count = 0; count <= MOST; count++) {
            begin(&l, apart);
            fill(&l, stack, count);
            assert_changes_are_noticed(&l, stack, count);
        }
}

static void a_copy_of_the_first_goes_on_with_others(void **state)
{
    uint64_t stack[2 * MOST + 1];
    struct list l, copy;
    (void)state;
    for (int apart = 0; apart < 4; apart++)
        for (unsigned count = 0; count < MOST; count++) {
            begin(&l, apart & 1);
            fill(&l, stack, MOST);
            begin(&copy, apart & 2);
            assert_true(words_copy(&copy.words, address(stack), &l.words, address(stack), count));
            assert_changes_are_noticed(&copy, stack, count);
            assert_true(words_add(&copy.words, address(stack), address(word_of(stack, count)), 1000 + count));
            assert_changes_are_noticed(&copy, stack, count + 1);
            assert_true((char *)words_end(&copy.words) <= (char *)(copy.memory + MOST));
        }
}

static void words_elsewhere_are_for_lists_of_words_that_are_apart(void **state)
{
    uint64_t stack[2 * MOST + 1], sp = address(stack), inner = 1, outer = 2;
    struct list near, apart, copy;
    (void)state;
    elsewhere[0] = outer;
    stack[0] = inner;
    begin(&near, false);
    assert_false(words_add(&near.words, sp, address(elsewhere), outer));
    begin(&apart, true);
    assert_true(words_add(&apart.words, sp, address(elsewhere), outer));
    assert_true(words_add(&apart.words, sp, address(stack), inner));
    assert_true(words_hold(&apart.words, sp));
    elsewhere[0]++;
    assert_int_equal(words_changed_first(&apart.words, 2, sp), 1);
    elsewhere[0]--;
    begin(&copy, false);
    assert_false(words_copy(&copy.words, sp, &apart.words, sp, 2));
    /* Near another stack they are near, and stay where they are when copied for this one. */
    begin(&near, false);
    assert_true(words_add(&near.words, address(elsewhere), address(elsewhere), outer));
    begin(&copy, false);
    assert_false(words_copy(&copy.words, sp, &near.words, address(elsewhere), 1));
    begin(&copy, true);
    assert_true(words_copy(&copy.words, sp, &near.words, address(elsewhere), 1));
    elsewhere[0]++;
    assert_false(words_hold(&copy.words, sp));
}

static void nothing_is_read_behind_a_change(void **state)
{
    enum { PAGE = 4096, COUNT = 9 };
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *inner = (uint64_t *)(pages + PAGE) - 1, *outer = inner + 1;
    struct list l;
    (void)state;
    assert_ptr_not_equal(pages, MAP_FAILED);
    for (int apart = 0; apart <= 1; apart++)
        for (unsigned inside = 1; inside < COUNT; inside++) {
            assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
            begin(&l, apart);
            for (unsigned i = 0; i < COUNT - inside; i++)
                assert_true(words_add(&l.words, address(inner), address(outer + i), 0));
            for (unsigned i = 0; i < inside; i++)
                assert_true(words_add(&l.words, address(inner), address(inner - i), 0));
            assert_true(words_hold(&l.words, address(inner)));
            assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
            *inner = 1;
            assert_false(words_hold(&l.words, address(inner)));
            assert_int_equal(words_changed_first(&l.words, COUNT, address(inner)), COUNT - inside + 1);
            *inner = 0;
        }
    munmap(pages, 2 * PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_noticed),
        cmocka_unit_test(a_copy_of_the_first_goes_on_with_others),
        cmocka_unit_test(words_elsewhere_are_for_lists_of_words_that_are_apart),
        cmocka_unit_test(nothing_is_read_behind_a_change),
    };
    return unit_main(tests);
}
