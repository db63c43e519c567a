package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"powerjob-shim/internal/shimtest"
)

const (
	chart     = "../../configs/kubernetes/chart"
	manifests = "../../configs/kubernetes"
)

// kubeProgram returns one of the programs that make kube-e2e builds, or skips.
func kubeProgram(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("KUBE_E2E")
	if dir == "" {
		t.Skip("KUBE_E2E is not set: the tests with the real helm and kubectl are make kube-e2e's")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; make kube-e2e builds it", err)
	}
	return path
}

// output runs a program and returns what it prints.
func output(t testing.TB, stdin, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// object is a Kubernetes object as YAML has it.
type object map[string]any

// at follows keys into an object; nil where a key is missing.
func (o object) at(keys ...string) any {
	var now any = map[string]any(o)
	for _, key := range keys {
		m, ok := now.(map[string]any)
		if !ok {
			return nil
		}
		now = m[key]
	}
	return now
}

func (o object) is(kind, name string) bool {
	return o["kind"] == kind && o.at("metadata", "name") == name
}

func objects(t testing.TB, text string) (all []object) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		o := map[string]any{} // and not an object, or what is in it would be some too
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
}

func find(t testing.TB, all []object, kind, name string) object {
	t.Helper()
	i := slices.IndexFunc(all, func(o object) bool { return o.is(kind, name) })
	if i < 0 {
		t.Fatalf("there is no %s %s", kind, name)
	}
	return all[i]
}

// template renders the chart.
func template(t testing.TB, values string) []object {
	t.Helper()
	return objects(t, output(t, values, kubeProgram(t, "helm"), "template", "powerjob-shim", chart, "--namespace", "powerjob", "--values", "-"))
}

// byName makes lists of things with names comparable: their order says nothing.
func byName(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = byName(value)
		}
	case []any:
		for i := range v {
			v[i] = byName(v[i])
		}
		slices.SortStableFunc(v, func(a, b any) int { return strings.Compare(nameOf(a), nameOf(b)) })
	}
	return v
}

func nameOf(v any) string {
	if m, ok := v.(map[string]any); ok {
		name, _ := m["name"].(string)
		return name
	}
	return ""
}

// TestKubeChartAndKustomizeMakeTheSamePods: what one of the two is hardened by,
// the other must have.
func TestKubeChartAndKustomizeMakeTheSamePods(t *testing.T) {
	for dir, values := range map[string]string{
		"ingress-replacement": "tls: {mode: acme, names: [powerjob.example.com], redirect: true}\nservice: {type: LoadBalancer}",
		"behind-gateway":      "tls: {mode: self-signed, names: [powerjob.example.com]}",
		"shared-store":        "store: {type: redis, addresses: ['powerjob-shim-store:6379'], username: shim}",
	} {
		built := objects(t, output(t, "", kubeProgram(t, "kubectl"), "kustomize", filepath.Join(manifests, dir)))
		rendered := template(t, values)
		want := byName(find(t, built, "Deployment", "powerjob-shim").at("spec", "template", "spec"))
		got := byName(find(t, rendered, "Deployment", "powerjob-shim").at("spec", "template", "spec"))
		if !reflect.DeepEqual(got, want) {
			g, _ := yaml.Marshal(got)
			w, _ := yaml.Marshal(want)
			t.Errorf("%s: the chart makes\n%s\nkustomize makes\n%s", dir, g, w)
		}
	}
	built := objects(t, output(t, "", kubeProgram(t, "kubectl"), "kustomize", filepath.Join(manifests, "sidecar")))
	want := byName(find(t, built, "Deployment", "powerjob-server").at("spec", "template", "spec", "initContainers"))
	snippet, _ := find(t, template(t, "mode: sidecar-snippet"), "ConfigMap", "powerjob-shim-sidecar").at("data", "initContainers").(string)
	if got := byName(objects(t, snippet)[0]["initContainers"]); !reflect.DeepEqual(got, want) {
		t.Errorf("sidecar: the chart makes\n%v\nkustomize makes\n%v", got, want)
	}
}

// TestKubeChartsConfigurationIsValid: the shim itself reads what values make.
func TestKubeChartsConfigurationIsValid(t *testing.T) {
	kubeProgram(t, "helm")
	shim := shimtest.Binary(t)
	for name, values := range map[string]string{
		"defaults":    "",
		"secret":      "tls: {mode: secret, secretName: s}",
		"acme":        "tls: {mode: acme, names: [a.example.com], email: a@example.com, ca: 'https://ca.example.com/dir', redirect: true}",
		"self-signed": "tls: {mode: self-signed, names: [a.example.com]}",
		"own routes":  "config: {upstreams: {a: {servers: ['http://a:1']}, b: {servers: ['http://b:1']}}, routes: [{name: a, hosts: [a.example.com], upstream: a}, {name: b, upstream: b}], max_body: 300MiB}",
		"own timeout": "config: {upstreams: {default: {timeout: 1m}}}",
		"a long stop": "shutdown: {delay: 15s, grace: 1m}\nterminationGracePeriodSeconds: 90",
	} {
		text, _ := find(t, template(t, values), "ConfigMap", "powerjob-shim").at("data", "shim.yaml").(string)
		file := filepath.Join(t.TempDir(), "shim.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), shim, "check", "--config", file)
		if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "/etc/tls") {
			t.Errorf("%s: %v: %s\n%s", name, err, out, text)
		}
	}
}

// TestKubeChartsValuesReachThePods: those about rolling updates.
func TestKubeChartsValuesReachThePods(t *testing.T) {
	made := template(t, "readyGroup: main\npreStopSeconds: 7\nminReadySeconds: 9\nshutdown: {delay: 12s, grace: 30s}\nterminationGracePeriodSeconds: 60")
	spec := object(find(t, made, "Deployment", "powerjob-shim").at("spec").(map[string]any))
	pod := object(spec.at("template", "spec").(map[string]any))
	containers, _ := pod["containers"].([]any)
	container := object(containers[0].(map[string]any))
	config, _ := find(t, made, "ConfigMap", "powerjob-shim").at("data", "shim.yaml").(string)
	for name, pair := range map[string][2]any{
		"readiness":       {container.at("readinessProbe", "httpGet", "path"), "/readyz?group=main"},
		"preStop":         {container.at("lifecycle", "preStop", "sleep", "seconds"), 7},
		"minReadySeconds": {spec["minReadySeconds"], 9},
		"the end":         {pod["terminationGracePeriodSeconds"], 60},
		"shutdown":        {objects(t, config)[0].at("shutdown"), map[string]any{"delay": "12s", "grace": "30s"}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}

// TestKubeChartRefusesValuesThatCannotBe by its schema, with where they are.
func TestKubeChartRefusesValuesThatCannotBe(t *testing.T) {
	for values, want := range map[string]string{
		"mode: sidecar":                       "/mode",
		"replica: 3":                          "replica",
		"shutdown: {delay: 10}":               "/shutdown/delay",
		"shutdown: {delay: '10'}":             "/shutdown/delay",
		"tls: {mode: secret}":                 "/tls/secretName",
		"tls: {mode: acme}":                   "/tls/names",
		"store: {type: redis}":                "/store/addresses",
		"servers: ['powerjob-server:7700']":   "/servers/0",
		"ingress: {defaultCertificate: name}": "/ingress/defaultCertificate",

		"{mode: ingress, tls: {mode: secret, secretName: s}}": "/tls/mode",
	} {
		cmd := exec.CommandContext(t.Context(), kubeProgram(t, "helm"), "template", "x", chart, "--values", "-")
		cmd.Stdin = strings.NewReader(values)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %.800s", values, err, out)
		}
	}
}
