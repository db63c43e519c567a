package proxy

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/admin"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// standIn runs a stand-in server and returns it with its address.
func standIn(t *testing.T, mode legacy.Mode) (*legacy.Server, string) {
	t.Helper()
	s := legacy.New(legacy.Options{Mode: mode})
	address, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, address
}

// findingsOf asks for /status until every server's finding is there.
func findingsOf(t *testing.T, p *Proxy) admin.Status {
	t.Helper()
	for {
		w := httptest.NewRecorder()
		p.Admin(admin.Options{}).ServeHTTP(w, httptest.NewRequest("GET", "/status", nil).WithContext(t.Context()))
		var got admin.Status
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		if !slices.ContainsFunc(got.Upstreams[0].Servers, func(s admin.Server) bool { return s.Doctor == nil }) {
			return got
		}
		if t.Context().Err() != nil {
			t.Fatal("no finding")
		}
	}
}

func TestStatusHasWhatDoctorSaysOfItsServers(t *testing.T) {
	_, old := standIn(t, legacy.Legacy)
	_, patched := standIn(t, legacy.Patched)
	_, checked := standIn(t, legacy.CheckOn)
	for name, c := range map[string]struct {
		servers  []string
		verdicts []doctor.Verdict
		header   bool
		summary  string
	}{
		"affected": {[]string{old}, []doctor.Verdict{doctor.Affected}, true, "needed: not every server sends the header itself, in exact case"},
		"one of two": {[]string{old, patched}, []doctor.Verdict{doctor.Affected, doctor.Healthy}, true,
			"needed: not every server sends the header itself, in exact case"},
		"none": {[]string{patched, checked}, []doctor.Verdict{doctor.Healthy, doctor.Healthy}, false,
			"no longer needed: all servers send the header themselves"},
		"dead": {[]string{deadServer(t)}, []doctor.Verdict{doctor.Unreachable}, true, "needed: not every server sends the header itself, in exact case"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := probed(t, settingsFor(t, c.servers...))
			got := findingsOf(t, p)
			var verdicts []doctor.Verdict
			for _, s := range got.Upstreams[0].Servers {
				verdicts = append(verdicts, s.Doctor.Verdict)
				if s.Doctor.URL != "http://"+s.Server || s.Doctor.Summary == "" || strings.Contains(s.Doctor.String(), "run --upstream") {
					t.Errorf("%+v", s.Doctor)
				}
			}
			if !slices.Equal(verdicts, c.verdicts) {
				t.Errorf("verdicts %v, want %v", verdicts, c.verdicts)
			}
			if got.Needed == nil || got.Needed.Header != c.header || got.Needed.Summary != c.summary {
				t.Errorf("needed: %+v, want %s", got.Needed, c.summary)
			}
		})
	}
}

func TestAFindingIsToldAgainForAWhile(t *testing.T) {
	s, address := standIn(t, legacy.Legacy)
	p, _ := probed(t, settingsFor(t, address))
	findingsOf(t, p)
	examined := func() (n int) {
		for _, r := range s.Requests() {
			if r.Call == "authApp" {
				n++
			}
		}
		return n
	}
	for range 5 {
		findingsOf(t, p)
	}
	if n := examined(); n != 1 { // more only if this took longer than examineEvery
		t.Errorf("%d examinations for 6 questions", n)
	}
}

// Doctor looks for a fault behind a shim that says that it wrote the header.
func TestAShimSaysThatItAddedTheHeaderOnlyIfARuleDoes(t *testing.T) {
	recases := rules.Rule{Name: "recases", Paths: []string{"/openApi/*"}, Header: &rules.Header{Name: openapi.AuthHeader}}
	for _, c := range []struct {
		name  string
		sent  []string
		rules []rules.Rule
		want  string
	}{
		{"no rule", nil, nil, ""},
		{"a rule without a value", nil, []rules.Rule{recases}, ""},
		{"a rule with a value", nil, []rules.Rule{authRule}, "added"},
		{"both", nil, []rules.Rule{recases, authRule}, "added"},
		{"exact case, a rule without a value", []string{openapi.AuthHeader + ": true"}, []rules.Rule{recases}, "kept"},
		{"another case, a rule without a value", []string{"x-powerjob-auth-passed: true"}, []rules.Rule{recases}, "recased"},
	} {
		for mode, observing := range map[string]bool{"enforce": false, "observe": true} {
			settings := settingsFor(t, newRawServer(t, answerWith(c.sent...)).url)
			settings.Rules, settings.Observing = compileRules(t, c.rules...), observing
			asked := raw(t, newShim(t, settings).addr, request("POST", "/openApi/fetchAllJob", "appId=0", doctor.Header+": 1"))
			want := []string{doctor.Header + ": version=test; mode=" + mode + "; group=default; header=" + c.want}
			if got := lines(asked, doctor.Header); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q, want %q", c.name, mode, got, want)
			}
		}
	}
}

func TestAShimSaysWhoItIsToDoctorOnly(t *testing.T) {
	up := newRawServer(t, answerWith("x-powerjob-auth-passed: true", doctor.Header+": version=v9; mode=observe; group=inner; header=added"))
	for mode, observing := range map[string]bool{"enforce": false, "observe": true} {
		settings := dedupSettings(t, up.url)
		settings.Observing = observing
		s := newShim(t, settings)
		asked := raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "appId=0", doctor.Header+": 1"))
		want := []string{
			doctor.Header + ": version=v9; mode=observe; group=inner; header=added",
			doctor.Header + ": version=test; mode=" + mode + "; group=default; header=recased",
		}
		if got := lines(asked, doctor.Header); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", mode, got, want)
		}
		if got := lines(raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "appId=0")), doctor.Header); len(got) != 1 {
			t.Errorf("%s: %q on a request that does not ask", mode, got)
		}
	}
}
