/* Words of a stack: each one that is not what it was is noticed, the one that was read first before all others; and nothing
 * further out is read. */
#include "unit/cmocka_tap.h"

#include <sys/mman.h>

#include "unwind_words.h"

enum { MOST = 110 }; /* more than two rows of comparisons have */

static uint64_t elsewhere[MOST + 1]; /* not within 4 GiB of the stack: programs are loaded far from it */

struct list {
    struct words_made made;
    struct word_pair memory[MOST / 2 + 2];
};

static uint64_t address(const uint64_t *word)
{
    return (uintptr_t)word;
}

/* Where the word is: the first `far` are elsewhere. A stack grows downwards: what lies furthest up was read last. */
static uint64_t *word_of(uint64_t *stack, unsigned index, unsigned far)
{
    return index < far ? &elsewhere[MOST - index] : &stack[2 * (MOST - index)];
}

/* The number that a list has for the word: the last that is far counts twice if it is an odd one. */
static unsigned number_of(unsigned index, unsigned far)
{
    return index + (index >= far ? far % 2 : 0);
}

static void add(struct list *l, uint64_t *stack, unsigned from, unsigned count, unsigned far)
{
    for (unsigned i = from; i < count; i++) {
        *word_of(stack, i, far) = 1000 + i;
        assert_true(words_add(&l->made, address(word_of(stack, i, far)), 1000 + i));
    }
    assert_int_equal(words_count(&l->made), count ? number_of(count - 1, far) + 1 : 0);
    assert_true(words_end(&l->made.list) <= l->memory + count / 2 + 2);
}

static void assert_changes_are_noticed(const struct list *l, uint64_t *stack, unsigned count, unsigned far)
{
    const struct words *w = &l->made.list;
    uint64_t sp = address(stack);
    assert_true(words_hold(w, sp));
    for (unsigned i = 0; i < count; i++) {
        uint64_t *word = word_of(stack, i, far), *last = word_of(stack, 0, far);
        ++*word;
        assert_false(words_hold(w, sp));
        for (unsigned first = 0; first <= count; first++) {
            unsigned twice = i + 1 == far && first > far ? far % 2 : 0;
            unsigned wanted = i < first ? number_of(i, far) + twice + 1 : 0;
            assert_int_equal(words_changed(w, first ? number_of(first - 1, far) + 1 : 0, sp), wanted);
        }
        ++*last;
        assert_true(words_changed(w, number_of(count - 1, far) + 1, sp) > number_of(i, far));
        --*last;
        --*word;
    }
}

static void each_change_is_noticed(void **state)
{
    uint64_t stack[2 * MOST + 1];
    struct list l;
    (void)state;
    for (unsigned far = 0; far < MOST; far += 1 + far / 5)
        for (unsigned count = far; count <= MOST; count += 1 + count / 10) {
            words_begin(&l.made, l.memory, address(stack));
            add(&l, stack, 0, count, far);
            assert_changes_are_noticed(&l, stack, count, far);
        }
}

static void a_copy_of_the_first_goes_on_with_others(void **state)
{
    uint64_t stack[2 * MOST + 1], sp = address(stack);
    struct list l, copy;
    (void)state;
    for (unsigned far = 0; far < MOST; far += 1 + far / 5)
        for (unsigned count = 0; count < MOST; count++) {
            words_begin(&l.made, l.memory, sp);
            add(&l, stack, 0, MOST, far);
            words_begin(&copy.made, copy.memory, sp);
            assert_true(words_copy(&copy.made, &l.made.list, sp, count ? number_of(count - 1, far) + 1 : 0));
            assert_changes_are_noticed(&copy, stack, count, far < count ? far : count);
            add(&copy, stack, count, MOST, far);
            assert_changes_are_noticed(&copy, stack, MOST, far);
        }
}

/* What was near the one stack pointer is far from the other. */
static void a_copy_for_another_stack_stays_where_it_was(void **state)
{
    uint64_t stack[2 * MOST + 1], sp = address(stack), there = address(elsewhere);
    struct list l, copy;
    (void)state;
    for (unsigned count = 1; count < MOST; count++) {
        words_begin(&l.made, l.memory, there);
        add(&l, stack, 0, count, count);
        assert_int_equal(l.made.list.far, 0);
        words_begin(&copy.made, copy.memory, sp);
        assert_true(words_copy(&copy.made, &l.made.list, there, count));
        assert_int_equal(copy.made.list.pairs, 0);
        assert_changes_are_noticed(&copy, stack, count, count);
        add(&copy, stack, count, MOST, count);
        assert_changes_are_noticed(&copy, stack, MOST, count);
    }
}

static void words_of_a_third_place_are_refused(void **state)
{
    uint64_t stack[1] = { 0 }, sp = address(stack);
    struct list l, copy;
    (void)state;
    words_begin(&l.made, l.memory, sp);
    assert_true(words_add(&l.made, address(elsewhere), 0));
    assert_false(words_add(&l.made, 1ull << 46, 0));
    assert_true(words_add(&l.made, sp, 0));
    assert_false(words_add(&l.made, address(elsewhere), 0)); /* comes after one that is near */
    assert_int_equal(words_count(&l.made), 3);
    assert_true(words_hold(&l.made.list, sp));
    words_begin(&copy.made, copy.memory, 1ull << 46);
    assert_false(words_copy(&copy.made, &l.made.list, sp, words_count(&l.made)));
}

static void nothing_is_read_behind_a_change(void **state)
{
    enum { PAGE = 4096, COUNT = 9 };
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *inner = (uint64_t *)(pages + PAGE) - 1, *outer = inner + 1;
    struct list l;
    (void)state;
    assert_ptr_not_equal(pages, MAP_FAILED);
    for (unsigned inside = 1; inside < COUNT; inside++) {
        assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
        words_begin(&l.made, l.memory, address(inner));
        for (unsigned i = 0; i < COUNT - inside; i++)
            assert_true(words_add(&l.made, address(outer + i), 0));
        for (unsigned i = 0; i < inside; i++)
            assert_true(words_add(&l.made, address(inner - i), 0));
        assert_true(words_hold(&l.made.list, address(inner)));
        assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
        *inner = 1;
        assert_false(words_hold(&l.made.list, address(inner)));
        assert_int_equal(words_changed(&l.made.list, COUNT, address(inner)), COUNT - inside + 1);
        *inner = 0;
    }
    munmap(pages, 2 * PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_noticed),
        cmocka_unit_test(a_copy_of_the_first_goes_on_with_others),
        cmocka_unit_test(a_copy_for_another_stack_stays_where_it_was),
        cmocka_unit_test(words_of_a_third_place_are_refused),
        cmocka_unit_test(nothing_is_read_behind_a_change),
    };
    return unit_main(tests);
}
