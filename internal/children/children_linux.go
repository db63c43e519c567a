// Package children keeps the processes that tests start from outliving them.
package children

import (
	"os/exec"
	"syscall"
)

// DieWithUs has a child, which is yet to be started, killed when this process
// ends without cleaning up, as after a test timeout's panic. On other systems it
// does nothing.
func DieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
