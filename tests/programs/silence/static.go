// Pure Go: a static program, which no preload can enter; the processes that it starts can be entered.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
)

func main() {
	var group sync.WaitGroup
	sums := make([]int, 8)
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for k := 0; k < 2000; k++ {
				sums[i] += len(make([]byte, 1000+k))
			}
		}(i)
	}
	group.Wait()
	fmt.Println("sum", sums[0], sums[7])
	out, err := exec.Command("sh", "-c", "echo from a child; exit 3").CombinedOutput()
	fmt.Print(string(out), err, "\n")
	os.Exit(4)
}
