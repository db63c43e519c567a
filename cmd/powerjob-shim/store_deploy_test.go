package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/shimtest"
	"powerjob-shim/internal/standin/legacy"
)

const (
	storePassword = "0123456789abcdef"
	storeKeys     = "0123456789abcdef0123456789abcdef"
)

// The store's command in the manifests, and the shims' configuration there, with the
// Redis or Valkey that is installed.
func TestTheManifestsShimsAndStoreWorkTogether(t *testing.T) {
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	decodeFile(t, "../../configs/kubernetes/shared-store/valkey.yaml", &deployment) // the first document
	script := deployment.Spec.Template.Spec.Containers[0].Args[0]
	if !strings.HasPrefix(script, "exec valkey-server ") {
		t.Fatalf("the store is started with %s", script)
	}
	// The shell prints the command with which it would start the server.
	split := exec.Command("sh", "-c", strings.Replace(script, "exec valkey-server", `printf '%s\0'`, 1))
	split.Env = []string{"PATH=" + os.Getenv("PATH"), "STORE_PASSWORD=" + storePassword}
	args, err := split.Output()
	if err != nil {
		t.Fatal(err)
	}
	store := redistest.Start(t, strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")...)

	upstream := legacyServer(t)
	shim, err := os.ReadFile("../../configs/kubernetes/shared-store/shim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("powerjob-shim-store:6379", store.Addr, "http://powerjob-server:7700", upstream).Replace(string(shim))
	shareACall(t, []string{"STORE_PASSWORD=" + storePassword, "STORE_KEYS=" + storeKeys},
		"--config", writeFile(t, filepath.Join(t.TempDir(), "shim.yaml"), config))

	// Nobody else can log in, and the shims' user can do only what it needs.
	if got, err := store.Do("PING"); err == nil {
		t.Errorf("without a password: %s", got)
	}
	store.User, store.Password = "shim", storePassword
	for _, command := range [][]any{{"FLUSHALL"}, {"KEYS", "*"}, {"GET", "another"}, {"CONFIG", "GET", "*"}} {
		if got, err := store.Do(command...); err == nil {
			t.Errorf("%v: %s", command, got)
		}
	}
}

func TestTheComposeFilesShimsAndStoreWorkTogether(t *testing.T) {
	var file struct {
		Shim struct {
			Environment map[string]string
		} `yaml:"x-shim"`
		Services map[string]struct {
			Command []string
		}
	}
	decodeFile(t, "../../configs/compose/shared-store.yaml", &file)
	fill := func(s string) string {
		return strings.ReplaceAll(s, "${STORE_PASSWORD:?choose one}", storePassword)
	}
	var args []string
	for _, a := range file.Services["store"].Command[1:] {
		args = append(args, fill(a))
	}
	store := redistest.Start(t, args...)
	var environ []string
	for name, value := range file.Shim.Environment {
		environ = append(environ, name+"="+strings.Replace(fill(value), "store:6379", store.Addr, 1))
	}
	shareACall(t, environ, "--upstream", legacyServer(t))
	if got, err := store.Do("PING"); err == nil {
		t.Errorf("without a password: %s", got)
	}
}

func decodeFile(t *testing.T, name string, into any) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := yaml.NewDecoder(f).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func legacyServer(t *testing.T) (url string) {
	t.Helper()
	server := legacy.New(legacy.Options{Mode: legacy.Legacy})
	url, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return url
}

// shareACall checks that two shims with a configuration answer equal saves as one.
func shareACall(t *testing.T, environ []string, args ...string) {
	t.Helper()
	one, two := start(t, environ, args...), start(t, environ, args...)
	if a, b := saveOne(t, one), saveOne(t, two); a != "forwarded" || b != "replayed" {
		t.Errorf("the first shim %s, the second %s", a, b)
	}
	for _, p := range []*shimtest.Process{one, two} {
		if code, body := get(t, "http://"+p.Admin+"/readyz"); code != http.StatusOK || strings.Contains(body, "redis") {
			t.Errorf("/readyz: %d %s", code, body)
		}
	}
}

// saveOne sends a saveJob, always the same, and returns the shim's decision.
func saveOne(t *testing.T, p *shimtest.Process) string {
	t.Helper()
	res, err := http.Post("http://"+p.Listen+"/openApi/saveJob", "application/json", strings.NewReader(`{"jobName":"one","appId":1}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.Header.Get("X-Powerjob-Shim")
}
