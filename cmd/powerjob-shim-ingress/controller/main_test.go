package controller

import (
	"os"
	"testing"

	"k8s.io/klog/v2"
)

// TestMain turns off lists by watches, which the fake API server does not support.
func TestMain(m *testing.M) {
	_ = os.Setenv("KUBE_FEATURE_WatchListClient", "false") // only an invalid name would be an error
	klog.LogToStderr(false)
	os.Exit(m.Run())
}
