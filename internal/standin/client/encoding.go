package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"powerjob-shim/internal/wireclient"
)

// Params are a call's parameters: numbers, strings, booleans, nil, and for
// JSON calls also slices and maps. addWorkflowNode takes its nodes as
// Params{"nodes": []Params{...}}.
type Params map[string]any

// Result is the server's envelope.
type Result struct {
	Success bool
	Data    json.RawMessage
	Message string
	Code    string
}

// ID returns data as a number, 0 where it is not a number.
func (r Result) ID() int64 {
	var id int64
	if json.Unmarshal(r.Data, &id) != nil {
		return 0
	}
	return id
}

func readResult(r Response) (Result, error) {
	var v struct {
		Success bool            `json:"success"`
		Data    json.RawMessage `json:"data"`
		Message *string         `json:"message"`
		Code    *string         `json:"code"`
	}
	if err := json.Unmarshal(r.Body, &v); err != nil {
		return Result{}, fmt.Errorf("reading the answer: %w", err)
	}
	result := Result{Success: v.Success, Data: v.Data}
	if v.Message != nil {
		result.Message = *v.Message
	}
	if v.Code != nil {
		result.Code = *v.Code
	}
	return result, nil
}

// decode reads the data of an answer that must be a success.
func decode(r Response, data any) error {
	result, err := readResult(r)
	if err != nil {
		return err
	}
	if !result.Success {
		return fmt.Errorf("AUTH_FAILED_%s", result.Message)
	}
	if err := json.Unmarshal(result.Data, data); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// appIDNames has the name under which each JSON call carries the app id. All other
// calls are forms.
var appIDNames = map[string]string{
	"saveJob": "appId", "saveWorkflow": "appId", "addWorkflowNode": "appId", "runJob2": "appId",
	"queryJob": "appIdEq", "queryInstance": "appIdEq",
}

// Encode builds a call as 5.1.0's PowerJobClient does, runJob2 as 5.1.2's does,
// without the two header fields of a logged-in app.
func Encode(name string, p Params, appID int64) (Request, error) {
	return encodeCall(name, p, appID, hashMapOrder)
}

// encode4 builds a call as 4.x does: its content is the same, and its form is in the
// order in which the parameters were put.
func encode4(name string, p Params, appID int64) (Request, error) {
	return encodeCall(name, p, appID, writtenOrder)
}

func encodeCall(name string, p Params, appID int64, order func([]string) []string) (Request, error) {
	r := Request{Path: "/openApi/" + name}
	if idName, isJSON := appIDNames[name]; isJSON {
		var v any = object(name, p, idName, appID)
		if name == "addWorkflowNode" {
			list := []Params{}
			nodes, ok := p["nodes"].([]Params)
			if !ok {
				return Request{}, fmt.Errorf("%s needs its nodes as []Params", name)
			}
			for _, node := range nodes {
				list = append(list, object(name, node, idName, appID))
			}
			v = list
		}
		body, err := json.Marshal(v)
		if err != nil {
			return Request{}, fmt.Errorf("encoding %s: %w", name, err)
		}
		r.ContentType, r.Body = wireclient.JSON, body
		return r, nil
	}
	p = maps.Clone(p)
	if p == nil {
		p = Params{}
	}
	p["appId"] = appID
	var pairs []string
	for _, key := range order(slices.Sorted(maps.Keys(p))) {
		if p[key] != nil {
			pairs = append(pairs, formEscape(key)+"="+formEscape(fmt.Sprint(p[key])))
		}
	}
	r.ContentType, r.Body = wireclient.FormValues, []byte(strings.Join(pairs, "&"))
	return r, nil
}

// object adds the app id and, for calls that may create something, the id: null if
// the caller gives none.
func object(name string, p Params, idName string, appID int64) Params {
	o := Params{}
	if !strings.HasPrefix(name, "query") && name != "runJob2" {
		o["id"] = nil
	}
	maps.Copy(o, p)
	o[idName] = appID
	return o
}

// hashMapOrder sorts a few string keys as Java's HashMap (16 buckets) lists them,
// which is the order in which formObj.forEach writes the form. Within a bucket it is
// the order in which the keys were put.
func hashMapOrder(keys []string) []string {
	bucket := func(s string) uint32 { // String.hashCode, then HashMap.hash
		var h uint32
		for _, unit := range utf16.Encode([]rune(s)) {
			h = 31*h + uint32(unit)
		}
		return (h ^ h>>16) & 15
	}
	keys = writtenOrder(keys)
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(bucket(a), bucket(b)) })
	return keys
}

func writtenOrder(keys []string) []string {
	order := []string{"jobId", "instanceId", "workflowId", "wfInstanceId", "nodeId", "appId", "delay", "instanceParams", "initParams"}
	slices.SortStableFunc(keys, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return keys
}

// formEscape is the encoding of OkHttp's FormBody.Builder.add: a space is %20.
func formEscape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '*':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
