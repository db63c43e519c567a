package controller

import (
	"os"
	"testing"

	"k8s.io/klog/v2"
)

// TestMain turns off what the fake API server cannot do: lists as watches.
func TestMain(m *testing.M) {
	_ = os.Setenv("KUBE_FEATURE_WatchListClient", "false") // its only error is about the name
	klog.LogToStderr(false)
	os.Exit(m.Run())
}
