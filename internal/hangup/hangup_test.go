//go:build unix

package hangup

import (
	"os/signal"
	"syscall"
	"testing"
)

func TestOnlyRunCatchesHangUps(t *testing.T) {
	c := catch([]string{"powerjob-shim", "run", "--config", "f"})
	defer signal.Stop(c)
	others := catch([]string{"powerjob-shim", "check", "run"})
	none := catch([]string{"powerjob-shim"})
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil { // would end this process
		t.Fatal(err)
	}
	if sig := <-c; sig != syscall.SIGHUP {
		t.Errorf("got %v", sig)
	}
	if len(others)+len(none) != 0 {
		t.Error("another command caught it")
	}
}
