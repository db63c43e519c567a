package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/standin/legacy"
)

// TestKubeFromIngressNginxAndBack does what docs/kubernetes.md says, to one
// Ingress as the usual guides have it.
func TestKubeFromIngressNginxAndBack(t *testing.T) {
	c := needCluster(t)
	i := c.install(t, "powerjob-shim", "")
	replica := i.run(t, "one", c.url).ready(t)
	_, address := startStandIn(t, legacy.Options{})
	old, err := os.ReadFile("../../cmd/powerjob-shim-ingress/testdata/guide.nginx.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ingress, _, _ := strings.Cut(string(old), "status:") // not everybody may write it
	for _, served := range []string{"  uid: 0c2f9a4e-5d5b-4b62-8c57-3d1c2f4b8a10\n", "  resourceVersion: \"42\"\n"} {
		ingress = strings.Replace(ingress, served, "", 1)
	}
	const namespace = "migrating" // not the guide's: the manifests' own test has that
	ingress = strings.Replace(ingress, "namespace: powerjob\n", "namespace: "+namespace+"\n", 1)
	c.kubectl(t, "", "create", "namespace", namespace)
	service := strings.Replace(localhostService("powerjob-server", address), "{name: web, ", "{name: http, ", 1)
	c.kubectl(t, service+"---\n"+ingress, "-n", namespace, "apply", "-f", "-")
	port := address[strings.LastIndexByte(address, ':')+1:]
	c.kubectl(t, "", "-n", namespace, "patch", "ingress", "powerjob", "--type=json",
		"-p", `[{"op":"replace","path":"/spec/rules/0/http/paths/0/backend/service/port/number","value":`+port+`},{"op":"remove","path":"/spec/tls"}]`)

	// 2. Translate.
	saved := c.kubectl(t, "", "-n", namespace, "get", "ingress", "powerjob", "-o", "yaml")
	sed, err := exec.LookPath("sed")
	if err != nil {
		t.Fatal(err)
	}
	saved = output(t, saved, sed, `/^  resourceVersion:/d;/^  uid:/d`)
	program, err := ingressBinary()
	if err != nil {
		t.Fatal(err)
	}
	translated := output(t, saved, program, "translate", "-")
	// 4. Switch.
	const host, path = "powerjob.example.com", "/"
	if status, _ := replica.get(host, path); status != http.StatusNotFound {
		t.Errorf("before the switch the shim answers %d", status)
	}
	c.kubectl(t, translated, "apply", "-f", "-")
	await.That(t, "the shim serves it", replica.serves(host, path), func() string { return "" })
	now := c.reading(t, "/apis/networking.k8s.io/v1/namespaces/"+namespace+"/ingresses/powerjob")
	if got := now.at("metadata", "annotations", "powerjob-shim.dev/timeout"); got != "600s" {
		t.Errorf("its timeout is %v", got)
	}
	// Back.
	c.kubectl(t, saved, "apply", "-f", "-")
	await.That(t, "the shim serves it no more", func() bool { status, _ := replica.get(host, path); return status == http.StatusNotFound }, func() string { return "" })
	now = c.reading(t, "/apis/networking.k8s.io/v1/namespaces/"+namespace+"/ingresses/powerjob")
	annotations, _ := now.at("metadata", "annotations").(map[string]any)
	if annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] != "600" || annotations["powerjob-shim.dev/timeout"] != nil || now.at("spec", "ingressClassName") != nil {
		t.Errorf("it is not as it was: %v %v", annotations, now["spec"])
	}
}
