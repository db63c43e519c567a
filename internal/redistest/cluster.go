package redistest

import (
	"os/exec"
	"strings"
	"testing"

	"powerjob-shim/internal/await"
)

// StartCluster runs a Cluster of three primaries with a replica each.
func StartCluster(t testing.TB) []*Server {
	t.Helper()
	Need(t, "redis-cli")
	nodes := make([]*Server, 6)
	for i := range nodes {
		nodes[i] = newServer(t, freePort(t))
		nodes[i].serve("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
	}
	args := append([]string{"--cluster", "create"}, Addrs(nodes)...)
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.Command("redis-cli", args...).CombinedOutput(); err != nil { //nolint:gosec // a test's own arguments
		t.Fatalf("making a cluster: %v\n%s", err, out)
	}
	await.That(t, "the cluster is whole", func() bool {
		for _, n := range nodes {
			info, err := n.Do("CLUSTER", "INFO")
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") {
				return false
			}
		}
		return true
	})
	return nodes
}
