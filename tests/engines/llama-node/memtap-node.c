/*
 * memtap.node: memtap's marks and tags for JavaScript.
 *
 *   mark(name, value)       requestBegin(id)      push(component)
 *                           requestEnd(id, units) pop()
 *
 * Build: cc -shared -fPIC -O2 -I../../../include memtap-node.c -o memtap.node
 *
 * push() and pop() act on the thread that calls them. The engine loads models
 * on JavaScript's thread, so a load can be tagged; it computes on threads of
 * its own, which a tag set here does not reach.
 */
#include <memtap/memtap.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The part of N-API that is used, written out so that a build needs no node
 * headers. N-API's binary interface is stable: these can never change.
 */
typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env env, napi_callback_info info);
typedef int napi_status; /* an enum in node's headers; 0 is napi_ok */

napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t *argc, napi_value *argv,
                             napi_value *this_arg, void **data);
napi_status napi_get_value_double(napi_env env, napi_value value, double *result);
napi_status napi_get_value_string_utf8(napi_env env, napi_value value, char *buf, size_t bufsize, size_t *result);
napi_status napi_create_function(napi_env env, const char *utf8name, size_t length, napi_callback cb, void *data,
                                 napi_value *result);
napi_status napi_set_named_property(napi_env env, napi_value object, const char *utf8name, napi_value value);
napi_status napi_throw_type_error(napi_env env, const char *code, const char *msg);

#define EXPORT __attribute__((visibility("default")))

enum { NAPI_VERSION = 8, NAME_BYTES = 256, MAX_ARGUMENTS = 2 };

/* The largest whole number that every smaller one of is exact in JavaScript. */
#define MAX_SAFE_INTEGER 9007199254740991.0

/* A call's arguments; those that are missing are undefined. */
static bool get_arguments(napi_env env, napi_callback_info info, napi_value *argv)
{
    size_t argc = MAX_ARGUMENTS;

    return napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == 0;
}

/* Reads a text, cut to NAME_BYTES - 1 bytes; throws if it is not a text. */
static bool get_text(napi_env env, napi_value value, char *text)
{
    size_t length;

    if (napi_get_value_string_utf8(env, value, text, NAME_BYTES, &length) == 0)
        return true;
    napi_throw_type_error(env, NULL, "memtap: a text is expected");
    return false;
}

static bool get_number(napi_env env, napi_value value, double *number)
{
    if (napi_get_value_double(env, value, number) == 0)
        return true;
    napi_throw_type_error(env, NULL, "memtap: a number is expected");
    return false;
}

static bool get_count(napi_env env, napi_value value, uint64_t *count)
{
    double number;

    if (!get_number(env, value, &number))
        return false;
    if (number >= 0 && number <= MAX_SAFE_INTEGER) {
        *count = (uint64_t)number;
        if ((double)*count == number)
            return true;
    }
    napi_throw_type_error(env, NULL, "memtap: a whole number from 0 is expected");
    return false;
}

static napi_value mark(napi_env env, napi_callback_info info)
{
    napi_value argv[MAX_ARGUMENTS];
    char name[NAME_BYTES];
    double value;

    if (get_arguments(env, info, argv) && get_text(env, argv[0], name) && get_number(env, argv[1], &value))
        memtap_mark(name, value);
    return NULL;
}

static napi_value request_begin(napi_env env, napi_callback_info info)
{
    napi_value argv[MAX_ARGUMENTS];
    uint64_t id;

    if (get_arguments(env, info, argv) && get_count(env, argv[0], &id))
        memtap_request_begin(id);
    return NULL;
}

static napi_value request_end(napi_env env, napi_callback_info info)
{
    napi_value argv[MAX_ARGUMENTS];
    uint64_t id, units;

    if (get_arguments(env, info, argv) && get_count(env, argv[0], &id) && get_count(env, argv[1], &units))
        memtap_request_end(id, units);
    return NULL;
}

static napi_value push(napi_env env, napi_callback_info info)
{
    napi_value argv[MAX_ARGUMENTS];
    char component[NAME_BYTES];

    if (get_arguments(env, info, argv) && get_text(env, argv[0], component))
        memtap_push(component);
    return NULL;
}

static napi_value pop(napi_env env, napi_callback_info info)
{
    (void)env, (void)info;
    memtap_pop();
    return NULL;
}

static const struct {
    const char *name;
    napi_callback function;
} functions[] = {
    { "mark", mark }, { "requestBegin", request_begin }, { "requestEnd", request_end }, { "push", push },
    { "pop", pop },
};

/* What node looks for in the file: the version it was written for, and its exports. */
EXPORT int32_t node_api_module_get_api_version_v1(void);
EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

int32_t node_api_module_get_api_version_v1(void)
{
    return NAPI_VERSION;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        const char *name = functions[i].name;
        napi_value function;

        if (napi_create_function(env, name, SIZE_MAX, functions[i].function, NULL, &function) != 0 ||
            napi_set_named_property(env, exports, name, function) != 0)
            break; /* node reports the exception that is pending */
    }
    return exports;
}
