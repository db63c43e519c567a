package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"powerjob-shim/rules/openapi"
)

// recording is what a real server was seen to read as a call's app; the gate is
// held against it (proxy, TestTheGateJudgesWhatARealServerReads). To make it anew:
//
//	POWERJOB_SHIM_RECORD=1 go test ./test/e2e -run TestARealServerReadsAppsAsRecorded
const recording = "../../proxy/testdata/apps-4.3.9.json"

// appRead is one request and what became of it. The caller's app is 1, the other
// one 2, whatever their numbers were.
type appRead struct {
	Call  string `json:"call"`
	Query string `json:"query,omitempty"`
	Type  string `json:"type,omitempty"`
	Body  []byte `json:"body,omitempty"`
	// Reads is "1", "2", "1,2" or "all"; "none": no app; "refused": the request could
	// not be read; "ignored": whatever it says about an app does not count.
	Reads string `json:"reads"`
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// formVariants are ways to name apps in a form.
func formVariants(mine, theirs string) []appRead {
	form := func(body string) appRead { return appRead{Type: formType, Body: []byte(body)} }
	in := func(query, body string) appRead { return appRead{Query: query, Type: formType, Body: []byte(body)} }
	all := []appRead{
		{}, {Query: "appId=" + mine}, {Query: "appId=" + theirs},
		{Type: formType, Query: "appId=" + mine},
		in("appId="+mine, "appId="+theirs), in("appId="+theirs, "appId="+mine), in("appId=", "appId="+theirs), in("APPID="+mine, "appId="+theirs),
		{Type: "text/plain", Body: []byte("appId=" + theirs)},
		{Type: jsonType, Body: []byte(`{"appId":` + theirs + `}`)},
		{Type: formType + ";charset=UTF-8", Body: []byte("appId=" + theirs)},
		{Type: formType + ";charset=UTF-16", Body: []byte("appId=" + theirs)},
		{Type: "Application/X-WWW-Form-UrlEncoded", Body: []byte("appId=" + theirs)},
		{Type: "multipart/form-data; boundary=b", Body: multipart("appId", theirs)},
		{Query: "appId=" + mine, Type: "multipart/form-data; boundary=b", Body: multipart("appId", theirs)},
	}
	for _, body := range []string{
		"appId=" + mine, "appId=" + theirs, "appId=" + mine + "&appId=" + theirs, "appId=" + theirs + "&appId=" + mine,
		"appId=&appId=" + theirs, "appId=" + mine + "&appId=", "APPID=" + theirs, "appid=" + mine, "appIdEq=" + theirs,
		"APPID=" + theirs + "&appId=" + mine, "appIdEq=" + theirs + "&appId=" + mine, "appId", "appId=", "appId=null",
		"appId=0" + theirs, "appId=0x" + theirs, "appId=%23" + theirs, "appId=%20" + theirs + "%20", "appId=+" + theirs, "appId=%2B" + theirs,
		"%61ppId=" + theirs, "app%49d=" + theirs, "appId=" + theirs + ".0", "appId=" + theirs + "L", "appId=" + mine + "," + theirs,
		"appId=" + fullWidth(theirs), "appId=" + mine + ";appId=" + theirs, "appId=%zz&appId=" + theirs, "appId=" + mine + "&%zz=1",
		"appId=" + mine + "%00", "appId%00=" + theirs, "appId%20=" + theirs, "%20appId=" + theirs, "appId[]=" + theirs, "appId[0]=" + theirs,
		"app-id=" + theirs, "app_id=" + theirs, "_appId=" + theirs, "!appId=" + theirs, "&&appId=" + theirs + "&&", "appId=-" + theirs,
		"\xef\xbb\xbfappId=" + theirs,
	} {
		all = append(all, form(body))
	}
	return all
}

func multipart(name, value string) []byte {
	return []byte("--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n--b--\r\n")
}

// fullWidth writes a number in digits that Java takes for digits.
func fullWidth(number string) string {
	var b strings.Builder
	for _, c := range number {
		b.WriteRune('０' + c - '0')
	}
	return b.String()
}

// jsonVariants are ways to name apps in JSON, in the field that the server reads.
func jsonVariants(field, mine, theirs string) []appRead {
	other := map[string]string{"appId": "appIdEq", "appIdEq": "appId"}[field]
	var all []appRead
	for _, object := range []string{
		`{}`, `{"F":1}`, `{"F":2}`, `{"F":"1"}`, `{"F":"2"}`, `{"F":" 2 "}`, `{"F":"02"}`, `{"F":"0x2"}`, `{"F":""}`, `{"F":" "}`, `{"F":"null"}`, `{"F":null}`,
		`{"F":2.0}`, `{"F":2.9}`, `{"F":"2.0"}`, `{"F":2e0}`, `{"F":-2}`, `{"F":"+2"}`, `{"F":02}`, `{"F":true}`, `{"F":[2]}`, `{"F":{"F":2}}`, `{"F":{}}`,
		`{"F":1,"F":2}`, `{"F":2,"F":1}`, `{"F":1,"F":null}`, `{"F":null,"F":1}`, `{"F":null,"F":2}`, `{"F":2,"F":""}`,
		`{"O":1}`, `{"O":2}`, `{"F":1,"O":2}`, `{"F":null,"O":1}`, `{"UPPER":1}`, `{"UPPER":2}`, `{"F":1,"UPPER":2}`, `{"lower":2}`, `{"F":1,"lower":2}`, `{"Title":2}`,
		`{"\u0061ppIdE":2}`, `{"\u0061ESCAPED":2}`, `{"F":1,"\u0061ESCAPED":2}`, `{"\u0061ESCAPED":1,"F":2}`, `{"F":"\u0032"}`,
		`{"x":{"F":2},"F":1}`, `{"F":1,"x":{"F":2}}`, `{"x":"\",\"F\":2","F":1}`, `{'F':2}`, `{F:2}`, `{"F":1/**/}`, `/**/{"F":2}`, `{"F":2,}`,
		`{"F":1} {"F":2}`, `{"F":2} x`, "\xef\xbb\xbf" + `{"F":2}`, "\xef\xbb\xbf" + `{"F":1}`, " \t\r\n" + `{ "F" : 2 }`, "\f" + `{"F":2}`,
		`{"F":9223372036854775807}`, `{"F":18446744073709551618}`, `{"F":1e400}`, `{"F":2.00000000000000000000000000000000000001}`,
		`{"F":"` + "２" + `"}`, `{"app_id":2}`, `{"app-id":2}`, `{"appID":2}`, `{"F ":2}`, `{"F\u0000":2}`, `[{"F":2}]`, `[]`, `null`, ``, `{"F":NaN}`, `{"F":0002}`, `{"F":1,"x":"` + "\xff" + `"}`,
	} {
		all = append(all, appRead{Type: jsonType, Body: []byte(object)})
	}
	for _, v := range []appRead{
		{Query: "F=1", Body: []byte(`{}`)}, {Query: "F=2", Body: []byte(`{"F":1}`)}, {Query: "F=1", Body: []byte(`{"F":2}`)}, {Query: "appId=1", Body: []byte(`{}`)},
		{Query: "O=2", Body: []byte(`{"F":1}`)},
		{Type: "application/x+json", Body: []byte(`{"F":2}`)}, {Type: "application/x+json", Body: []byte(`{"F":1}`)}, {Type: "APPLICATION/JSON;charset=utf-8", Body: []byte(`{"F":2}`)},
		{Type: "text/plain", Body: []byte(`{"F":2}`)}, {Type: formType, Body: []byte(`{"F":2}`)}, {Type: formType, Body: []byte(`F=2`)}, {Type: "application/xml", Body: []byte(`<a><F>2</F></a>`)},
		{Type: "application/cbor", Body: []byte("\xa1\x65appId\x02")},
		{Body: wide(`{"F":2}`, field)}, {Type: "application/json;charset=utf-16", Body: wide(`{"F":2}`, field)}, {Type: "application/json;charset=utf-8", Body: wide(`{"F":2}`, field)},
		{Type: "application/json;charset=ibm037", Body: []byte(`{"F":2}`)}, {Type: "application/json;charset=nonsense", Body: []byte(`{"F":2}`)},
		{Type: "application/json;charset=iso-8859-1", Body: []byte(`{"F":2}`)}, {Type: "text/json", Body: []byte(`{"F":2}`)},
	} {
		if v.Type == "" {
			v.Type = jsonType
		}
		all = append(all, v)
	}
	apps := strings.NewReplacer("1", mine, "2", theirs)
	for i, v := range all {
		names := strings.NewReplacer("UPPER", strings.ToUpper(field), "lower", strings.ToLower(field), "Title", "A"+field[1:], "ESCAPED", field[1:], "F", field, "O", other)
		escapes := strings.NewReplacer(`\u0061`, `\u0061`, `\u0032`, escaped(theirs), `\u0000`, `\u0000`, "９", "９", "iso-8859-1", "iso-8859-1")
		if !strings.Contains(v.Type, "16") { // wide has done it
			v.Body = []byte(names.Replace(replaceApps(string(v.Body), apps, escapes)))
		}
		v.Query = names.Replace(apps.Replace(v.Query))
		all[i] = v
	}
	return all
}

// replaceApps puts the apps' numbers in where 1 and 2 stand for them.
func replaceApps(s string, apps, escapes *strings.Replacer) string {
	for _, keep := range []string{"9223372036854775807", "18446744073709551618"} {
		if strings.Contains(s, keep) {
			return s
		}
	}
	if strings.Contains(s, `\u`) {
		parts := strings.Split(s, `\u`)
		for i, p := range parts {
			if i == 0 {
				parts[i] = apps.Replace(p)
			} else {
				parts[i] = p[:4] + apps.Replace(p[4:])
			}
		}
		return escapes.Replace(strings.Join(parts, `\u`))
	}
	return apps.Replace(s)
}

// escaped writes a number in JSON escapes.
func escaped(number string) string {
	var b strings.Builder
	for _, c := range number {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

func wide(s, field string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(strings.ReplaceAll(s, "F", field))) {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}

// TestARealServerReadsAppsAsRecorded sends every variant of every call to a real
// 4.3.9 server, and compares what it read with the recording.
func TestARealServerReadsAppsAsRecorded(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	var got []appRead
	for _, call := range openapi.Calls() {
		if call.Kind == openapi.Login || o.ask[call.Name] == nil {
			continue
		}
		for _, v := range o.variants(call, "1", "2") {
			v.Call = call.Name
			got = append(got, v)
		}
		sent := o.variants(call, fmt.Sprint(o.mine.id), fmt.Sprint(o.theirs.id))
		for i := range sent {
			got[len(got)-len(sent)+i].Reads = o.ask[call.Name](sent[i])
		}
	}
	if len(got) < 100 {
		t.Fatalf("only %d variants", len(got))
	}
	text := lineByLine(t, got)
	if os.Getenv("POWERJOB_SHIM_RECORD") != "" {
		if err := os.WriteFile(filepath.FromSlash(recording), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.FromSlash(recording))
	if err != nil {
		t.Fatal(err)
	}
	recorded, now := strings.Split(string(want), "\n"), strings.Split(string(text), "\n")
	if len(recorded) != len(now) {
		t.Fatalf("%d lines were recorded in %s, now they are %d", len(recorded), recording, len(now))
	}
	for i := range now {
		if now[i] != recorded[i] {
			t.Errorf("%s:%d: the server reads the app in another way than was recorded:\n%s\nnow:\n%s", recording, i+1, recorded[i], now[i])
		}
	}
	t.Logf("%d variants", len(got))
}

// lineByLine is a JSON array with a line for each request.
func lineByLine(t *testing.T, all []appRead) []byte {
	t.Helper()
	var b strings.Builder
	for i, v := range all {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(map[bool]string{true: "[\n", false: ",\n"}[i == 0] + string(line))
	}
	return []byte(b.String() + "\n]\n")
}

// send posts a variant with more parameters in its query and returns the answer.
func (o *oracle) send(call string, v appRead, extra string) (answer struct {
	Success bool
	Data    json.RawMessage
	Message string
}) {
	o.t.Helper()
	query := strings.Trim(extra+"&"+v.Query, "&")
	r, err := http.NewRequest(http.MethodPost, "http://"+o.server.address+"/openApi/"+call+"?"+query, strings.NewReader(string(v.Body)))
	if err != nil {
		o.t.Fatal(err)
	}
	if v.Type != "" {
		r.Header.Set("Content-Type", v.Type)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	_ = json.Unmarshal(text, &answer) // what is not JSON did not succeed
	if answer.Message == "" && !answer.Success {
		answer.Message = res.Status
	}
	return answer
}
