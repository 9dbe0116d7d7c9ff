#!/usr/bin/env bash
# gcc and g++ from source to a program that runs; SOURCES is where the sources are.
set -eu
gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -pthread -c "$SOURCES/silence_threads.c" -o threads.o
gcc -O2 -pthread threads.o -o threads
g++ -O2 -g -pthread "$SOURCES/silence_exceptions.cc" -o exceptions
sha256sum threads.o threads exceptions
./threads
gcc -c -x c - -o bad.o <<<'int main(void) { return undeclared; }' || echo "refused: $?"
