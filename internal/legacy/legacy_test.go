package legacy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func start(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := New(o)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, url
}

func post(t *testing.T, url, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

func TestASavedJobIsExecutedAndRecorded(t *testing.T) {
	s, url := start(t, Options{})
	_, got := post(t, url+"/openApi/saveJob", jsonType, `{"id":null,"appId":1,"jobName":"nightly"}`)
	if want := `{"success":true,"data":1,"message":null}`; got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
	if got := s.Executed("saveJob"); got != 1 {
		t.Errorf("%d executions, want 1", got)
	}
	if got := s.State().Jobs[1].Name; got != "nightly" {
		t.Errorf("job name %q", got)
	}
}
