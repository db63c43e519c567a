package main

import (
	"strings"
	"testing"
)

func TestAFlameGraphHasWhatWasSampled(t *testing.T) {
	const traces = `File: shim
Type: cpu
-----------+-------------------------------------------------------
      30ms   syscall.Syscall6
             powerjob-shim/proxy.(*Proxy).forward
             runtime.goexit (inline)
-----------+-------------------------------------------------------
      10ms   powerjob-shim/proxy.(*Proxy).forward
             runtime.goexit
-----------+-------------------------------------------------------
`
	root, err := readTraces([]byte(traces))
	if err != nil {
		t.Fatal(err)
	}
	drawn := string(root.draw())
	for _, want := range []string{"<title>runtime.goexit: 100.0 %", "<title>proxy.(*Proxy).forward: 100.0 %", "<title>syscall.Syscall6: 75.0 %"} {
		if strings.Count(drawn, want) != 1 {
			t.Errorf("%q is not there once in\n%s", want, drawn)
		}
	}
}
