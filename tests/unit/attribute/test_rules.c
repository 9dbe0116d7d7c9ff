/* Rules: which component a stack belongs to. */
#include "unit/cmocka_tap.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attribute/attribute.h"

static struct symbol_frame frames[16];
static const struct symbol_frame *list[16];

/* A stack of functions, innermost first, all in one module. */
static struct symbol_stack stack_of(const char *module, uint32_t count, const char *const *functions)
{
    struct symbol_stack s = { .frame = list, .count = count };
    for (uint32_t i = 0; i < count; i++) {
        frames[i] = (struct symbol_frame){ .function = functions[i], .module = module };
        list[i] = &frames[i];
    }
    return s;
}

#define STACK(module, ...)                                                                                             \
    stack_of(module, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *), (const char *[]){ __VA_ARGS__ })

static struct rules *built_in(void)
{
    struct error e;
    struct rules *r = rules_new(NULL, 0, &e);
    assert_non_null(r);
    return r;
}

static void patterns_match_in_order_with_gaps(void **state)
{
    struct rules *r = built_in();
    struct symbol_stack s = STACK("/lib/libllama.so", "ggml_aligned_malloc", "ggml_backend_buft_alloc_buffer", "helper",
                                  "llama_kv_cache::llama_kv_cache", "llama_init_from_model", "main");
    (void)state;
    struct attribution a = rules_attribute(r, &s, "posix_memalign");
    assert_string_equal(a.component, "kv-cache");
    assert_int_equal(a.evidence, EVIDENCE_STACK);
    rules_free(r);
}

static void the_call_can_decide(void **state)
{
    struct rules *r = built_in();
    struct symbol_stack s = STACK("/lib/libllama.so", "llama_mmap::llama_mmap", "llama_model_loader::init_mappings");
    (void)state;
    struct attribution a = rules_attribute(r, &s, "mmap");
    assert_string_equal(a.component, "weights");
    assert_string_equal(a.how, "mapped");
    assert_string_equal(rules_attribute(r, &s, "malloc").component, "metadata");
    rules_free(r);
}

static void without_a_rule_the_module_that_wanted_the_memory_counts(void **state)
{
    struct rules *r = built_in();
    struct symbol_stack s = STACK("/opt/libthing.so", "operator new", "std::vector<int>::reserve", "thing");
    (void)state;
    struct attribution a = rules_attribute(r, &s, "malloc");
    assert_string_equal(a.component, "other/libthing.so");
    assert_int_equal(a.evidence, EVIDENCE_MODULE);
    rules_free(r);
}

static void a_tag_beats_every_rule(void **state)
{
    struct rules *r = built_in();
    struct symbol_stack s = STACK("/lib/libllama.so", "llama_kv_cache::llama_kv_cache");
    (void)state;
    s.tag = "mine/own";
    assert_string_equal(rules_attribute(r, &s, "malloc").component, "mine/own");
    rules_free(r);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void a_users_rules_come_first(void **state)
{
    struct error e;
    struct symbol_stack s = STACK("/lib/libllama.so", "llama_kv_cache::llama_kv_cache");
    (void)state;
    write_file("/tmp/memtap-test.rules", "# mine\nmine/cache how=special : llama_kv_cache::*   # a comment\n");
    const char *file = "/tmp/memtap-test.rules";
    struct rules *r = rules_new(&file, 1, &e);
    assert_non_null(r);
    assert_string_equal(rules_attribute(r, &s, "malloc").component, "mine/cache");
    assert_string_equal(rules_attribute(r, &s, "malloc").how, "special");
    rules_free(r);
    write_file("/tmp/memtap-test.rules", "fine : a\nthis is no rule\n");
    assert_null(rules_new(&file, 1, &e));
    assert_int_equal(e.code, EXIT_TROUBLE);
    assert_non_null(strstr(e.text, ":2 is no rule"));
    unlink("/tmp/memtap-test.rules");
}

static void a_runtimes_boundary_ends_what_tells_sites_apart(void **state)
{
    struct rules *r = built_in();
    struct symbol_stack s = STACK("/lib/engine.node", "alloc", "load", "Builtins_Call", "main");
    (void)state;
    assert_int_equal(rules_attribute(r, &s, "malloc").identity, 2);
    struct symbol_stack plain = STACK("/lib/engine.node", "alloc", "load", "main");
    assert_int_equal(rules_attribute(r, &plain, "malloc").identity, 3);
    rules_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_in_order_with_gaps),
        cmocka_unit_test(the_call_can_decide),
        cmocka_unit_test(without_a_rule_the_module_that_wanted_the_memory_counts),
        cmocka_unit_test(a_tag_beats_every_rule),
        cmocka_unit_test(a_users_rules_come_first),
        cmocka_unit_test(a_runtimes_boundary_ends_what_tells_sites_apart),
    };
    return unit_main(tests);
}
