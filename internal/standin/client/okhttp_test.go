package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestARequestIsWrittenAsOkHttpWritesIt compares with the bytes of a real
// 5.1.0 client's first request.
func TestARequestIsWrittenAsOkHttpWritesIt(t *testing.T) {
	var got bytes.Buffer
	if err := WriteRequest(&got, "127.0.0.1:44775", LoginRequest("app1", "pw")); err != nil {
		t.Fatal(err)
	}
	want := "POST /openApi/authApp HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 93\r\n" +
		"Host: 127.0.0.1:44775\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\nUser-Agent: okhttp/3.14.9\r\n\r\n" +
		`{"appName":"app1","encryptedPassword":"8fe4c11451281c094a6578e6ddbf5eed","encryptType":"md5"}`
	if got.String() != want {
		t.Errorf("sent\n%q\nwant\n%q", got.String(), want)
	}
}

func TestOkHttpRepeatsOnlyWhatItsRulesName(t *testing.T) {
	answer := func(status int, retryAfter string) any {
		r := Response{Status: status}
		if retryAfter != "" {
			r.Header = []Field{{"retry-after", retryAfter}}
		}
		return r
	}
	broken := errors.New("cut")
	for _, c := range []struct {
		name  string
		steps []any // answers and errors, the last one for ever
		sent  int
	}{
		{"an answer", []any{answer(200, "")}, 1},
		{"a stale connection", []any{ErrStaleConnection, ErrStaleConnection, answer(200, "")}, 3},
		{"an error on a new connection", []any{broken}, 1},
		{"408", []any{answer(408, ""), answer(200, "")}, 2},
		{"408 for ever", []any{answer(408, "")}, 2},
		{"408 with Retry-After: 0", []any{answer(408, "0"), answer(200, "")}, 2},
		{"408 with Retry-After: 1", []any{answer(408, "1"), answer(200, "")}, 1},
		{"503", []any{answer(503, ""), answer(200, "")}, 1},
		{"503 with Retry-After: 0", []any{answer(503, "0"), answer(200, "")}, 2},
		{"503 with Retry-After: 0 for ever", []any{answer(503, "0")}, 2},
		{"503 with Retry-After: 1", []any{answer(503, "1"), answer(200, "")}, 1},
		{"503 with a date", []any{answer(503, "Wed, 21 Oct 2026 07:28:00 GMT"), answer(200, "")}, 1},
		{"503, then 408, then 503", []any{answer(503, "0"), answer(408, ""), answer(503, "0"), answer(200, "")}, 4},
		{"500", []any{answer(500, "0"), answer(200, "")}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := 0
			_, _ = Silently(func() (Response, error) {
				step := c.steps[min(sent, len(c.steps)-1)]
				sent++
				if err, failed := step.(error); failed {
					return Response{}, err
				}
				return step.(Response), nil
			})
			if sent != c.sent {
				t.Errorf("sent %d times, want %d", sent, c.sent)
			}
		})
	}
}

func TestAHeaderIsFoundAsInTheJavaMap(t *testing.T) {
	exact, lower := "X-POWERJOB-AUTH-PASSED", "x-powerjob-auth-passed"
	for _, c := range []struct {
		fields []Field
		want   string
	}{
		{nil, ""},
		{[]Field{{exact, "true"}}, "true"},
		{[]Field{{lower, "true"}}, ""},
		{[]Field{{exact, "false"}, {exact, "true"}}, "true"},
		{[]Field{{exact, "true"}, {lower, "false"}}, "false"},
		{[]Field{{lower, "true"}, {exact, "true"}}, ""},
	} {
		if got := (Response{Header: c.fields}).Get(exact); got != c.want {
			t.Errorf("%v: %q, want %q", c.fields, got, c.want)
		}
	}
}

func TestAnAnswerIsReadWithItsNamesInExactCase(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"length":             {"HTTP/1.1 200 OK\r\nX-UPPER: a\r\nx-lower:b\r\nContent-Length: 2\r\n\r\nok", "200 ok X-UPPER=a x-lower=b Content-Length=2"},
		"chunked":            {"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n", "200 ok transfer-encoding=Chunked"},
		"until the end":      {"HTTP/1.0 404 \r\n\r\nok", "404 ok"},
		"continue":           {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200  Content-Length=0"},
		"no content":         {"HTTP/1.1 204 No Content\r\n\r\n", "204 "},
		"bare line feeds":    {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "200 ok Content-Length=2"},
		"cut in the status":  {"HTTP/1.1 2", "unexpected EOF"},
		"cut in the header":  {"HTTP/1.1 200 OK\r\nContent-", "unexpected EOF"},
		"cut in the body":    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "reading the answer's body: unexpected EOF"},
		"cut in a chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "reading the answer's body: unexpected EOF"},
		"cut in the trailer": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "reading the answer's body: unexpected EOF"},
		"garbage":            {"SSH-2.0-OpenSSH\r\n", `unexpected status line: "SSH-2.0-OpenSSH"`},
		"negative length":    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", `reading the answer's body: bad Content-Length "-1"`},
		"endless header":     {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxHeader), "the answer's header is larger than 256 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ReadResponse(bufio.NewReader(strings.NewReader(c.raw)))
			got := fmt.Sprintf("%d %s", a.Status, a.Body)
			for _, f := range a.Header {
				got += " " + f.Name + "=" + f.Value
			}
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCallsAreEncodedAsTheOriginalsDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		p      Params
		v5, v4 string
	}{
		{"runWorkflow", Params{"workflowId": 3, "initParams": "a", "delay": 5},
			"delay=5&initParams=a&appId=1&workflowId=3", "workflowId=3&appId=1&delay=5&initParams=a"},
		{"markWorkflowNodeAsSuccess", Params{"wfInstanceId": 3, "nodeId": 4}, "wfInstanceId=3&appId=1&nodeId=4", "wfInstanceId=3&nodeId=4&appId=1"},
		{"saveJob", Params{"jobName": "a"}, `{"appId":1,"id":null,"jobName":"a"}`, `{"appId":1,"id":null,"jobName":"a"}`},
		{"queryJob", Params{"jobNameEq": "a"}, `{"appIdEq":1,"jobNameEq":"a"}`, `{"appIdEq":1,"jobNameEq":"a"}`},
		{"addWorkflowNode", Params{"nodes": []Params{{"jobId": 1}}}, `[{"appId":1,"id":null,"jobId":1}]`, `[{"appId":1,"id":null,"jobId":1}]`},
	} {
		check := func(version string, r Request, err error, want string) {
			if err != nil || string(r.Body) != want {
				t.Errorf("%s %s: %s, %v; want %s", version, c.name, r.Body, err, want)
			}
		}
		r, err := Encode(c.name, c.p, 1)
		check("5.x", r, err, c.v5)
		r, err = encode4(c.name, c.p, 1)
		check("4.x", r, err, c.v4)
	}
}
