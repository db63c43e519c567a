package e2e

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// TestShimsReplacedOneAfterTheOtherLoseNoCall does what docs/upgrading.md says
// for one machine: clients have two addresses, and the shims there are replaced
// in turn while calls go on.
func TestShimsReplacedOneAfterTheOtherLoseNoCall(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux, where 127.0.0.2 is there without being set up")
	}
	server, address := startStandIn(t, legacy.Options{})
	// Addresses of their own, from which nobody connects: else a connection could
	// take a port while its shim is being replaced.
	shims := []*shim{startShimAt(t, "127.0.0.2:0", address), startShimAt(t, "127.0.0.3:0", address)}
	addresses := []string{shims[0].Listen, shims[1].Listen}

	var calls atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		c, err := client.New(client.Config{
			Addresses: []string{addresses[i%2], addresses[1-i%2]}, AppName: "app1", Password: "pw",
			Transport: &client.SocketTransport{Timeout: time.Minute}, // a busy machine loses no call
		})
		if err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if r, err := c.Call("saveJob", client.Params{"jobName": fmt.Sprintf("%d of %d", n, i)}); err != nil || !r.Success {
					t.Errorf("a call is lost: %v %+v", err, r)
					return
				}
				calls.Add(1)
			}
		})
	}
	for i, s := range shims {
		for before := calls.Load(); calls.Load() < before+50 && !t.Failed(); {
			time.Sleep(time.Millisecond) // calls are under way
		}
		s.Signal(t, syscall.SIGTERM)
		<-s.Ended
		shims[i] = startShimAt(t, addresses[i], address)
	}
	for before := calls.Load(); calls.Load() < before+50 && !t.Failed(); {
		time.Sleep(time.Millisecond)
	}
	close(done)
	clients.Wait()
	if got, want := server.Executed("saveJob"), int(calls.Load()); got != want {
		t.Errorf("%d saves were executed, want %d", got, want)
	}
	t.Logf("%d calls, none lost", calls.Load())
}
