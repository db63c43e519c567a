package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/doctor"
	"powerjob-shim/internal/shimtest"
)

// examine runs the doctor as a script does.
func examine(t *testing.T, addresses ...string) doctor.Report {
	t.Helper()
	path := shimtest.Binary(t)
	out, err := exec.CommandContext(t.Context(), path, append([]string{"doctor", "--json", "--timeout", "60s"}, addresses...)...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var r doctor.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// TestDoctorOnARealServer asks a real 4.3.9 server, and shims and haproxy in
// front of it.
func TestDoctorOnARealServer(t *testing.T) {
	app := needRealServer(t).newApp(t)
	server := app.server.address
	bridged := runConfigured(t, "127.0.0.1:0", server, bridgeConfig(app.account))
	open := runConfigured(t, "127.0.0.1:0", server, strings.Replace(bridgeConfig(app.account), "enforce", `"off"`, 1))
	for name, c := range map[string]struct {
		address string
		code    int
		verdict doctor.Verdict
		open    bool
		shims   int
	}{
		"the server itself":                 {server, 1, doctor.OldServer, true, 0},
		"a path that it has not":            {server + "/x", 4, doctor.NotPowerJob, false, 0},
		"the shim with its bridge and gate": {bridged.Listen, 0, doctor.Healthy, false, 1},
		"the shim with its bridge":          {open.Listen, 0, doctor.Healthy, true, 1},
		"haproxy before the shim":           {startHAProxy(t, open.Listen), 1, doctor.Affected, true, 1},
	} {
		r := examine(t, c.address)
		f := r.Servers[0]
		if r.ExitCode != c.code || f.Verdict != c.verdict || f.Open != c.open || len(f.Shims) != c.shims || f.SendsHeader {
			t.Errorf("%s: exit code %d, want %d %s, open=%t, %d shims:\n%s", name, r.ExitCode, c.code, c.verdict, c.open, c.shims, r.String())
		}
	}
	secure := startTLSShim(t, server, anyPort, anyPort, selfSigned(t))
	if f := examine(t, "https://"+secure.Listen).Servers[0]; f.Verdict != doctor.OldServer || f.TLS == nil || f.TLS.Verifies || f.TLS.HTTP2 || f.TLS.Problem == "" {
		t.Errorf("the shim with a certificate of its own: %s", f.String())
	}
	if got := app.count(t, "/job/list"); got != 0 {
		t.Errorf("the doctor made %d jobs", got)
	}
}

// TestStatusHasTheVerdictOnARealServer reads /status of a shim in front of a real
// 4.3.9 server.
func TestStatusHasTheVerdictOnARealServer(t *testing.T) {
	shim := startShim(t, needRealServer(t).newApp(t).server.address)
	var text []byte
	var status struct {
		Upstreams []struct {
			Servers []struct{ Doctor *doctor.Finding }
		}
		Needed *struct{ Header bool }
	}
	await.That(t, "the server has been examined", func() bool {
		res, err := http.Get("http://" + shim.Admin + "/status")
		if err != nil {
			t.Fatal(err)
		}
		text, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &status); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		return status.Upstreams[0].Servers[0].Doctor != nil
	}, func() string { return string(text) })
	if f := status.Upstreams[0].Servers[0].Doctor; f.Verdict != doctor.OldServer || !f.Open || status.Needed == nil || !status.Needed.Header {
		t.Errorf("/status says %s", text)
	}
}
