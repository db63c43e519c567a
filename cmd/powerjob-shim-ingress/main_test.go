package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/klog/v2"
)

func execute(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, nil, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommandLines(t *testing.T) {
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{nil, 0, "translate", ""},
		{[]string{"--help"}, 0, "translate", ""},
		{[]string{"run", "--help"}, 0, "--publish-service namespace/name", ""},
		{[]string{"--version"}, 0, "powerjob-shim-ingress ", ""},
		{[]string{"version"}, 0, "powerjob-shim-ingress ", ""},
		{[]string{"serve"}, 2, "", `unknown command "serve"`},
		{[]string{"run", "x"}, 2, "", "see powerjob-shim-ingress run --help"},
		{[]string{"run", "--nonsense"}, 2, "", "unknown flag: --nonsense"},
		{[]string{"run", "--publish-service", "shim"}, 2, "", `--publish-service "shim" is no namespace/name`},
		{[]string{"run", "--upstream", "http://a:1"}, 1, "", "upstreams.default.servers"},
		{[]string{"run", "--kubeconfig", "/nowhere"}, 1, "", "there is no way to an API server"},
		{[]string{"translate"}, 2, "", "accepts 1 arg(s)"},
		{[]string{"translate", "/nowhere"}, 1, "", "no such file"},
		{[]string{"healthcheck", "--admin", "127.0.0.1:1"}, 1, "", "connection refused"},
	} {
		code, stdout, stderr := execute("", c.args...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || (c.code == 0) != (stderr == "") {
			t.Errorf("%v: %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
}

// TestIngressesOfTheUsualGuidesAreTranslated: testdata has each Ingress with the
// output for it.
func TestIngressesOfTheUsualGuidesAreTranslated(t *testing.T) {
	files, err := filepath.Glob("testdata/*.nginx.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".nginx.yaml") + ".yaml")
		if err != nil {
			t.Error(err)
		}
		code, stdout, stderr := execute("", "translate", file)
		if code != 0 || stdout != string(want) {
			t.Errorf("%s: %d, %s; got:\n%s\nwant:\n%s", file, code, stderr, stdout, want)
		}
		for line := range strings.Lines(stderr) {
			if !strings.Contains(stdout, "# "+line) {
				t.Errorf("%s: only standard error says %s", file, line)
			}
		}
	}
}

func TestWhatCannotBeTranslatedIsNamed(t *testing.T) {
	const head = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a"
	for _, c := range []struct{ in, want string }{
		{"", "there is no Ingress in it"},
		{"apiVersion: v1\nkind: Service\nmetadata: {name: a}", "there is no Ingress in it"},
		{"apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}", "document 1: Ingress a has apiVersion extensions/v1beta1; write networking.k8s.io/v1"},
		{head + "}\nspec: {rulez: []}", `unknown field "rulez"`},
		{"{", "document 1: "},
		{head + "}\nspec: {rules: [{http: {paths: [{path: '/(a|b)', pathType: ImplementationSpecific, backend: {service: {name: s, port: {number: 1}}}}]}}]}", "-: nothing is left to be served"},
	} {
		code, stdout, stderr := execute(c.in, "translate", "-")
		if code != 1 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %d, %q, %q; want %q", c.in, code, stdout, stderr, c.want)
		}
	}
}

func TestCertManagersSolverIsNamed(t *testing.T) {
	const in = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a, annotations: {cert-manager.io/issuer: le, acme.cert-manager.io/http01-ingress-class: nginx}}\n" +
		"spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 1}}}}]}}]}"
	code, stdout, stderr := execute(in, "translate", "--class", "mine", "-")
	for _, want := range []string{
		"Ingress a: cert-manager.io/issuer le is kept; if it has an http01 solver, that must have ingressClassName: mine for this host, or renewals fail\n",
		"Ingress a: acme.cert-manager.io/http01-ingress-class: nginx is kept; write mine, or renewals fail\n",
	} {
		if !strings.Contains(stderr, want) || !strings.Contains(stdout, "# "+want) {
			t.Errorf("%d, %q, %q; want %q", code, stdout, stderr, want)
		}
	}
}

// TestClientGoWritesToTheLogAlone: its own lines are not JSON.
func TestClientGoWritesToTheLogAlone(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	core, logged := observer.New(zap.DebugLevel)
	quietClient(zap.New(core))
	klog.ErrorS(errors.New("connection refused"), "Error retrieving lease lock")
	klog.Flush()
	os.Stderr = stderr
	_ = write.Close()
	if text, err := io.ReadAll(read); err != nil || len(text) > 0 {
		t.Errorf("standard error has %q, %v", text, err)
	}
	if logged.FilterMessage("client-go").Len() != 1 {
		t.Errorf("the log has %v", logged.All())
	}
}
