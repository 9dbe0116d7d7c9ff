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

/* Rules of one file before the built-in ones. */
static struct rules *with(const char *text)
{
    struct error e;
    const char *file = "/tmp/memtap-test.rules";
    write_file(file, text);
    struct rules *r = rules_new(&file, 1, &e);
    unlink(file);
    assert_non_null(r);
    return r;
}

static const char *component(struct rules *r, struct symbol_stack s, const char *call)
{
    return rules_attribute(r, &s, call).component;
}

static void a_caret_asks_for_the_frame_that_wanted_the_memory(void **state)
{
    struct rules *r = with("mine : =malloc < ^lib_* < main\n");
    (void)state;
    assert_string_equal(component(r, STACK("/x", "operator new", "std::vector<int>::f", "lib_a", "main"), "malloc"),
                        "mine");
    assert_string_equal(component(r, STACK("/x", "other", "lib_a", "main"), "malloc"), "other/x");
    assert_string_equal(component(r, STACK("/x", "lib_a", "main"), "mmap"), "other/x");
    assert_string_equal(component(r, STACK("/x", "lib_a", "start"), "malloc"), "other/x");
    rules_free(r);
}

static void two_arrows_ask_for_the_very_caller(void **state)
{
    struct rules *r = with("mine : a << b < d\n");
    (void)state;
    assert_string_equal(component(r, STACK("/x", "a", "b", "c", "d"), "malloc"), "mine");
    assert_string_equal(component(r, STACK("/x", "a", "c", "b", "d"), "malloc"), "other/x");
    assert_string_equal(component(r, STACK("/x", "a", "c", "a", "b", "d"), "malloc"), "mine");
    assert_string_equal(component(r, STACK("/x", "a", "b"), "malloc"), "other/x");
    rules_free(r);
}

static void a_library_below_an_interpreter_keeps_its_own(void **state)
{
    struct rules *r = built_in();
    (void)state;
    assert_string_equal(component(r, STACK("/usr/bin/python3.11", "PyDict_New", "_PyEval_EvalFrameDefault"), "malloc"),
                        "runtime/python");
    struct symbol_stack s = STACK("/usr/bin/python3.11", "make", "_PyEval_EvalFrameDefault");
    frames[0].module = "/lib/libfoo.so.1";
    assert_string_equal(component(r, s, "malloc"), "other/libfoo.so.1");
    rules_free(r);
}

static void parameters_of_pytorch_are_those_that_python_makes_empty(void **state)
{
    struct rules *r = built_in();
    struct symbol_stack s = STACK("/lib/libtorch_cpu.so.1", "c10::alloc_cpu", "at::detail::empty_cpu",
                                  "at::_ops::empty_memory_format::call", NULL, "PyObject_Call");
    (void)state;
    frames[3].module = "/lib/libtorch_python.so.1";
    assert_string_equal(component(r, s, "posix_memalign"), "weights");
    frames[3].module = "/lib/libtorch_cpu.so.1";
    assert_string_equal(component(r, s, "posix_memalign"), "compute/activations");
    rules_free(r);
}

static void sentences_are_said_about_parts_as_well(void **state)
{
    struct rules *r = with("about mine/layer.N : One layer.\nabout mine : All of it.\nabout weights : Own words.\n");
    (void)state;
    assert_string_equal(rules_about(r, "mine/layer.31"), "One layer.");
    assert_string_equal(rules_about(r, "mine/layer.31/part"), "One layer.");
    assert_string_equal(rules_about(r, "mine/other"), "All of it.");
    assert_string_equal(rules_about(r, "weights"), "Own words.");
    assert_null(rules_about(r, "nothing/of/this"));
    rules_free(r);
}

static void every_component_of_the_built_in_rules_has_a_sentence(void **state)
{
    struct rules *r = built_in();
    (void)state;
    assert_true(rules_count(r) > 100);
    for (uint32_t i = 0; i < rules_count(r); i++) {
        char name[200] = "";
        sscanf(rules_line(r, i).text, "%199s", name);
        if (strcmp(name, "about") != 0 && strcmp(name, "boundary") != 0 && !rules_about(r, name))
            fail_msg("nothing says what %s is", name);
    }
    rules_free(r);
}

static void a_bad_line_is_named_with_its_reason(void **state)
{
    static const struct {
        const char *line, *reason;
    } cases[] = {
        { "a : b < < c", "a pattern is empty" },
        { "a : b <", "a pattern is empty" },
        { "a : << b", "a pattern is empty" },
        { "a : b < ^c", "^ goes before the first pattern" },
        { "a : =malloc << c", "=CALL is no frame" },
        { "a : 1 < 2 < 3 < 4 < 5 < 6 < 7 < 8 < 9", "more than 8 patterns" },
        { "a hew=x : b", "there may be how=HOW" },
        { "a//b : c", "names no component" },
        { "about a : # nothing", "is no rule" },
        { "boundary : a < b", "is no boundary" },
        { "a: b", "is no rule" },
    };
    const char *file = "/tmp/memtap-test.rules";
    struct error e;
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(file, cases[i].line);
        assert_false(rules_check(file, &e));
        assert_int_equal(e.code, EXIT_TROUBLE);
        if (!strstr(e.text, "/tmp/memtap-test.rules:1 ") || !strstr(e.text, cases[i].reason))
            fail_msg("\"%s\": %s", cases[i].line, e.text);
    }
    unlink(file);
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
        cmocka_unit_test(a_caret_asks_for_the_frame_that_wanted_the_memory),
        cmocka_unit_test(two_arrows_ask_for_the_very_caller),
        cmocka_unit_test(a_library_below_an_interpreter_keeps_its_own),
        cmocka_unit_test(parameters_of_pytorch_are_those_that_python_makes_empty),
        cmocka_unit_test(sentences_are_said_about_parts_as_well),
        cmocka_unit_test(every_component_of_the_built_in_rules_has_a_sentence),
        cmocka_unit_test(a_bad_line_is_named_with_its_reason),
    };
    return unit_main(tests);
}
