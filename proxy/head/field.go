package head

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// cutField cuts a line of a head into name and value, which is trimmed. ok is false
// where either has a byte that it must not have.
func cutField(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	return name, value, ok && httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
}

// keeper makes a header of fields as net/http does, with two pieces of memory for all
// values.
type keeper struct {
	header http.Header
	values []string // room for one of each
}

// newKeeper has room for the fields in text, and in the header for so many more.
func newKeeper(text string, more int) keeper {
	lines := strings.Count(text, "\n")
	return keeper{make(http.Header, lines+more), make([]string, lines)}
}

// keep adds a field. Its name is canonical.
func (k *keeper) keep(name, value string) {
	if earlier, ok := k.header[name]; ok {
		k.header[name] = append(earlier, value)
		return
	}
	k.values[0] = value
	k.header[name], k.values = k.values[:1:1], k.values[1:]
}
