package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/children"
	"powerjob-shim/internal/freeport"
)

// realServer is the one PowerJob server 4.3.9 that all tests of a run share;
// each test registers an app of its own there.
type realServer struct {
	address string

	// first are apps whose ids have one digit each: it is the same number however it
	// is read.
	first [2]realApp
}

var (
	realServerCmd  atomic.Pointer[exec.Cmd]
	realServerApps atomic.Int64
)

// needRealServer starts the server, unless it runs already. It takes 10 to 30
// seconds and needs java and mvn.
func needRealServer(t testing.TB) *realServer {
	t.Helper()
	path := classpath(t, "server-4.3.9")
	startRealServerOnce.Do(func() {
		if theRealServer, errRealServer = startRealServer(path); errRealServer == nil {
			theRealServer.first = [2]realApp{theRealServer.newApp(t), theRealServer.newApp(t)}
		}
	})
	if errRealServer != nil {
		t.Fatal(errRealServer)
	}
	return theRealServer
}

var (
	startRealServerOnce sync.Once
	theRealServer       *realServer
	errRealServer       error
)

// startRealServer runs tech.powerjob:powerjob-server-starter:4.3.9 on an H2
// database, with nothing of MySQL, mail or akka that its defaults ask for.
func startRealServer(path string) (*realServer, error) {
	dir := filepath.Join(scratch, "server")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	args := []string{
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx768m",
		"--add-opens", "java.base/java.lang=ALL-UNNAMED",
		"-Dpowerjob.network.local.address=127.0.0.1",
		"-Duser.home=" + dir, // it keeps files and logs there
		"-cp", path, "tech.powerjob.server.PowerJobServerApplication",
		"--server.address=127.0.0.1", "--server.port=" + ports[0],
		"--spring.profiles.active=product",
		"--spring.datasource.core.driver-class-name=org.h2.Driver",
		"--spring.datasource.core.jdbc-url=jdbc:h2:file:" + filepath.Join(dir, "db") + ";MODE=MySQL;DB_CLOSE_DELAY=-1",
		"--spring.datasource.core.username=sa", "--spring.datasource.core.password=",
		"--spring.jpa.database-platform=org.hibernate.dialect.H2Dialect", "--spring.jpa.hibernate.ddl-auto=update",
		"--oms.storage.dfs.mysql_series.driver=", "--oms.storage.dfs.mysql_series.url=", "--oms.storage.dfs.mysql_series.auto_create_table=false",
		"--oms.transporter.active.protocols=HTTP", "--oms.http.port=" + ports[1], "--oms.akka.port=" + ports[2],
		"--oms.swagger.enable=false",
	}
	cmd := exec.Command("java", args...)
	cmd.Stdout, cmd.Stderr = log, log
	children.DieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	realServerCmd.Store(cmd)
	s := &realServer{address: "127.0.0.1:" + ports[0]}
	for end := time.Now().Add(3 * patience); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get("http://" + s.address + "/appInfo/list?condition=")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("the real server did not start: %w\n%s", err, text[max(0, len(text)-4000):])
		}
	}
}

func stopRealServer() {
	if cmd := realServerCmd.Load(); cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func freePorts(n int) (ports []string, err error) {
	for range n {
		port, err := freeport.Take()
		if err != nil {
			return nil, err
		}
		ports = append(ports, strconv.Itoa(port))
	}
	return ports, nil
}

// realApp is a fresh app on the real server.
type realApp struct {
	account
	id     int64
	server *realServer
}

func (s *realServer) newApp(t testing.TB) realApp {
	t.Helper()
	a := realApp{account: account{fmt.Sprintf("app-%d", realServerApps.Add(1)), "pw"}, server: s}
	s.post(t, "/appInfo/save", "application/json", fmt.Sprintf(`{"appName":%q,"password":%q}`, a.name, a.password), nil)
	s.post(t, "/openApi/assert", "application/x-www-form-urlencoded",
		url.Values{"appName": {a.name}, "password": {a.password}}.Encode(), &a.id)
	return a
}

// count asks the server how many rows its own pages would list for the app:
// /job/list, /instance/list, /workflow/list or /wfInstance/list.
func (a realApp) count(t *testing.T, list string) int {
	t.Helper()
	var page struct{ TotalItems int }
	a.server.post(t, list, "application/json", fmt.Sprintf(`{"appId":%d,"index":0,"pageSize":10,"type":"NORMAL"}`, a.id), &page)
	return page.TotalItems
}

func (s *realServer) post(t testing.TB, path, contentType, body string, data any) {
	t.Helper()
	res, err := http.Post("http://"+s.address+path, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	readAnswer(t, path, res, data)
}

func (s *realServer) get(t testing.TB, path string, data any) {
	t.Helper()
	res, err := http.Get("http://" + s.address + path)
	if err != nil {
		t.Fatal(err)
	}
	readAnswer(t, path, res, data)
}

// readAnswer reads the data of a server's answer, which must tell of success.
func readAnswer(t testing.TB, path string, res *http.Response, data any) {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	var answer struct {
		Success bool
		Data    json.RawMessage
	}
	if err = errors.Join(err, json.NewDecoder(bytes.NewReader(text)).Decode(&answer)); err != nil || !answer.Success {
		t.Fatalf("%s: %s %s %v", path, res.Status, text, err)
	}
	if data != nil {
		if err := json.Unmarshal(answer.Data, data); err != nil {
			t.Fatal(err)
		}
	}
}
