package demo

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes sure that a killed demo leaves nothing running.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
