package legacy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// params are a call's parameters: a form, or the fields of a JSON object. Of a JSON
// array, list has the params of each item.
type params struct {
	form   map[string]string
	object map[string]json.RawMessage
	list   []params
}

var errUnreadable = throw("HttpMessageNotReadableException: JSON parse error")

func parse(wantsJSON bool, in Input) (params, error) {
	if !wantsJSON {
		return params{form: in.Params}, nil
	}
	if in.JSON == nil {
		return params{}, throw("HttpMediaTypeNotSupportedException: Content type not supported")
	}
	if body := bytes.TrimSpace(in.JSON); len(body) > 0 && body[0] == '[' {
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(body, &list); err != nil {
			return params{}, errUnreadable
		}
		p := params{list: []params{}}
		for _, object := range list {
			p.list = append(p.list, params{object: object})
		}
		return p, nil
	}
	var p params
	if err := json.Unmarshal(in.JSON, &p.object); err != nil || p.object == nil {
		return params{}, errUnreadable
	}
	return p, nil
}

// text returns a parameter as text; "" if it is missing or null.
func (p params) text(name string) string {
	if p.object == nil {
		return p.form[name]
	}
	var s string
	raw := p.object[name]
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// id returns a number. Nil: it is missing, null or empty.
func (p params) id(name string) (*int64, error) {
	s := strings.TrimSpace(p.text(name))
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, throw("MethodArgumentTypeMismatchException: Failed to convert value of type 'java.lang.String' to required type "+
			"'java.lang.Long'; nested exception is java.lang.NumberFormatException: For input string: \"%s\"", s)
	}
	return &n, nil
}

// need returns a number, and an error if it is missing.
func (p params) need(name string) (int64, error) {
	n, err := p.id(name)
	if err != nil {
		return 0, err
	}
	if n == nil {
		return 0, throw("NullPointerException: %s", name)
	}
	return *n, nil
}

// owned returns the id that a call names and the app id.
func (p params) owned(name string) (id, app int64, err error) {
	if id, err = p.need(name); err != nil {
		return 0, 0, err
	}
	app, err = p.need("appId")
	return id, app, err
}

// spec is the JSON object without its ids and nulls, keys sorted.
func (p params) spec() string {
	object := map[string]any{}
	for name, raw := range p.object {
		var v any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if name == "id" || name == "appId" || d.Decode(&v) != nil || v == nil {
			continue
		}
		object[name] = v
	}
	return string(encode(object))
}

// canonical returns a text that is the same for equal parameters, whatever their
// order.
func (p params) canonical() string {
	switch {
	case p.list != nil:
		var parts []string
		for _, e := range p.list {
			parts = append(parts, e.canonical())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case p.object != nil:
		return "id=" + p.text("id") + " appId=" + p.text("appId") + " " + p.spec()
	}
	var parts []string
	for name, v := range p.form {
		parts = append(parts, name+"="+strconv.Quote(v))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
