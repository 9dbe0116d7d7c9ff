// silence_exceptions.cc: exceptions through many frames, with destructors on the way; every one of them must run.
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int alive, caught;

struct Guard {
    std::vector<std::string> names;
    explicit Guard(int n) : names(3, "a name that is too long for the small string optimisation " + std::to_string(n))
    {
        alive++;
    }
    Guard(const Guard &) = delete;
    ~Guard()
    {
        alive--;
    }
};

struct Thrower {
    Guard guard{ 1 };
    Thrower()
    {
        throw std::logic_error("from a constructor");
    }
};

static long __attribute__((noinline)) descend(int depth)
{
    Guard guard(depth);
    auto block = std::make_unique<char[]>(64 + depth);
    if (depth == 0)
        throw std::runtime_error("at the bottom");
    return descend(depth - 1) + block[0];
}

static void __attribute__((noinline)) rethrow(int depth)
{
    try {
        depth ? rethrow(depth - 1) : (void)descend(10);
    } catch (const std::runtime_error &e) {
        caught++;
        if (depth % 2)
            std::throw_with_nested(std::runtime_error(std::string(e.what()) + "."));
        throw;
    }
}

static int unwrap(const std::exception &e)
{
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception &inner) {
        return 1 + unwrap(inner);
    }
    return 0;
}

static void many_frames()
{
    for (int round = 0; round < 300; round++)
        try {
            descend(round % 200);
        } catch (const std::exception &) {
            caught++;
        }
    std::printf("many frames: caught %d, alive %d\n", caught, alive);
}

static void again_and_again()
{
    caught = 0;
    int nested = 0;
    for (int round = 0; round < 50; round++)
        try {
            rethrow(30);
        } catch (const std::exception &e) {
            nested += unwrap(e);
        }
    std::printf("thrown again: caught %d, nested %d, alive %d\n", caught, nested, alive);
}

static void while_constructing()
{
    try {
        Thrower thrower;
    } catch (const std::logic_error &e) {
        std::printf("thrown %s, alive %d\n", e.what(), alive);
    }
}

static void no_memory()
{
    volatile size_t much = SIZE_MAX / 2;
    int failed = 0;
    for (int round = 0; round < 20; round++)
        try {
            delete[] new char[much];
        } catch (const std::bad_alloc &) {
            failed++;
        }
    std::printf("no memory: %d, nothrow %d\n", failed, new (std::nothrow) char[much] == nullptr);
}

// The exception object is made in one thread and freed in another.
static void between_threads()
{
    int seen = 0;
    for (int round = 0; round < 40; round++) {
        std::exception_ptr carried;
        std::thread([&] {
            try {
                descend(25);
            } catch (...) {
                carried = std::current_exception();
            }
        }).join();
        try {
            std::rethrow_exception(carried);
        } catch (const std::runtime_error &) {
            seen++;
        }
    }
    std::printf("between threads: %d, alive %d\n", seen, alive);
}

int main()
{
    many_frames();
    again_and_again();
    while_constructing();
    no_memory();
    between_threads();
    return 0;
}
