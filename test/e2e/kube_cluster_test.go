package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// cluster is a real API server with its etcd, which all tests of a run share:
// each has namespaces of its own. Nothing runs there, since it has no nodes.
type cluster struct {
	kubeconfig string // an administrator's
	url        string
	admin      *http.Client
	anyone     *http.Client // who trusts the API server, and is nobody there

	mu    sync.Mutex // one command at a time; guards what follows
	stdin io.WriteCloser
	says  *bufio.Scanner
	cmd   *exec.Cmd
}

var (
	startClusterOnce sync.Once
	theCluster       *cluster
	errCluster       error
)

// needCluster starts the API server, unless it runs already, which takes some
// 20 s. It needs what make kube-e2e builds.
func needCluster(t testing.TB) *cluster {
	t.Helper()
	program := kubeProgram(t, "cluster")
	startClusterOnce.Do(func() { theCluster, errCluster = startCluster(program) })
	if errCluster != nil {
		t.Fatal(errCluster)
	}
	return theCluster
}

func startCluster(program string) (*cluster, error) {
	dir := filepath.Join(scratch, "cluster")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &cluster{cmd: exec.Command(program, dir)}
	var said bytes.Buffer
	c.cmd.Stderr = &said
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.says = bufio.NewScanner(stdout)
	if !c.says.Scan() {
		_ = c.cmd.Wait()
		return nil, fmt.Errorf("the cluster does not start: %s", said.String())
	}
	c.kubeconfig = c.says.Text()
	return c, c.connect()
}

// connect reads the administrator's file.
func (c *cluster) connect() error {
	text, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		return err
	}
	var file struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			}
		}
	}
	if err := decodeYAML(text, &file); err != nil {
		return err
	}
	if len(file.Clusters) == 0 || len(file.Users) == 0 {
		return fmt.Errorf("%s has no cluster or no user", c.kubeconfig)
	}
	pair, err := tls.X509KeyPair(file.Users[0].User.Cert, file.Users[0].User.Key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(file.Clusters[0].Cluster.CA)
	c.url = strings.TrimSuffix(file.Clusters[0].Cluster.Server, "/")
	c.admin = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	c.anyone = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return nil
}

// decodeYAML reads YAML as JSON is read: bytes are in base64.
func decodeYAML(text []byte, into any) error {
	var read map[string]any
	if err := yaml.Unmarshal(text, &read); err != nil {
		return err
	}
	encoded, err := json.Marshal(read)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, into)
}

// stopCluster ends what a run has started.
func stopCluster() {
	if theCluster != nil {
		_ = theCluster.stdin.Close()
		_ = theCluster.cmd.Wait()
	}
}

// tell stops or starts the API server.
func (c *cluster) tell(t *testing.T, what string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintln(c.stdin, what); err != nil || !c.says.Scan() || c.says.Text() != what {
		t.Fatalf("the API server does not %s: %v, %q", what, err, c.says.Text())
	}
}

// kubectl runs the real one as an administrator, and returns what it prints.
func (c *cluster) kubectl(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	return output(t, stdin, kubeProgram(t, "kubectl"), append([]string{"--kubeconfig", c.kubeconfig, "--cache-dir", filepath.Join(scratch, "kubectl")}, args...)...)
}

// apply applies objects on the server's side, with strict validation.
func (c *cluster) apply(t testing.TB, text string, args ...string) string {
	t.Helper()
	return c.kubectl(t, text, append([]string{"apply", "--server-side", "--validate=strict", "-f", "-"}, args...)...)
}

// helm runs the real one as an administrator.
func (c *cluster) helm(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	return output(t, stdin, kubeProgram(t, "helm"), append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
}

// do asks the API server as an administrator. An answer other than 2xx is an error.
func (c *cluster) do(method, path string, body, into any) error {
	kind := "application/json"
	if method == http.MethodPatch {
		kind = "application/merge-patch+json"
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, c.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	res, err := c.admin.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %s", method, path, res.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// must is do for what has to succeed.
func (c *cluster) must(t testing.TB, method, path string, body, into any) {
	t.Helper()
	if err := c.do(method, path, body, into); err != nil {
		t.Fatal(err)
	}
}

// reading returns the object at a path.
func (c *cluster) reading(t testing.TB, path string) object {
	t.Helper()
	var o map[string]any
	c.must(t, http.MethodGet, path, nil, &o)
	return o
}
