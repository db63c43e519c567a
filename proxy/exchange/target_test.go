package exchange

import (
	"net/http"
	"testing"
)

func TestAnUnreadableTargetIsTheRoot(t *testing.T) {
	if got := RequestURI(&http.Request{RequestURI: "a:1"}); got != "/" {
		t.Errorf("got %q", got)
	}
}
