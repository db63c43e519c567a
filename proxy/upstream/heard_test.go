package upstream

import (
	"io"
	"net"
	"strings"
	"testing"
)

func TestAHeardConnectionTellsWhatCameSinceOneListened(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	c := &Heard{Conn: here}
	for _, step := range []struct {
		sent, heard string
		listen      bool
	}{
		{"before", "", false},
		{"HTTP/1.1 200 OK\r\nx-A: 1\r\n\r\nbody", "HTTP/1.1 200 OK\r\nx-A: 1\r\n\r\nbody", true},
		{"after", "", false},
		{strings.Repeat("a", maxHead+10), strings.Repeat("a", maxHead), true},
	} {
		if step.listen {
			c.Listen()
		}
		go func() { _, _ = io.WriteString(there, step.sent) }()
		got := make([]byte, len(step.sent))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != step.sent {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		if heard := c.Head().String(); heard != step.heard {
			t.Errorf("heard %d bytes, want %d", len(heard), len(step.heard))
		}
	}
}
