package metrics

import "strconv"

// Code is the value of the label "code" for an HTTP status; "error" for a number
// that is not one (RFC 9110, 15: 100 to 599), such as 0 if no
// answer came. It does not allocate.
func Code(status int) string {
	if status < 100 || status > 599 {
		return "error"
	}
	return codes[status-100]
}

var codes = func() (c [500]string) {
	for i := range c {
		c[i] = strconv.Itoa(100 + i)
	}
	return c
}()
