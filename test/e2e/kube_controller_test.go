package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/shimtest"
)

// ingressBinary builds the controller once, as users run it.
var ingressBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "powerjob-shim-ingress")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Dir = filepath.Join("..", "..", "cmd", "powerjob-shim-ingress")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the controller: %w\n%s", err, out)
	}
	return path, nil
})

// installed is a release of the chart in mode ingress, with the IngressClass and
// all else named like its namespace.
type installed struct {
	cluster   *cluster
	namespace string
	args      []string // the container's
	config    string   // a file with the ConfigMap's configuration
	token     string   // of the chart's own ServiceAccount, as kubelet asks for it
}

// install installs the chart in mode ingress with the real helm, in a new
// namespace, with more values in YAML.
func (c *cluster) install(t *testing.T, namespace, values string) *installed {
	t.Helper()
	values = fmt.Sprintf("mode: ingress\nfullnameOverride: %[1]s\n%[2]s\n", namespace, values)
	c.helm(t, values, "install", namespace, chart, "--namespace", namespace, "--create-namespace", "--values", "-", "--set", "ingress.className="+namespace)
	i := &installed{cluster: c, namespace: namespace}
	deployment := c.reading(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments/"+namespace)
	containers, _ := deployment.at("spec", "template", "spec", "containers").([]any)
	for _, arg := range object(containers[0].(map[string]any))["args"].([]any) {
		i.args = append(i.args, arg.(string))
	}
	config, _ := c.reading(t, "/api/v1/namespaces/"+namespace+"/configmaps/"+namespace).at("data", "shim.yaml").(string)
	i.config = fileWith(t, "shim.yaml", config)
	i.token = strings.TrimSpace(c.kubectl(t, "", "-n", namespace, "create", "token", namespace, "--duration=1h"))
	return i
}

// kubeconfig is a file for the chart's ServiceAccount and an API server's URL.
func (i *installed) kubeconfig(t testing.TB, url string) string {
	t.Helper()
	file := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": url, "insecure-skip-tls-verify": true}}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"token": i.token}}},
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return fileWith(t, "kubeconfig", string(text))
}

// controller is the program as a process, under the chart's ServiceAccount and
// with the chart's arguments and configuration, but for the addresses.
type controller struct {
	*shim
	https string
}

// run starts a replica named identity; api is where its API server is.
func (i *installed) run(t testing.TB, identity, api string, more ...string) *controller {
	t.Helper()
	path, err := ingressBinary()
	if err != nil {
		t.Fatal(err)
	}
	args := slices.DeleteFunc(slices.Clone(i.args), func(arg string) bool { return strings.HasPrefix(arg, "--config=") })
	args = append(args, "--config", i.config, "--kubeconfig", i.kubeconfig(t, api),
		"--listen", "127.0.0.1:0", "--https", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	cmd := exec.Command(path, append(args, more...)...)
	cmd.Env = []string{"POD_NAME=" + identity, "POD_NAMESPACE=" + i.namespace}
	c := &controller{shim: &shim{shimtest.Start(t, cmd).Started(t)}}
	c.https = c.Listeners[1]
	return c
}

// ready waits until the replica is.
func (c *controller) ready(t *testing.T) *controller {
	t.Helper()
	await.That(t, "the controller is ready", c.isReady, func() string { return "" })
	return c
}

func (c *controller) isReady() bool {
	res, err := http.Get("http://" + c.Admin + "/readyz")
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// get returns what a browser gets from a host's path.
func (c *controller) get(host, path string) (status int, body string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+c.Listen+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	text := make([]byte, 4096)
	n, _ := res.Body.Read(text)
	return res.StatusCode, string(text[:n])
}

// serves reports whether a host's path is answered with 200.
func (c *controller) serves(host, path string) func() bool {
	return func() bool { status, _ := c.get(host, path); return status == http.StatusOK }
}

// witness passes a replica's requests on to the API server and keeps them.
type witness struct {
	url string

	mu   sync.Mutex // protects made
	made []apiRequest
}

// apiRequest is one request to the API server, in the words of its roles.
type apiRequest struct {
	verb, group, resource, namespace, name string
	status                                 int
}

func (c *cluster) witness(t testing.TB) *witness {
	t.Helper()
	to, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	r := &witness{}
	pass := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(to) },
		Transport: c.anyone.Transport,
		ModifyResponse: func(res *http.Response) error {
			a := readAsked(res.Request)
			a.status = res.StatusCode
			r.mu.Lock()
			defer r.mu.Unlock()
			r.made = append(r.made, a)
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	front := httptest.NewTLSServer(patient(pass)) // client-go sends tokens over TLS alone
	t.Cleanup(front.Close)
	t.Cleanup(front.CloseClientConnections)
	r.url = front.URL
	return r
}

// readAsked reads /api/v1/… and /apis/GROUP/v1/….
func readAsked(req *http.Request) (a apiRequest) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if parts[0] == "apis" {
		a.group, parts = parts[1], parts[3:]
	} else {
		parts = parts[2:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		a.namespace, parts = parts[1], parts[2:]
	}
	a.resource = parts[0]
	if len(parts) > 1 {
		a.name = parts[1]
	}
	if len(parts) > 2 {
		a.resource += "/" + parts[2]
	}
	switch {
	case req.Method == http.MethodGet && req.URL.Query().Get("watch") != "":
		a.verb = "watch"
	case req.Method == http.MethodGet && a.name == "":
		a.verb = "list"
	case req.Method == http.MethodGet:
		a.verb = "get"
	case req.Method == http.MethodPost:
		a.verb = "create"
	case req.Method == http.MethodPut:
		a.verb = "update"
	default:
		a.verb = strings.ToLower(req.Method)
	}
	return a
}

// all returns what was asked so far.
func (r *witness) all() []apiRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.made)
}

// writes are those that change anything but the Lease.
func (r *witness) writes() (list []apiRequest) {
	for _, a := range r.all() {
		if a.resource != "leases" && slices.Contains([]string{"create", "update", "patch", "delete"}, a.verb) {
			list = append(list, a)
		}
	}
	return list
}
