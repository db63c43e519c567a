package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Definitions of resources that are not Kubernetes' own, by Go module; each has
// the files beside its name.
var definitions = map[string][]string{
	"sigs.k8s.io/gateway-api@v1.6.3": {"config/crd/standard/gateway.networking.k8s.io_*.yaml"},
	"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
	"github.com/envoyproxy/gateway@v1.9.1": {"charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_clienttrafficpolicies.yaml"},
}

// define applies the definitions of others' resources.
func (c *cluster) define(t *testing.T) {
	t.Helper()
	for module, patterns := range definitions {
		var found struct{ Dir string }
		cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
		cmd.Dir = t.TempDir() // outside this module
		out, err := cmd.Output()
		if err != nil || json.Unmarshal(out, &found) != nil {
			missing(t, "%s cannot be had: %v %s", module, err, out)
		}
		for _, pattern := range patterns {
			files, err := filepath.Glob(filepath.Join(found.Dir, pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s has no %s", module, pattern)
			}
			for _, file := range files {
				c.kubectl(t, "", "apply", "--server-side", "-f", file)
			}
		}
	}
	c.kubectl(t, "", "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
}

// TestKubeEveryManifestIsApplied as docs/kubernetes.md says, on the server's
// side and with strict validation.
func TestKubeEveryManifestIsApplied(t *testing.T) {
	c := needCluster(t)
	c.define(t)
	for _, namespace := range []string{"powerjob", "gateways"} {
		c.apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n")
	}
	applied := 0
	apply := func(what, text string, args ...string) {
		// One directory's objects are another's: each takes over what it has.
		out := c.apply(t, text, append(args, "--force-conflicts")...)
		n := strings.Count(out, "serverside-applied")
		if want := len(objects(t, text)); n != want {
			t.Errorf("%s: %d of %d objects were applied:\n%s", what, n, want, out)
		}
		applied += n
	}
	for _, dir := range []string{"sidecar", "ingress-replacement", "behind-gateway", "shared-store"} {
		path := filepath.Join(manifests, dir)
		apply(dir, c.kubectl(t, "", "kustomize", path))
		if dir == "sidecar" {
			continue // clients reach the server's own Pod
		}
		closed := t.TempDir()
		own, err := filepath.Abs(manifests)
		if err != nil {
			t.Fatal(err)
		}
		relative := func(to string) string {
			r, err := filepath.Rel(closed, filepath.Join(own, to))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		text := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: powerjob\nresources: [%s]\ncomponents: [%s]\n", relative(dir), relative("server-network"))
		if err := os.WriteFile(filepath.Join(closed, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		apply(dir+" with server-network", c.kubectl(t, "", "kustomize", closed))
	}
	for _, file := range []string{"httproute", "tlsroute", "clienttrafficpolicy"} {
		text, err := os.ReadFile(filepath.Join(manifests, "behind-gateway", file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if args := []string{"-n", "powerjob"}; file != "clienttrafficpolicy" {
			apply(file, string(text), args...)
		} else {
			apply(file, string(text))
		}
	}
	t.Logf("%d objects", applied)
}

// everything switches on what the chart has for a mode.
const everything = `
monitoring: {podMonitor: true, serviceMonitor: true, prometheusRule: true, dashboard: true, labels: {release: prometheus}}
autoscaling: {enabled: true}
networkPolicy: {enabled: true}
store: {type: redis, addresses: ['store:6379'], username: shim}
preStopSeconds: 5
terminationGracePeriodSeconds: 50
service: {type: LoadBalancer, loadBalancerClass: example.com/lb, annotations: {a: b}}
podLabels: {a: b}
podAnnotations: {a: b}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: a, operator: Exists}]
extraEnv: [{name: A, value: b}]
imagePullSecrets: [{name: registry}]
`

// TestKubeTheChartInstallsInEachMode with the real helm. What it makes is also
// applied with strict validation, which helm does not ask for.
func TestKubeTheChartInstallsInEachMode(t *testing.T) {
	c := needCluster(t)
	c.define(t)
	for name, m := range map[string]struct{ values, kinds, notes string }{
		"defaults":   {"", "ConfigMap Deployment PodDisruptionBudget Service", "kubectl -n defaults rollout status deployment/powerjob-shim"},
		"standalone": {"tls: {mode: acme, names: [a.example.com], redirect: true}" + everything, "ConfigMap Deployment HorizontalPodAutoscaler NetworkPolicy PersistentVolumeClaim PodDisruptionBudget PodMonitor PrometheusRule Service ServiceMonitor", "powerjob-shim doctor http://powerjob-shim.standalone:7700"},
		"secret":     {"tls: {mode: secret, secretName: s}", "ConfigMap Deployment PodDisruptionBudget Service", "set store.type=redis"},
		"own-names":  {"tls: {mode: self-signed, names: [a.example.com]}\nreadyGroup: a\nreplicas: 1", "ConfigMap Deployment PodDisruptionBudget Service", "Set replicas=2"},
		"controller": {"mode: ingress\ningress: {className: a, defaultClass: true, defaultCertificate: default/s, publishAddresses: [192.0.2.1]}" + everything, "ClusterRole ClusterRoleBinding ConfigMap Deployment HorizontalPodAutoscaler IngressClass NetworkPolicy PodDisruptionBudget PodMonitor PrometheusRule Role RoleBinding Service ServiceAccount ServiceMonitor", "describe ingress NAME"},
		"one":        {"mode: ingress\ningress: {className: b, watchNamespace: default}\nrbac: {secretNames: [s]}", "ConfigMap Deployment IngressClass PodDisruptionBudget Role RoleBinding Service ServiceAccount", "nothing reaches it from outside"},
		"sidecar":    {"mode: sidecar-snippet", "ConfigMap", "Nothing runs yet"},
	} {
		t.Run(name, func(t *testing.T) {
			values := "fullnameOverride: powerjob-shim\n" + m.values
			notes := c.helm(t, values, "install", "a", chart, "--namespace", name, "--create-namespace", "--values", "-")
			if !strings.Contains(notes, m.notes) {
				t.Errorf("the notes lack %q:\n%s", m.notes, notes)
			}
			made := c.helm(t, "", "get", "manifest", "a", "--namespace", name)
			kinds := map[string]bool{}
			for _, o := range objects(t, made) {
				kinds[fmt.Sprint(o["kind"])] = true
			}
			for _, kind := range strings.Fields(m.kinds) {
				if !kinds[kind] {
					t.Errorf("there is no %s", kind)
				}
				delete(kinds, kind)
			}
			if len(kinds) > 0 {
				t.Errorf("there are %v", kinds)
			}
			c.applyStrictly(t, made, name)
			c.helm(t, values+"\nreplicas: 3", "upgrade", "a", chart, "--namespace", name, "--values", "-")
			c.helm(t, "", "uninstall", "a", "--namespace", name)
		})
	}
}

// applyStrictly tries what a release made: kubectl takes no namespace for
// objects that have another.
func (c *cluster) applyStrictly(t *testing.T, made, namespace string) {
	t.Helper()
	byNamespace := map[string]string{}
	for _, o := range objects(t, made) {
		own, ok := o.at("metadata", "namespace").(string)
		if !ok {
			own = namespace
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		byNamespace[own] += "---\n" + string(text) + "\n"
	}
	for own, text := range byNamespace {
		c.apply(t, text, "--dry-run=server", "--force-conflicts", "--namespace", own)
	}
}

// TestKubeTheServersPodTakesTheSnippet: what mode sidecar-snippet makes goes
// into a Deployment, where it is a sidecar of Kubernetes' own kind: started
// before the server and ended after it.
func TestKubeTheServersPodTakesTheSnippet(t *testing.T) {
	c := needCluster(t)
	snippet, _ := find(t, template(t, "mode: sidecar-snippet"), "ConfigMap", "powerjob-shim-sidecar").at("data", "initContainers").(string)
	c.kubectl(t, "", "create", "namespace", "snippet")
	c.apply(t, `apiVersion: apps/v1
kind: Deployment
metadata: {name: powerjob-server}
spec:
  selector: {matchLabels: {app: powerjob-server}}
  template:
    metadata: {labels: {app: powerjob-server}}
    spec:
      containers: [{name: server, image: "powerjob/powerjob-server:v5.1.0", env: [{name: SERVER_PORT, value: "7701"}]}]
`+indent(snippet, "      "), "-n", "snippet")
	containers, _ := c.reading(t, "/apis/apps/v1/namespaces/snippet/deployments/powerjob-server").at("spec", "template", "spec", "initContainers").([]any)
	if len(containers) != 1 || object(containers[0].(map[string]any)).at("restartPolicy") != "Always" {
		t.Errorf("the server's init containers: %v", containers)
	}
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by)
}
