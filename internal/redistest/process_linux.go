package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithUs has a child killed when the tests end without cleaning up, as after
// a timeout's panic.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
