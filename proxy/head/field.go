package head

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// cutField cuts a line of a head into its name, which it makes canonical, and its
// value, which is trimmed. ok is false where either has a byte that it must not have.
func cutField(line string) (name, value string, ok bool) {
	name, value, found := strings.Cut(line, ":")
	name, ok = fieldName(name)
	value = trim(value)
	return name, value, found && ok && httpguts.ValidHeaderFieldValue(value)
}

// trim is strings.Trim(value, " \t").
func trim(value string) string {
	for value != "" && blank(value[0]) {
		value = value[1:]
	}
	for value != "" && blank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// keeper makes a header of fields as net/http does, with two pieces of memory for all
// values.
type keeper struct {
	header http.Header
	values []string // room for one of each
}

// newKeeper has room for the fields in text.
func newKeeper(text string) keeper {
	lines := strings.Count(text, "\n")
	return keeper{make(http.Header, lines), make([]string, lines)}
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
