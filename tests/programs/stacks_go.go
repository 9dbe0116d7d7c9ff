// Go that calls C, which allocates. For each allocation one line says its size and the Go functions that led to it, innermost
// first, as Go itself sees them. See tests/suites/stacks.
//
//	stacks_go FILE
package main

/*
#include <stdlib.h>

extern void goFromC(int);

static __attribute__((noinline)) void take(int size)
{
    void *volatile block = malloc(size);
    free(block);
}

static __attribute__((noinline)) void takeDeep(int size, int depth)
{
    volatile int after = depth;
    if (depth)
        takeDeep(size, depth - 1);
    else
        take(size);
    after = 0;
}

static __attribute__((noinline)) void callBack(int size)
{
    goFromC(size);
    take(size + 1);
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
)

var lines = make(chan string, 1000)

func say(kind string, size int) {
	var pcs [1000]uintptr
	var names []string
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		names = append(names, frame.Function)
	}
	lines <- fmt.Sprint(kind, " ", size, " ", strings.Join(names, " "))
}

//go:noinline
func plain(size int) {
	say("plain", size)
	C.take(C.int(size))
}

//go:noinline
func deepInC(size int) {
	say("deep-in-c", size)
	C.takeDeep(C.int(size), 100)
}

//go:noinline
func deep(size, depth int) int {
	var large [50]int
	large[depth%50] = depth
	if depth > 0 {
		return deep(size, depth-1) + large[size%50]
	}
	say("deep", size)
	C.take(C.int(size))
	return 0
}

type server struct{ size int }

//go:noinline
func (s *server) method() {
	say("method", s.size)
	C.take(C.int(s.size))
}

//export goFromC
func goFromC(size C.int) {
	say("callback", int(size))
	C.take(size)
}

//go:noinline
func calledBack(size int) {
	say("after-a-callback", size+1)
	C.callBack(C.int(size))
}

// Many stacks that are like those before.
//
//go:noinline
func churn(depth int) {
	if depth > 0 {
		churn(depth - 1)
	}
	for i := 0; i < 10; i++ {
		C.take(8)
		C.takeDeep(8, C.int(i))
	}
}

func all(base int) {
	plain(base + 1)
	deepInC(base + 2)
	deep(base+3, 10)
	deep(base+4, 600) // the goroutine's stack moves
	deep(base+5, 10)
	(&server{base + 6}).method()
	calledBack(base + 8)
	for i := 0; i < 20; i++ {
		churn(i)
	}
	for i := 0; i < 2; i++ { // a stack that was seen before
		plain(base + 10 + i)
	}
}

func main() {
	var goroutines sync.WaitGroup
	all(10000)
	for i := 0; i < 4; i++ {
		goroutines.Add(1)
		base := 20000 + 100*i
		go func() {
			defer goroutines.Done()
			all(base)
		}()
	}
	goroutines.Wait()
	close(lines)
	var text strings.Builder
	for line := range lines {
		fmt.Fprintln(&text, line)
	}
	if err := os.WriteFile(os.Args[1], []byte(text.String()), 0o666); err != nil {
		panic(err)
	}
}
