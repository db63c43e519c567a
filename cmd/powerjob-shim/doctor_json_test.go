package main

import (
	"crypto/x509"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/demo"
	"powerjob-shim/internal/doctor"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules"
)

// diagnosed runs doctor as a script does, and returns its exit code and report.
func diagnosed(t *testing.T, args ...string) (int, doctor.Report) {
	t.Helper()
	var out, complaint strings.Builder
	code := run(append([]string{"doctor", "--json"}, args...), nil, &out, &complaint)
	var r doctor.Report
	if code != 2 {
		if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
			t.Fatalf("%v in %s%s", err, out.String(), complaint.String())
		}
		if r.ExitCode != code {
			t.Errorf("exit code %d, the report says %d", code, r.ExitCode)
		}
	}
	return code, r
}

func TestScriptsTellVerdictsApartByTheExitCode(t *testing.T) {
	for name, c := range map[string]struct {
		target  func(t *testing.T) string
		code    int
		verdict doctor.Verdict
	}{
		"healthy":         {func(t *testing.T) string { return standIn(t, legacy.Options{Mode: legacy.Patched}) }, 0, doctor.Healthy},
		"affected":        {func(t *testing.T) string { return standIn(t, legacy.Options{}) }, 1, doctor.Affected},
		"without authApp": {func(t *testing.T) string { return standIn(t, legacy.Options{Mode: legacy.NoAuthApp}) }, 1, doctor.OldServer},
		"usage":           {func(*testing.T) string { return "ftp://x" }, 2, ""},
		"unreachable":     {closedPort, 3, doctor.Unreachable},
		"a gateway":       {func(t *testing.T) string { return answering(t, "502 x") }, 3, doctor.Failing},
		"no PowerJob":     {func(t *testing.T) string { return answering(t, "404 x") }, 4, doctor.NotPowerJob},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, r := diagnosed(t, c.target(t)); code != c.code || r.Verdict != c.verdict {
				t.Errorf("exit code %d, %s; want %d, %s", code, r.Verdict, c.code, c.verdict)
			}
		})
	}
	if code := run([]string{"doctor"}, nil, new(strings.Builder), new(strings.Builder)); code != 2 {
		t.Errorf("exit code %d without an address, want 2", code)
	}
}

func TestHelpListsTheExitCodes(t *testing.T) {
	var out strings.Builder
	run([]string{"doctor", "--help"}, nil, &out, &out)
	for _, want := range []string{"  0  healthy", "  1  affected", "  2  the command line", "  3  unreachable", "  4  not a PowerJob server"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestSeveralAddressesAreAClientsList(t *testing.T) {
	well, ill := standIn(t, legacy.Options{Mode: legacy.Patched}), standIn(t, legacy.Options{})
	bare := strings.TrimPrefix(well, "http://")
	for _, c := range []struct {
		args    []string
		code    int
		summary string
		urls    int
	}{
		{[]string{well, bare}, 0, "No shim is needed: all servers send the header themselves.", 2},
		{[]string{bare + "," + strings.TrimPrefix(ill, "http://")}, 1, "Of 2 servers: 1 affected, 1 healthy.", 2},
		{[]string{well, closedPort(t)}, 3, "Of 2 servers: 1 unreachable, 1 healthy.", 2},
		{[]string{answering(t, "404 x") + "," + closedPort(t), ill}, 1, "Of 3 servers: 1 affected, 1 not PowerJob, 1 unreachable.", 3},
	} {
		code, r := diagnosed(t, c.args...)
		if code != c.code || r.Summary != c.summary || len(r.Servers) != c.urls {
			t.Errorf("%v: exit code %d, %q; want %d, %q", c.args, code, r.Summary, c.code, c.summary)
		}
	}
	var out strings.Builder
	_ = examine(t.Context(), &out, []string{well + "," + ill}, doctor.DefaultTimeout, false)
	for _, want := range []string{"powerjob-shim doctor " + well + "\n", "powerjob-shim doctor " + ill + "\n", "\nOf 2 servers: 1 affected, 1 healthy.\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestAReportSaysWhoIsOnTheWay(t *testing.T) {
	shim := shimIn(t, demo.StartShim(startInProcess), standIn(t, legacy.Options{Mode: legacy.Patched}))
	_, r := diagnosed(t, shim)
	f := r.Servers[0]
	if len(f.Shims) != 1 || f.Shims[0] != (doctor.Shim{Mode: "enforce", Group: "default", Header: rules.HeaderKept}) || !f.SendsHeader || !f.Open {
		t.Errorf("%+v", f)
	}
	if want := "A shim is no longer needed: all servers send the header themselves."; r.Summary != want || r.Needed {
		t.Errorf("summary %q, want %q", r.Summary, want)
	}
}

func TestAReportSaysWhetherAVerifyingClientAcceptsTheCertificate(t *testing.T) {
	s := httptest.NewTLSServer(legacy.New(legacy.Options{Mode: legacy.Patched}))
	t.Cleanup(s.Close)
	server, err := address.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if f := doctor.Examine(t.Context(), doctor.Target{Server: server, Roots: roots}); f.Verdict != doctor.Healthy || f.TLS.Verifies || !strings.Contains(f.TLS.Problem, "unknown authority") {
		t.Errorf("%+v", f.TLS)
	}
	roots.AddCert(s.Certificate())
	f := doctor.Examine(t.Context(), doctor.Target{Server: server, Roots: roots})
	if f.Verdict != doctor.Healthy || !f.TLS.Verifies || f.TLS.HTTP2 || !strings.Contains(f.String(), "a client that checks certificates accepts this one") {
		t.Errorf("%+v\n%s", f.TLS, f.String())
	}
}
