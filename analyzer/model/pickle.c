/*
 * pickle.c: the instructions of Python's pickle that PyTorch's checkpoints are made of, as data. See inside.h.
 *
 * A pickle is a program for a stack machine whose objects may be anything. Here they are: numbers, strings, tuples,
 * lists, dictionaries, names of classes, persistent ids, calls. A call is noted and never made; that of
 * torch._utils._rebuild_tensor_v2 is a tensor, that of _rebuild_parameter is its first argument, and that of OrderedDict
 * an empty dictionary. All else is opaque. (Instructions: Lib/pickletools.py; what torch.save writes: torch/serialization.py.)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/inside.h"

#define OBJECTS_MAX (4u << 20)
#define NAMES_DEEP 16

enum kind { OPAQUE, MARK, NUMBER, TEXT, CLASS, TUPLE, DICT, PERSISTENT, TENSOR };

/* Children stand in a list: of a tuple or list its items, of a dictionary key, value, key, value. */
struct object {
    enum kind kind;
    uint32_t first, last, count; /* links; of CLASS the text of its name; of PERSISTENT and TENSOR the tuple */
    uint64_t number;             /* NUMBER; TEXT: where it is in the pickle */
    uint32_t size;               /* of TEXT */
    bool negative;
};

struct link {
    uint32_t object, next;
};

struct machine {
    const uint8_t *data;
    uint64_t size, at;
    struct object *object; /* number 0 is the opaque one */
    uint32_t objects, object_room;
    struct link *link; /* number 0 is none */
    uint32_t links, link_room;
    uint32_t *stack, depth, stack_room;
    uint32_t *memo, memos, memo_room;
    char *why;
    bool (*found)(void *context, const struct pickle_tensor *t);
    void *context;
    uint32_t visits;
};

static bool stop(struct machine *p, const char *what)
{
    if (!*p->why)
        snprintf(p->why, 200, "is wrong at its byte %" PRIu64 ": %s", p->at, what);
    return false;
}

/* --- objects ----------------------------------------------------------------------------------------------------- */

static uint32_t make(struct machine *p, enum kind kind)
{
    if (p->objects >= OBJECTS_MAX) {
        stop(p, "it has more objects than any checkpoint");
        return 0;
    }
    array_room(p->object, p->objects, p->object_room);
    p->object[p->objects] = (struct object){ .kind = kind };
    return p->objects++;
}

static void append(struct machine *p, uint32_t to, uint32_t item)
{
    struct object *o = &p->object[to];
    if (!to || (o->kind != TUPLE && o->kind != DICT) || p->links >= OBJECTS_MAX)
        return;
    array_room(p->link, p->links, p->link_room);
    p->link[p->links] = (struct link){ .object = item };
    if (o->last)
        p->link[o->last].next = p->links;
    else
        o->first = p->links;
    o->last = p->links++;
    o->count++;
}

/* An item of a tuple; the opaque object if there is none. */
static const struct object *item(const struct machine *p, const struct object *tuple, uint32_t index)
{
    if (tuple->kind != TUPLE || index >= tuple->count)
        return &p->object[0];
    uint32_t at = tuple->first;
    while (index--)
        at = p->link[at].next;
    return &p->object[p->link[at].object];
}

static char *text_of(const struct machine *p, const struct object *o)
{
    return memory_copy(o->kind == TEXT ? (const char *)p->data + o->number : "", o->kind == TEXT ? o->size : 0);
}

static bool push(struct machine *p, uint32_t object)
{
    array_room(p->stack, p->depth, p->stack_room);
    p->stack[p->depth++] = object;
    return true;
}

static uint32_t pop(struct machine *p)
{
    if (p->depth == 0) {
        stop(p, "there is nothing on the stack");
        return 0;
    }
    return p->stack[--p->depth];
}

static uint32_t top(const struct machine *p)
{
    return p->depth ? p->stack[p->depth - 1] : 0;
}

/* Where the items behind the last mark begin; the mark is just before them. */
static bool find_mark(struct machine *p, uint32_t *begin)
{
    for (*begin = p->depth; *begin > 0; --*begin)
        if (p->object[p->stack[*begin - 1]].kind == MARK)
            return true;
    return stop(p, "there is no mark on the stack");
}

/* --- instructions ------------------------------------------------------------------------------------------------ */

static bool take(struct machine *p, uint64_t bytes, uint64_t *number)
{
    *number = 0;
    if (bytes > p->size - p->at)
        return stop(p, "it is cut off");
    for (uint64_t i = 0; i < bytes && i < 8; i++)
        *number |= (uint64_t)p->data[p->at + i] << 8 * i;
    p->at += bytes;
    return true;
}

static bool push_number(struct machine *p, uint64_t n, bool negative)
{
    uint32_t o = make(p, NUMBER);
    p->object[o].number = o ? n : 0;
    p->object[o].negative = o && negative;
    return push(p, o);
}

static bool push_text(struct machine *p, uint64_t size)
{
    uint64_t ignored, at = p->at;
    if (!take(p, size, &ignored))
        return false;
    uint32_t o = make(p, TEXT);
    if (o) {
        p->object[o].number = at;
        p->object[o].size = (uint32_t)size;
    }
    return push(p, o);
}

/* A text up to the end of the line. */
static bool push_line(struct machine *p)
{
    const uint8_t *end = memchr(p->data + p->at, '\n', p->size - p->at);
    if (!end)
        return stop(p, "it is cut off");
    push_text(p, (uint64_t)(end - p->data) - p->at);
    p->at++;
    return true;
}

/* The class of which module does not matter; its name is the last text on the stack. */
static bool make_class(struct machine *p)
{
    uint32_t name = pop(p);
    pop(p);
    uint32_t o = make(p, CLASS);
    p->object[o].first = o ? name : 0;
    return push(p, o);
}

static bool make_tuple(struct machine *p, uint32_t count)
{
    if (count > p->depth)
        return stop(p, "there is too little on the stack");
    uint32_t o = make(p, TUPLE);
    for (uint32_t i = p->depth - count; i < p->depth; i++)
        append(p, o, p->stack[i]);
    p->depth -= count;
    return push(p, o);
}

static bool close_mark(struct machine *p, bool dictionary)
{
    uint32_t begin;
    if (!find_mark(p, &begin) || !make_tuple(p, p->depth - begin))
        return false;
    uint32_t o = pop(p);
    pop(p); /* the mark */
    if (o && dictionary)
        p->object[o].kind = DICT;
    return push(p, o);
}

/* Puts what is behind the mark into what is before it. */
static bool put_items(struct machine *p)
{
    uint32_t begin;
    if (!find_mark(p, &begin))
        return false;
    uint32_t to = begin >= 2 ? p->stack[begin - 2] : 0;
    for (uint32_t i = begin; i < p->depth; i++)
        append(p, to, p->stack[i]);
    p->depth = begin - 1;
    return true;
}

static bool put_item(struct machine *p, int count)
{
    uint32_t value = pop(p), key = count == 2 ? pop(p) : 0;
    if (count == 2)
        append(p, top(p), key);
    append(p, top(p), value);
    return true;
}

static bool memo_put(struct machine *p, uint64_t number)
{
    if (number > OBJECTS_MAX || number > p->size) /* it takes more than a byte to make each */
        return stop(p, "a number of the memo is too large");
    while (p->memos <= number) {
        array_room(p->memo, p->memos, p->memo_room);
        p->memo[p->memos++] = 0;
    }
    p->memo[number] = top(p);
    return true;
}

static bool persistent(struct machine *p)
{
    uint32_t id = pop(p), o = make(p, PERSISTENT);
    p->object[o].first = o ? id : 0;
    return push(p, o);
}

/* A call: what it would return, as far as it matters. */
static bool call(struct machine *p, bool inner)
{
    uint32_t arguments = pop(p), class = pop(p), result = 0;
    char *name = text_of(p, p->object[class].kind == CLASS ? &p->object[p->object[class].first] : &p->object[0]);
    if (strcmp(name, "OrderedDict") == 0 || strcmp(name, "defaultdict") == 0) {
        result = make(p, DICT);
    } else if (strncmp(name, "_rebuild_tensor", 15) == 0) {
        result = make(p, TENSOR);
        p->object[result].first = result ? arguments : 0;
    } else if (strncmp(name, "_rebuild_parameter", 18) == 0) {
        const struct object *first = item(p, &p->object[arguments], 0);
        result = (uint32_t)(first - p->object);
    } else if (!inner && strcmp(name, "_rebuild_from_type_v2") == 0) { /* (function, class, arguments, state) */
        push(p, (uint32_t)(item(p, &p->object[arguments], 0) - p->object));
        push(p, (uint32_t)(item(p, &p->object[arguments], 2) - p->object));
        free(name);
        return call(p, true);
    }
    free(name);
    return push(p, result);
}

static bool step_text(struct machine *p, uint8_t op)
{
    uint64_t n;
    switch (op) {
    case 0x8c: /* SHORT_BINUNICODE */
    case 'U':  /* SHORT_BINSTRING */
    case 'C':  /* SHORT_BINBYTES */
        return take(p, 1, &n) && push_text(p, n);
    case 'X': /* BINUNICODE */
    case 'T': /* BINSTRING */
    case 'B': /* BINBYTES */
        return take(p, 4, &n) && push_text(p, n);
    case 0x8d: /* BINUNICODE8 */
    case 0x8e: /* BINBYTES8 */
        return take(p, 8, &n) && push_text(p, n);
    case 'c':             /* GLOBAL: two lines */
        n = push_line(p); /* the module */
        return n && push_line(p) && make_class(p);
    case 0x93: /* STACK_GLOBAL */
        return make_class(p);
    default:
        return stop(p, "it has an instruction that PyTorch does not write");
    }
}

static bool step_number(struct machine *p, uint8_t op)
{
    uint64_t n, size;
    switch (op) {
    case 'K': /* BININT1 */
        return take(p, 1, &n) && push_number(p, n, false);
    case 'M': /* BININT2 */
        return take(p, 2, &n) && push_number(p, n, false);
    case 'J': /* BININT */
        return take(p, 4, &n) && push_number(p, n, n >> 31);
    case 'G': /* BINFLOAT */
        return take(p, 8, &n) && push(p, 0);
    case 0x8a: /* LONG1 */
    case 0x8b: /* LONG4 */
        if (!take(p, op == 0x8a ? 1 : 4, &size) || !take(p, size, &n))
            return false;
        return push_number(p, n, size > 8 || (size && (n >> (8 * size - 1) & 1)));
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_number(p, op == 0x88, false);
    default:
        return step_text(p, op);
    }
}

static bool step_memo(struct machine *p, uint8_t op)
{
    uint64_t n;
    switch (op) {
    case 'q': /* BINPUT */
        return take(p, 1, &n) && memo_put(p, n);
    case 'r': /* LONG_BINPUT */
        return take(p, 4, &n) && memo_put(p, n);
    case 0x94: /* MEMOIZE */
        return memo_put(p, p->memos);
    case 'h': /* BINGET */
    case 'j': /* LONG_BINGET */
        return take(p, op == 'h' ? 1 : 4, &n) && push(p, n < p->memos ? p->memo[n] : 0);
    default:
        return step_number(p, op);
    }
}

static bool step(struct machine *p, uint8_t op)
{
    uint64_t n;
    switch (op) {
    case 0x80: /* PROTO */
        return take(p, 1, &n);
    case 0x95: /* FRAME */
        return take(p, 8, &n);
    case '(': /* MARK */
        return push(p, make(p, MARK));
    case '0': /* POP */
        pop(p);
        return true;
    case '2': /* DUP */
        return push(p, top(p));
    case 'N': /* NONE */
        return push(p, 0);
    case ')': /* EMPTY_TUPLE */
    case ']': /* EMPTY_LIST */
        return push(p, make(p, TUPLE));
    case 0x8f: /* EMPTY_SET: not looked into */
        return push(p, make(p, TUPLE));
    case '}': /* EMPTY_DICT */
        return push(p, make(p, DICT));
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */
        return make_tuple(p, op - 0x84u);
    case 't': /* TUPLE */
    case 'l': /* LIST */
        return close_mark(p, false);
    case 'd': /* DICT */
        return close_mark(p, true);
    case 'a': /* APPEND */
        return put_item(p, 1);
    case 's': /* SETITEM */
        return put_item(p, 2);
    case 'e':  /* APPENDS */
    case 'u':  /* SETITEMS */
    case 0x90: /* ADDITEMS */
        return put_items(p);
    case 'Q': /* BINPERSID */
        return persistent(p);
    case 'R':  /* REDUCE */
    case 0x81: /* NEWOBJ */
        return call(p, false);
    case 'b': /* BUILD: the state of an object, which stays opaque */
        pop(p);
        return true;
    default:
        return step_memo(p, op);
    }
}

/* --- tensors ----------------------------------------------------------------------------------------------------- */

/* _rebuild_tensor_v2(("storage", class, key, device, elements), first, shape, stride, ...) */
static bool describe(struct machine *p, const struct object *tensor, const char *name)
{
    const struct object *arguments = &p->object[tensor->first], *id = item(p, arguments, 0);
    const struct object *storage = id->kind == PERSISTENT ? &p->object[id->first] : &p->object[0];
    const struct object *class = item(p, storage, 1), *first = item(p, arguments, 1), *shape = item(p, arguments, 2);
    struct pickle_tensor t = { .name = name, .first = first->number, .elements = item(p, storage, 4)->number };
    const struct object *dtype = item(p, arguments, 6); /* _rebuild_tensor_v3 has the type here */
    if (storage->kind != TUPLE || shape->kind != TUPLE || first->kind != NUMBER || first->negative)
        return true; /* a tensor that is not in the file: quantised, sparse, on no device */
    if (shape->count > MODEL_DIMS)
        return stop(p, "a tensor has too many dimensions");
    t.dims = shape->count;
    for (uint32_t i = 0; i < MODEL_DIMS; i++)
        t.dim[i] = 1;
    for (uint32_t i = 0; i < t.dims; i++) {
        const struct object *n = item(p, shape, i);
        if (n->kind != NUMBER || n->negative)
            return stop(p, "a dimension is no number");
        t.dim[i] = n->number;
    }
    const struct object *type = dtype->kind == CLASS ? dtype : class;
    char *type_name = text_of(p, type->kind == CLASS ? &p->object[type->first] : &p->object[0]);
    char *key = text_of(p, item(p, storage, 2));
    t.type = type_name;
    t.storage = key;
    bool fine = p->found(p->context, &t) || stop(p, "a tensor does not fit into the file");
    free(type_name);
    free(key);
    return fine;
}

static bool walk(struct machine *p, uint32_t number, const char *prefix, int deep);

static bool walk_item(struct machine *p, uint32_t value, const char *prefix, const char *key, int deep)
{
    char name[MODEL_NAME_MAX + 2];
    int length = snprintf(name, sizeof name, "%s%s%s", prefix, *prefix && *key ? "." : "", key);
    return length > (int)MODEL_NAME_MAX || walk(p, value, name, deep + 1);
}

/* Everything that is reached through dictionaries and lists, under the names that lead there. */
static bool walk(struct machine *p, uint32_t number, const char *prefix, int deep)
{
    const struct object *o = &p->object[number];
    if (deep > NAMES_DEEP)
        return true;
    if (++p->visits > 1000 + 4ull * p->objects) /* a dictionary may hold itself, and another twice, and that again */
        return stop(p, "its dictionaries hold each other without end");
    if (o->kind == TENSOR)
        return describe(p, o, prefix);
    if (o->kind != DICT && o->kind != TUPLE)
        return true;
    uint32_t index = 0;
    for (uint32_t at = o->first; at; at = p->link[at].next, index++) {
        char spelled[24] = "", *key = NULL;
        uint32_t value = p->link[at].object;
        if (o->kind == DICT) {
            const struct object *k = &p->object[value];
            if (!(at = p->link[at].next))
                break;
            value = p->link[at].object;
            key = k->kind == TEXT ? text_of(p, k) : NULL;
            snprintf(spelled, sizeof spelled, "%" PRIu64, k->kind == NUMBER ? k->number : index);
        } else {
            snprintf(spelled, sizeof spelled, "%u", index);
        }
        bool fine = walk_item(p, value, prefix, key ? key : spelled, deep);
        free(key);
        if (!fine)
            return false;
    }
    return true;
}

bool pickle_read(const uint8_t *data, uint64_t size, bool (*found)(void *context, const struct pickle_tensor *t),
                 void *context, char why[200])
{
    struct machine p = { .data = data, .size = size, .why = why, .found = found, .context = context };
    bool fine = true, ended = false;
    why[0] = '\0';
    make(&p, OPAQUE);
    array_room(p.link, p.links, p.link_room);
    p.link[p.links++] = (struct link){ .object = 0 };
    while (fine && !ended && p.at < size) {
        uint8_t op = data[p.at++];
        ended = op == '.'; /* STOP */
        fine = ended || (step(&p, op) && !*why);
    }
    fine = fine && (ended || stop(&p, "it has no end")) && walk(&p, top(&p), "", 0);
    free(p.object);
    free(p.link);
    free(p.stack);
    free(p.memo);
    return fine;
}
