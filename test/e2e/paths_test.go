package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "record what the real server does instead of comparing it with what is recorded")

// pathCase is one notation of a saveJob call and what a real 4.3.9 server makes
// of it.
type pathCase struct {
	Target      string `json:"target"`
	ContentType string `json:"content_type"`
	Method      string `json:"method,omitempty"` // "": POST
	Status      int    `json:"status"`
	Executed    bool   `json:"executed"` // a job was made
}

// TestTheRealServerRoutesPathsAsRecorded holds the table that the gate is
// tested against offline to the real server.
func TestTheRealServerRoutesPathsAsRecorded(t *testing.T) {
	app := needRealServer(t).newApp(t)
	file := filepath.Join("..", "..", "proxy", "testdata", "paths-4.3.9.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []pathCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	jobs := app.count(t, "/job/list")
	var table bytes.Buffer
	for i, c := range cases {
		body := job(fmt.Sprint("variant ", i))
		body["appId"] = app.id
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		got := c
		got.Status = sendRaw(t, app.server.address, c, content)
		after := app.count(t, "/job/list")
		got.Executed, jobs = after > jobs, after
		if got != c && !*update {
			t.Errorf("%q, %s: the server answers %d, executed %v; recorded are %d, %v", c.Target, c.ContentType, got.Status, got.Executed, c.Status, c.Executed)
		}
		line, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&table, "%s\n  %s", map[bool]string{true: "[", false: ","}[i == 0], line)
	}
	if *update {
		if err := os.WriteFile(file, append(table.Bytes(), "\n]\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// sendRaw sends a case byte for byte and returns the status of the answer.
func sendRaw(t *testing.T, address string, c pathCase, body []byte) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\nContent-Length: %d\r\n", cmp.Or(c.Method, "POST"), c.Target, len(body))
	if c.ContentType != "" {
		head += "Content-Type: " + c.ContentType + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"+string(body)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: cmp.Or(c.Method, "POST")})
	if err != nil {
		t.Fatalf("%q: %v", c.Target, err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode
}
