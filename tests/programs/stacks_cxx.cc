// stacks_cxx.cc: as stacks_c.c, for what C++ adds: constructors of static objects, exceptions, inlined templates.
//
//   stacks_cxx FILE
//
// The environment must name the same FILE in OWN_STACKS: the first stacks are taken before main.
#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "own_stack.h"

namespace
{

volatile int zero;

FRAME void with_new()
{
    char *volatile block = new char[OWN_STACK("libstdc++.so.6")];
    delete[] block;
    auto *volatile single = static_cast<char *>(::operator new(OWN_STACK("libstdc++.so.6")));
    ::operator delete(single);
}

// --- before main -----------------------------------------------------------------------------------------------------

struct Early {
    FRAME explicit Early(const char *name)
    {
        const char *path = getenv("OWN_STACKS");
        if (!path)
            _exit(2);
        if (own.fd == 0)
            own_open(path, 0);
        own_case(name);
        innermost();
        with_new();
    }
    FRAME ~Early()
    {
        own_case("destructors-of-static-objects");
        innermost();
        AFTER_CALL;
    }
};

Early early("constructors-of-static-objects");

FRAME Early &static_in_function()
{
    static Early late("constructors-of-static-objects-in-functions");
    return late;
}

// --- exceptions ------------------------------------------------------------------------------------------------------

constexpr size_t exception_header = 128; // what libstdc++ puts before the object

// Of the size that the next allocation must have; a type for each throw. The header counts.
template <int Number> struct Thrown {
    char content[OWN_FIRST_SIZE + 2 * Number - exception_header];
};

struct Guard { // allocates while the exception passes
    FRAME ~Guard()
    {
        innermost();
        AFTER_CALL;
    }
};

// The number of the stack must be known when this is compiled: it is set beforehand. The function stays in one piece,
// else the unlikely part, with the throw, has a place of its own.
template <int Number> FRAME __attribute__((optimize("no-reorder-blocks-and-partition"))) void throws()
{
    own.count = Number;
    if (OWN_STACK("libstdc++.so.6"))
        throw Thrown<Number>();
}

template <int Number> FRAME void throws_below(int depth)
{
    Guard guard;
    if (depth > 0)
        throws_below<Number>(depth - 1);
    else
        throws<Number>();
    AFTER_CALL;
}

FRAME void rethrows(int depth)
{
    try {
        throws_below<1000>(depth);
    } catch (const Thrown<1000> &) {
        innermost();
        throw;
    }
}

FRAME void exceptions()
{
    for (int depth = 0; depth < 2; depth++) {
        try {
            rethrows(depth * 3);
        } catch (...) {
            innermost();
            with_new();
        }
        own.count = 1100 + 100 * static_cast<unsigned>(depth); // sizes must not come again
        innermost();
        if (depth == 0)
            own_case("exceptions-again");
        own.count = 1200;
    }
    try {
        throws_below<1300>(1);
    } catch (const Thrown<1300> &) {
        try {
            throws_below<1400>(5);
        } catch (const Thrown<1400> &) {
            innermost();
        }
        innermost();
    }
    own.count = 1500;
    innermost();
    AFTER_CALL;
}

// --- code that the compiler puts into its callers --------------------------------------------------------------------

template <typename T> __attribute__((always_inline)) inline void inlined_template(T value)
{
    if (value >= 0)
        OWN_ALLOC();
}

struct Inlined {
    int value;
    __attribute__((always_inline)) inline void method() const
    {
        inlined_template(value);
    }
};

__attribute__((always_inline)) inline void inlined_twice(const Inlined &object)
{
    object.method();
    inlined_template(2.5);
}

FRAME void inlined()
{
    struct Local {
        FRAME static void local_method()
        {
            inlined_template(zero + 1);
            AFTER_CALL;
        }
    };
    const Inlined object{ zero };
    inlined_twice(object);
    object.method();
    Local::local_method();
    AFTER_CALL;
}

// --- callbacks and objects -------------------------------------------------------------------------------------------

struct Shape {
    virtual ~Shape() = default;
    virtual int area() const = 0;
};

struct Square : Shape {
    explicit Square(int s) : side(s)
    {
    }
    FRAME int area() const override
    {
        innermost();
        return side * side;
    }
    int side;
};

FRAME void callbacks()
{
    std::vector<int> numbers{ 5, 1, 4, 2, 3 };
    std::sort(numbers.begin(), numbers.end(), [](int a, int b) {
        innermost();
        return a < b;
    });
    std::function<int(int)> twice = [](int n) {
        innermost();
        return n * 2;
    };
    std::unique_ptr<Shape> shape = std::make_unique<Square>(twice(3));
    zero = shape->area() * 0;
    std::string text;
    text.reserve(OWN_STACK("libstdc++.so.6") - 1);
    std::vector<char> vector;
    vector.reserve(OWN_STACK("libstdc++.so.6"));
}

FRAME void threads()
{
    for (int i = 0; i < 2; i++) {
        std::thread thread([i] {
            innermost();
            if (i == 1)
                with_new();
        });
        thread.join();
    }
}

} // namespace

int main()
{
    static_in_function();
    own_case("new");
    with_new();
    own_case("inlined");
    inlined();
    own_case("callbacks-of-templates");
    callbacks();
    own_case("std::thread");
    threads();
    own_case("exceptions");
    exceptions();
    return 0;
}
