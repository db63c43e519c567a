package address

import (
	"slices"
	"strings"
	"testing"
)

func TestAnAddressIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string][3]string{ // base, address, prefix
		"http://10.0.0.1:7700":                {"http://10.0.0.1:7700", "10.0.0.1:7700", ""},
		"10.0.0.1:7700":                       {"http://10.0.0.1:7700", "10.0.0.1:7700", ""},
		"localhost:7700":                      {"http://localhost:7700", "localhost:7700", ""},
		"powerjob-server:7700/pj":             {"http://powerjob-server:7700/pj", "powerjob-server:7700", "/pj"},
		"[::1]:7700":                          {"http://[::1]:7700", "[::1]:7700", ""},
		"http://x":                            {"http://x", "x:80", ""},
		"https://powerjob.example.com":        {"https://powerjob.example.com", "powerjob.example.com:443", ""},
		"https://powerjob.example.com/pj/":    {"https://powerjob.example.com/pj", "powerjob.example.com:443", "/pj"},
		"http://10.0.0.1:7700/pj/openApi":     {"http://10.0.0.1:7700/pj", "10.0.0.1:7700", "/pj"},
		"http://10.0.0.1:7700/openApi/#login": {"http://10.0.0.1:7700", "10.0.0.1:7700", ""},
	} {
		s, err := Parse(text)
		if err != nil || [3]string{s.Base(), s.Address, s.Prefix} != want {
			t.Errorf("%s: %s %s %s, %v; want %v", text, s.Base(), s.Address, s.Prefix, err, want)
		}
	}
}

func TestWhatIsNoAddressIsRefusedWithACureAndWithoutItsSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "write the server's address such as http://10.0.0.1:7700",
		"powerjob":              `"powerjob" has neither a port nor http://; write powerjob:7700, or http://powerjob for port 80`,
		"ftp://x":               "write the server's address",
		"http://":               "write the server's address",
		"http://x/?a=b":         "write the server's address",
		"http://u:secret@x":     "***@x",
		"u:secret@x:7700":       "***@x",
		"http://[::1":           "reading the URL",
		"http://x:port":         "reading the URL",
		"http://u:secret@x:zzz": "***@x",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestAListIsTakenApartWhereverItsCommasAre(t *testing.T) {
	got := List([]string{"10.0.0.1:7700, 10.0.0.2:7700", "https://c", "what?"})
	if want := []string{"http://10.0.0.1:7700", "http://10.0.0.2:7700", "https://c", "what?"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := ParseList([]string{"10.0.0.1:7700,"}); err == nil {
		t.Error("an address behind a comma is missing, and nothing is said")
	}
}

func TestALocalListenerIsReachedOverLoopback(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:9700/": "127.0.0.1:9700",
		":9700":                  "127.0.0.1:9700", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "10.0.0.1:1": "10.0.0.1:1", "a": "a",
	} {
		if got := Local(in); got != want {
			t.Errorf("%s is reached at %s, want %s", in, got, want)
		}
	}
}
