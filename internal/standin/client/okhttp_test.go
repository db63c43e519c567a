package client

import (
	"bytes"
	"errors"
	"testing"

	"powerjob-shim/internal/wireclient"
)

// TestARequestIsWrittenAsOkHttpWritesIt compares with the bytes of a real
// 5.1.0 client's first request.
func TestARequestIsWrittenAsOkHttpWritesIt(t *testing.T) {
	var got bytes.Buffer
	if err := WriteRequest(&got, "127.0.0.1:44775", wireclient.Login("app1", "pw")); err != nil {
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
			r.Header = []Field{{Name: "retry-after", Value: retryAfter}}
		}
		return r
	}
	broken := errors.New("cut")
	for _, c := range []struct {
		name  string
		steps []any // answers and errors; the last one is repeated for ever
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
