package e2e

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/testca"
)

type rawJSON = json.RawMessage

// rounds is how often everything changes.
const rounds = 100

// TestKubeEachCallOnceWhileEverythingChanges has real Java clients call a real
// 4.3.9 server and the stand-in of a 5.1.0 one through Ingresses, while
// Ingresses, endpoints and Secrets change a hundred times. Both replicas must
// have taken in a round before the next begins.
func TestKubeEachCallOnceWhileEverythingChanges(t *testing.T) {
	c := needCluster(t)
	app := needRealServer(t).newApp(t)
	i := c.install(t, "changes", fmt.Sprintf("config: {upstreams: {bridge: {login_bridge: {apps: [{name: %s, password: %q}]}}}}", app.name, app.password))
	server := legacy.New(legacy.Options{Other: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "page") })})
	counter := startAuthStub(t, app)
	w := &changing{t: t, installed: i, ca: testca.New(t), standIn: startPods(t, "standin", server), real: startPods(t, "real", counter.handler)}
	w.replicas = []*controller{i.run(t, "one", c.url), i.run(t, "two", c.url)}
	w.create()
	for _, r := range w.replicas {
		r.ready(t)
	}
	w.round(0) // all is served before anybody calls

	host := func(address string) string { return "localhost" + address[strings.LastIndexByte(address, ':'):] }
	atStandIn := []*javaClient{
		newClient(t, v510, standInApp, host(w.replicas[0].Listen)),
		newClient(t, v511, standInApp, "https://"+host(w.replicas[1].https)),
	}
	atReal := newClient(t, v510, app.account, w.replicas[1].Listen)

	done := make(chan struct{})
	var calling sync.WaitGroup
	for n, client := range append(atStandIn, atReal) {
		for thread := range 2 {
			calling.Go(func() {
				for k := 0; ; k++ {
					select {
					case <-done:
						return
					case <-time.After(20 * time.Millisecond): // the changes need the processors too
					}
					jobChanges(t, client, thread, fmt.Sprintf("client %d, thread %d, job %d", n, thread, k))
				}
			})
		}
	}
	for n := 1; n <= rounds && !t.Failed(); n++ {
		w.round(n)
	}
	close(done)
	calling.Wait()

	compareCalls(t, "executed", server.Executed, 1, atStandIn...)
	compareCalls(t, "received", counter.count, 1, atReal)
	compareRows(t, app, atReal, 1)
	calls := 0
	for _, client := range append(atStandIn, atReal) {
		for _, n := range client.calls() {
			calls += n
		}
	}
	t.Logf("%d calls of three real clients, each executed once, in %d rounds of changes", calls, rounds)
}

// changing is what changes.
type changing struct {
	t             *testing.T
	installed     *installed
	ca            *testca.Authority
	standIn, real *pods
	replicas      []*controller
}

func (w *changing) create() {
	w.t.Helper()
	class, annotation := w.installed.namespace, "powerjob-shim.dev/upstream: bridge"
	secrets := ""
	for n := range 2 {
		secrets += fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: tls-%d}\ntype: kubernetes.io/tls\nstringData: {tls.crt: %q, tls.key: %q}\n", n, "x", "x")
	}
	w.installed.cluster.apply(w.t, w.standIn.objects()+"---\n"+w.real.objects()+secrets+
		ingressYAML("standin", class, "localhost", "standin", "")+
		ingressYAML("real", class, "", "real", annotation)+
		ingressYAML("round", class, "round.test", "standin", ""), "-n", class)
}

// round changes everything, and waits until both replicas serve it so.
func (w *changing) round(n int) {
	w.t.Helper()
	c, namespace := w.installed.cluster, w.installed.namespace
	ingresses := "/apis/networking.k8s.io/v1/namespaces/" + namespace + "/ingresses"
	states := [4][2]string{{isReady, isDown}, {isReady, isReady}, {isDown, isReady}, {isDown, isEnding}}
	for _, p := range []*pods{w.standIn, w.real} {
		// First the one that comes, then the one that goes, as Pods are replaced.
		first := n / 2 % 2
		p.change(w.t, c, namespace, first, states[n%4][first])
		p.change(w.t, c, namespace, 1-first, states[n%4][1-first])
	}

	cert, key := w.ca.Leaf(w.t, "round.test")
	secret := fmt.Sprint("tls-", n%2)
	c.must(w.t, http.MethodPatch, "/api/v1/namespaces/"+namespace+"/secrets/"+secret, map[string]any{"stringData": map[string]any{"tls.crt": string(cert), "tls.key": string(key)}}, nil)

	annotate := func(values map[string]any) map[string]any {
		return map[string]any{"metadata": map[string]any{"annotations": values}}
	}
	c.must(w.t, http.MethodPatch, ingresses+"/standin", annotate(map[string]any{"powerjob-shim.dev/window": fmt.Sprintf("%ds", 5+n%3)}), nil)
	c.must(w.t, http.MethodPatch, ingresses+"/real", annotate(map[string]any{"powerjob-shim.dev/timeout": fmt.Sprintf("%ds", 40+n%3)}), nil)
	if n > 1 {
		c.must(w.t, http.MethodDelete, fmt.Sprintf("%s/extra-%d", ingresses, n-1), nil, nil)
	}
	if n > 0 {
		c.create(w.t, ingresses, ingressYAML(fmt.Sprint("extra-", n), namespace, fmt.Sprintf("x%d.test", n), "standin", ""))
	}
	var spec any = rawJSON(fmt.Sprintf(`{"tls":[{"hosts":["round.test"],"secretName":%q}],"rules":[{"host":"round.test","http":{"paths":[
{"path":"/%d","pathType":"Exact","backend":{"service":{"name":"standin","port":{"name":"web"}}}}]}}]}`, secret, n))
	c.must(w.t, http.MethodPatch, ingresses+"/round", map[string]any{"spec": spec}, nil)
	block, _ := pem.Decode(cert)
	for _, r := range w.replicas {
		await.That(w.t, fmt.Sprint("round ", n, " is served"), func() bool {
			return string(shown(r.https, "round.test")) == string(block.Bytes) && r.serves("round.test", fmt.Sprint("/", n))()
		}, func() string {
			status, body := r.get("round.test", fmt.Sprint("/", n))
			return fmt.Sprint(status, " ", body)
		})
	}
}

// create creates one object from YAML.
func (c *cluster) create(t testing.TB, path, text string) {
	t.Helper()
	c.must(t, http.MethodPost, path, map[string]any(objects(t, text)[0]), nil)
}

// shown is the certificate that a listener shows to who asks for a name.
func shown(address, name string) []byte {
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].Raw
}
