package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"powerjob-shim/internal/children"
	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
)

// TestTheStatusPageInABrowser looks at the page while a client works whose
// header is lost on the way, and somebody calls with a hostile app id. It keeps
// the pictures under artifacts.
func TestTheStatusPageInABrowser(t *testing.T) {
	t.Parallel()
	browser := need(t, "chromium")[0]
	_, server := startStandIn(t, legacy.Options{})
	shim := startShim(t, server)
	hop := httptest.NewServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: shim.Listen})) // net/http writes the header in its own case
	defer hop.Close()
	c, err := client.New(client.Config{Addresses: []string{strings.TrimPrefix(hop.URL, "http://")}, AppName: standInApp.name, Password: standInApp.password})
	if err != nil {
		t.Fatal(err)
	}
	save(t, c, 0)
	end := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-end:
				return
			default:
				save(t, c, i)
				callTwice(t, shim.Listen, i)
			}
		}
	})
	defer working.Wait()
	defer close(end)

	dir, err := filepath.Abs("artifacts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	pageshot := filepath.Join(scratch, "pageshot")
	if out, err := exec.Command("go", "build", "-C", filepath.Join("..", "tools"), "-o", pageshot, "./pageshot").CombinedOutput(); err != nil {
		missing(t, "pageshot cannot be built: %v\n%s", err, out)
	}
	cmd := exec.Command(pageshot, "-browser", browser, "-url", "http://"+shim.Admin+"/", "-o", dir, "-timeout", "3m")
	cmd.Stderr = os.Stderr
	children.DieWithUs(cmd)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var views []view
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var v view
		if err := lines.Decode(&v); err != nil {
			t.Fatal(err)
		}
		views = append(views, v)
	}
	if len(views) != 5 {
		t.Fatalf("%d views: %s", len(views), out)
	}
	backgrounds := map[string]bool{}
	for _, v := range views[:4] {
		v.check(t)
		backgrounds[v.Background] = true
	}
	if len(backgrounds) != 2 {
		t.Errorf("light and dark have the backgrounds %v", backgrounds)
	}
	if !views[4].Refreshed {
		t.Error("the page does not change while calls go on")
	}
}

const hostileApp = `"><script>document.title='owned'</script>`

// view is what the browser showed.
type view struct {
	Picture, Title, Lang, Body, Background string
	Wider, Scripts                         int
	Refreshed                              bool
}

func (v view) check(t *testing.T) {
	t.Helper()
	title := map[string]string{"en": "powerjob-shim status", "zh": "powerjob-shim 状态"}[v.Lang]
	if v.Title != title || v.Scripts != 1 {
		t.Errorf("%s: the title is %q, and there are %d scripts: the hostile app's ran", v.Picture, v.Title, v.Scripts)
	}
	if v.Wider > 0 {
		t.Errorf("%s: %d pixels wider than the window", v.Picture, v.Wider)
	}
	resent := map[string]string{"en": "re-sent after a login", "zh": "重新登录后重发"}[v.Lang]
	for _, want := range []string{"saveJob", resent, hostileApp, "127.0.0.1"} {
		if !strings.Contains(v.Body, want) {
			t.Errorf("%s: shows no %q:\n%s", v.Picture, want, v.Body)
		}
	}
}

func save(t *testing.T, c *client.Client, i int) {
	t.Helper()
	if r, err := c.Call("saveJob", client.Params{"jobName": fmt.Sprint("job ", i), "appId": 1}); err != nil || !r.Success {
		t.Errorf("saveJob: %v, %q", err, r.Message)
	}
}

// callTwice saves the same job twice as the hostile app.
func callTwice(t *testing.T, address string, i int) {
	t.Helper()
	for range 2 {
		req, err := http.NewRequest(http.MethodPost, "http://"+address+"/openApi/saveJob", strings.NewReader(fmt.Sprintf(`{"appId":1,"jobName":"by a stranger %d"}`, i)))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header["X-POWERJOB-APP-ID"] = []string{hostileApp}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = res.Body.Close()
	}
}
