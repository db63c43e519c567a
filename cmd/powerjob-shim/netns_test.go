//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/shimtest"
)

// inNamespace is a variable that is set in the process with a network of its own. Its
// value is the program's path.
const inNamespace = "POWERJOB_SHIM_TEST_NAMESPACE"

// In the namespace, packets to 10.8.0.9 and 10.8.0.8 are lost: they go through a cable
// at whose far end nobody has these addresses.
const network = `set -e
ip link set lo up
ip link add near type veth peer name far
ip link set near addrgenmode none
ip link set far addrgenmode none
ip link set near up
ip link set far up
ip addr add 10.8.0.1/24 dev near
ip neigh add 10.8.0.8 lladdr 02:00:00:00:00:08 dev near nud permanent
ip neigh add 10.8.0.9 lladdr 02:00:00:00:00:09 dev near nud permanent
ip addr add 10.8.0.2/32 dev lo
mount --bind "$1" /etc/hosts
`

const hosts = `127.0.0.1 localhost
10.8.0.9 two.test
10.8.0.2 two.test
10.8.0.9 redis.test
10.8.0.2 redis.test
10.8.0.8 late.test
`

// TestInANetworkThatDropsPackets runs the program in a network namespace, with
// the system's own resolver and sockets.
func TestInANetworkThatDropsPackets(t *testing.T) {
	if path := os.Getenv(inNamespace); path != "" {
		t.Run("the first of two addresses", func(t *testing.T) { firstAddressDrops(t, path) })
		t.Run("the first SYN", func(t *testing.T) { firstSYNIsLost(t, path) })
		t.Run("the first address of Redis", func(t *testing.T) { firstRedisAddressDrops(t, path) })
		return
	}
	unshare := []string{"unshare", "--net", "--mount"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("ip"); err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("iproute2 is not installed: %v", err)
	}
	// A machine may forbid namespaces or have no such cables, in CI as well.
	cable := append(unshare[1:len(unshare):len(unshare)], "ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
	if out, err := exec.Command(unshare[0], cable...).CombinedOutput(); err != nil {
		t.Skipf("no network namespace with a cable can be made here: %v: %s", err, out)
	}
	setUp := append(unshare[1:len(unshare):len(unshare)], "sh", "-c", network, "sh", file)
	if out, err := exec.Command(unshare[0], setUp...).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the network of the test cannot be made: %v\n%s", err, out)
		}
		t.Skipf("the network of the test cannot be made here: %v", err)
	}
	path := shimtest.Binary(t)
	args := append(unshare[1:len(unshare):len(unshare)], "sh", "-c", network+`shift; exec "$@"`, "sh", file,
		os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd := exec.Command(unshare[0], args...)
	cmd.Env = append(os.Environ(), inNamespace+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "    --- PASS") != 3 && os.Getenv("CI") == "true" {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// dropped returns how many packets have arrived at the end of the cable.
func dropped(t *testing.T) (packets int) {
	t.Helper()
	table, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(table), "far:")
	var bytes int
	if _, err := fmt.Sscan(line, &bytes, &packets); err != nil {
		t.Fatal(err)
	}
	return packets
}

// serverAt answers with its address.
func serverAt(t *testing.T, address string) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"success":true,"data":1,"message":null}`)
	})}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	_, port, err = net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// call sends a different saveJob each time, on a connection of its own, and returns the
// answer's status line; "": the shim did not answer.
func call(t *testing.T, addr, name string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	body := fmt.Sprintf(`{"appId":1,"id":null,"jobName":%q}`, name)
	_, _ = fmt.Fprintf(c, "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("%s: %v", name, err)
	}
	return strings.TrimSpace(line)
}

// startAt runs the program at path, which was built outside the namespace.
func startAt(t *testing.T, path string, args ...string) *shimtest.Process {
	t.Helper()
	return shimtest.Start(t, exec.Command(path, onFreePorts(args...)...)).Started(t)
}

func firstAddressDrops(t *testing.T, path string) {
	port := serverAt(t, "10.8.0.2:0")
	before := dropped(t)
	p := startAt(t, path, "--upstream", "http://two.test:"+port)
	for i := range 20 {
		if status := call(t, p.Listen, fmt.Sprint("job ", i)); status != "HTTP/1.1 200 OK" {
			t.Errorf("call %d got %q\n%s", i, status, p.Log())
		}
	}
	if status, body := get(t, "http://"+p.Admin+"/readyz"); status != 200 {
		t.Errorf("/readyz says %d %s", status, body)
	}
	if dropped(t) == before {
		t.Error("the first address was not tried: the test shows nothing")
	}
}

// The address comes to life after the first SYN was lost. The system sends another one
// a second later, which is within the time for connecting. If the machine is so busy
// that this takes longer, the test tries again.
func firstSYNIsLost(t *testing.T, path string) {
	port := serverAt(t, "0.0.0.0:0")
	p := startAt(t, path, "--upstream", "http://late.test:"+port)
	const tries = 10
	for i := range tries {
		before := dropped(t)
		got := make(chan string, 1)
		go func() { got <- call(t, p.Listen, fmt.Sprint("late ", i)) }()
		await.That(t, "a SYN is lost", func() bool { return dropped(t) > before }, p.Log)
		ip(t, "addr", "add", "10.8.0.8/32", "dev", "lo")
		status := <-got
		if status == "HTTP/1.1 200 OK" {
			return
		}
		t.Logf("try %d got %q", i, status)
		ip(t, "addr", "del", "10.8.0.8/32", "dev", "lo")
	}
	t.Errorf("a lost SYN was a lost call in %d tries\n%s", tries, p.Log())
}

func firstRedisAddressDrops(t *testing.T, path string) {
	server := redistest.Start(t, "--bind", "127.0.0.1", "10.8.0.2", "--protected-mode", "no")
	port := serverAt(t, "127.0.0.1:0")
	before := dropped(t)
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("dedup: {store: redis, redis: {addresses: [\"redis.test:%d\"]}}\n", server.Port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startAt(t, path, "--config", config, "--upstream", "http://127.0.0.1:"+port)
	if status := call(t, p.Listen, "job"); status != "HTTP/1.1 200 OK" {
		t.Errorf("the call got %q\n%s", status, p.Log())
	}
	await.That(t, "the store works", func() bool {
		_, body := get(t, "http://"+p.Admin+"/readyz")
		return !strings.Contains(body, "redis")
	}, p.Log)
	if keys, err := server.Do("DBSIZE"); err != nil || keys == "0" {
		t.Errorf("Redis has %s keys, %v", keys, err)
	}
	if dropped(t) == before {
		t.Error("the first address was not tried: the test shows nothing")
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}
