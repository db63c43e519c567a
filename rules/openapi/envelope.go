package openapi

import (
	"encoding/json"
	"strconv"
)

// Succeeded reports whether an answer's envelope says success:true. An answer
// that is not a JSON object did not succeed.
func Succeeded(answer []byte) bool {
	v, _ := field(answer, "success")
	return string(v) == "true"
}

// Created returns the things whose ids a successful answer's data tells: a
// number, an object with an id, or an array of these.
// It is empty where the call creates nothing or the data names no id, and ends
// at maxSubjects: no request that could be read makes more.
func (c *Call) Created(answer []byte) []Subject {
	if c.Creates == NoSubject {
		return nil
	}
	data, _ := field(answer, "data")
	var made []Subject
	add := func(v []byte) bool {
		if raw, ok := field(v, "id"); ok {
			v = raw
		}
		if id, ok := integer(v); ok && len(made) < maxSubjects {
			made = append(made, Subject{c.Creates, id})
		}
		return true
	}
	if !elements(data, add) {
		add(data)
	}
	return made
}

// Issued is what a successful authApp answer gives to the client.
type Issued struct {
	AppID string // the digits of data.appId, or its text where it is a string
	Token string
}

// IssuedBy reads an authApp answer. ok is false for a refusal, and for an
// answer without an app id or a token.
func IssuedBy(answer []byte) (Issued, bool) {
	if !Succeeded(answer) {
		return Issued{}, false
	}
	data, _ := field(answer, "data")
	app, _ := field(data, "appId")
	token, _ := field(data, "token")
	if _, ok := integer(app); !ok || len(token) < 3 || token[0] != '"' {
		return Issued{}, false
	}
	if app[0] == '"' {
		app = app[1 : len(app)-1]
	}
	return Issued{AppID: string(app), Token: string(token[1 : len(token)-1])}, true
}

// AssertedApp reads the answer of assert, which is the app's id. ok is false
// for a refusal.
func AssertedApp(answer []byte) (id string, ok bool) {
	if !Succeeded(answer) {
		return "", false
	}
	data, _ := field(answer, "data")
	n, ok := integer(data)
	return strconv.FormatInt(n, 10), ok
}

// Message returns the message of an answer's envelope; "" where it has none.
func Message(answer []byte) string {
	var message string
	if raw, ok := field(answer, "message"); !ok || json.Unmarshal(raw, &message) != nil {
		return ""
	}
	return message
}
