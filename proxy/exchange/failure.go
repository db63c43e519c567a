package exchange

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// ServerContentType is the Content-Type of a 5.x server's answers.
const ServerContentType = "application/json;charset=utf-8"

// envelope is how PowerJob wraps every answer (tech.powerjob.common.response.ResultDTO).
type envelope struct {
	Success bool   `json:"success"`
	Data    any    `json:"data"`
	Message string `json:"message"`
}

// Fail answers with an error of the shim's own, in the envelope that PowerJob's clients
// read. message says what is wrong and what to do; of the shim's environment it must
// tell callers no more than a server's host:port.
func (ex *Exchange) Fail(w http.ResponseWriter, status int, message string) {
	ex.Unanswered = ""
	ex.answerError(w, status, message)
}

// answerError is Fail, but leaves ex.Unanswered alone.
func (ex *Exchange) answerError(w http.ResponseWriter, status int, message string) {
	ex.FromUpstream = false
	body, _ := json.Marshal(envelope{Message: "powerjob-shim: " + message}) // strings always marshal
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller who has hung up needs no answer
}
