// Package children makes sure that processes that tests start do not outlive them.
package children

import (
	"os/exec"
	"syscall"
)

// DieWithUs makes the system kill a child when this process ends without cleaning up,
// as after the panic of a test timeout. Call it before the child is started. On other
// systems than Linux it does nothing.
func DieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
