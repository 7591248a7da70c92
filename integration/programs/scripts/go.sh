# A static Go program: goroutines on several threads, files, processes, signals, sockets, timers, a deep stack, garbage.
set -e
mkdir -p /tmp/g
cd /tmp/g
export GOCACHE=/tmp/gocache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=0
cat >main.go <<'END'
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func deep(n int) int {
	var pad [256]byte
	if n == 0 {
		return int(pad[0])
	}
	return 1 + deep(n-1)
}
func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}
func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			mu.Lock()
			sum += n
			mu.Unlock()
			runtime.Gosched()
		}(i)
	}
	wg.Wait()
	fmt.Println("goroutines", sum, "deep", deep(20000))
	for i := 0; i < 100; i++ {
		_ = bytes.Repeat([]byte{1}, 1<<20)
	}
	runtime.GC()
	check(os.WriteFile("f", []byte("content"), 0o600))
	read, err := os.ReadFile("f")
	check(err)
	fmt.Println("file", string(read))
	out, err := exec.Command("sh", "-c", "echo child; exit 5").Output()
	fmt.Printf("child %q %v\n", out, err)
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	fmt.Println("signal", <-ch)
	func() {
		defer func() { fmt.Println("recovered", recover() != nil) }()
		var p *int
		*p = 1
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	}()
	var clients sync.WaitGroup
	total := make(chan int, 20)
	for i := 0; i < 20; i++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			answer, err := http.Post("http://"+l.Addr().String(), "text/plain", bytes.NewReader(make([]byte, 100000)))
			check(err)
			body, err := io.ReadAll(answer.Body)
			check(err)
			total <- len(body)
		}()
	}
	clients.Wait()
	bytesBack := 0
	for i := 0; i < 20; i++ {
		bytesBack += <-total
	}
	fmt.Println("http", bytesBack)
	start := time.Now()
	<-time.After(20 * time.Millisecond)
	// A loop without calls: the runtime preempts it by a signal.
	stop := false
	go func() { time.Sleep(10 * time.Millisecond); stop = true }()
	for i := 0; i < 1<<27 && !stop; i++ {
	}
	fmt.Println("time", time.Since(start) >= 20*time.Millisecond)
}
END
go build -o main main.go
GOMAXPROCS=4 ./main
