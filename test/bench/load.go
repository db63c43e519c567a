package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const exactHeader = "X-POWERJOB-AUTH-PASSED: true"

// client is one keep-alive connection that writes requests and checks answers
// byte by byte.
type client struct {
	conn  net.Conn
	r     *bufio.Reader
	exact bool // the candidate promises the header in exact case
	lat   []time.Duration
	head  []byte // of the last answer
	body  []byte
}

func dial(c *candidate) (*client, error) {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	if c.tls {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // both ends are ours
	}
	return &client{conn: conn, r: bufio.NewReaderSize(conn, 32<<10), exact: c.exact}, nil
}

func request(path, contentType, token string, body []byte) []byte {
	b := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: powerjob\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-POWERJOB-APP-ID: 1\r\n", path, contentType, len(body))
	if token != "" {
		b = fmt.Appendf(b, "X-POWERJOB-ACCESS-TOKEN: %s\r\n", token)
	}
	b = append(b, "Accept-Encoding: gzip\r\nUser-Agent: okhttp/3.14.9\r\n\r\n"...)
	return append(b, body...)
}

// do sends one request, reads the whole answer into c.body and times it.
func (c *client) do(req []byte) error {
	start := time.Now()
	if _, err := c.conn.Write(req); err != nil {
		return err
	}
	if err := c.read(); err != nil {
		return err
	}
	c.lat = append(c.lat, time.Since(start))
	if !bytes.HasPrefix(c.head, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q", c.head)
	}
	if c.exact && !bytes.Contains(c.head, []byte(exactHeader)) {
		return fmt.Errorf("no %q in %q", exactHeader, c.head)
	}
	return nil
}

func (c *client) read() error { //nolint:gocognit // a parser of two framings, for speed in one piece
	c.head, c.body = c.head[:0], c.body[:0]
	length, chunked := -1, false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading an answer's header: %w", err)
		}
		if len(line) <= 2 {
			break
		}
		c.head = append(c.head, line...)
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	if !chunked {
		return c.take(length)
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading a chunk: %w", err)
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if err := c.take(int(n)); err != nil {
			return err
		}
		if _, err := c.r.Discard(2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

func (c *client) take(n int) error {
	if n < 0 {
		return fmt.Errorf("an answer without a length: %q", c.head)
	}
	had := len(c.body)
	c.body = slices.Grow(c.body, n)[:had+n]
	_, err := io.ReadFull(c.r, c.body[had:])
	return err
}

// save sends a numbered saveJob and checks that the answer is its own.
func (c *client) save(n int, token string) error {
	if err := c.do(request("/openApi/saveJob", "application/json; charset=utf-8", token, saveBody(n))); err != nil {
		return err
	}
	if !bytes.Equal(c.body, answerFor(n)) {
		return fmt.Errorf("call %d got %q", n, c.body)
	}
	return nil
}

// login returns a new token.
func (c *client) login() (string, error) {
	if err := c.do(request("/openApi/authApp", "application/json; charset=utf-8", "", []byte(`{"appName":"app1","encryptedPassword":"x","encryptType":"md5"}`))); err != nil {
		return "", err
	}
	_, rest, ok := bytes.Cut(c.body, []byte(`"token":"`))
	token, _, ok2 := bytes.Cut(rest, []byte{'"'})
	if !ok || !ok2 {
		return "", fmt.Errorf("no token in %q", c.body)
	}
	return string(token), nil
}

// numbers gives each call of the whole run its own body.
var numbers atomic.Int64

// drive runs each on several connections at once until count calls have been made,
// and returns all latencies, sorted.
func drive(c *candidate, connections, count int, each func(*client) error) ([]time.Duration, error) {
	var (
		left  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		lat   []time.Duration
		first error
	)
	left.Store(int64(count))
	for range connections {
		wg.Go(func() {
			cl, err := dial(c)
			if err == nil {
				defer cl.conn.Close()
				for err == nil && left.Add(-1) >= 0 {
					err = each(cl)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
			if cl != nil {
				lat = append(lat, cl.lat...)
			}
		})
	}
	wg.Wait()
	slices.Sort(lat)
	return lat, first
}
