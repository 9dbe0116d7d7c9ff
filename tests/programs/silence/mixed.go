// Go with C: goroutines that call C, C that calls Go, processes, and Go's preemption signals all the time.
package main

/*
#include <stdlib.h>
#include <string.h>

extern int fromC(int);

static int fill(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        char *p = malloc(100 + i);
        memset(p, 1, 100 + i);
        p = realloc(p, 5000);
        sum += p[99];
        free(p);
    }
    return sum;
}

static int callBack(int n)
{
    char *p = malloc(64);
    int result = fromC(n);
    free(p);
    return result;
}
*/
import "C"

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"unsafe"
)

//export fromC
func fromC(n C.int) C.int {
	return n + C.int(len(make([]byte, int(n)%7)))
}

func work(n int) (sum int) {
	for k := 0; k < 20; k++ {
		sum += int(C.fill(100)) + int(C.callBack(C.int(n)))
		text := C.CString("a string that C holds")
		sum += int(C.strlen(text))
		C.free(unsafe.Pointer(text))
		garbage := make([][]byte, 100)
		for i := range garbage {
			garbage[i] = make([]byte, 10000)
		}
	}
	return sum
}

func main() {
	var group sync.WaitGroup
	sums := make([]int, 16)
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			sums[i] = work(i)
		}(i)
	}
	group.Wait()
	runtime.GC()
	fmt.Println("sums", sums[0], sums[15])
	for i := 0; i < 10; i++ {
		out, err := exec.Command("sh", "-c", "echo from child; exit 3").CombinedOutput()
		fmt.Print(i, " ", string(out), err, "\n")
	}
	os.Exit(4)
}
