package redislog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Position is the ID of an entry of a stream: Redis' clock in milliseconds, and
// a count within a millisecond. Positions only rise while a stream lives.
type Position struct{ MS, Seq uint64 }

// String returns the ID as Redis writes it.
func (p Position) String() string {
	return strconv.FormatUint(p.MS, 10) + "-" + strconv.FormatUint(p.Seq, 10)
}

// After reports whether p is behind q.
func (p Position) After(q Position) bool { return p.MS > q.MS || p.MS == q.MS && p.Seq > q.Seq }

// Time returns a time that rises strictly with the position.
func (p Position) Time() time.Time {
	return time.UnixMilli(int64(p.MS)).Add(time.Duration(min(p.Seq, 999_999)))
}

func parsePosition(s string) (Position, error) {
	a, b, _ := strings.Cut(s, "-")
	ms, err := strconv.ParseUint(a, 10, 48) // 8,900 years
	if err != nil {
		return Position{}, err
	}
	seq, err := strconv.ParseUint(b, 10, 64)
	return Position{ms, seq}, err
}

// Entry is an entry of the log. Data is nil if the shim did not write it.
type Entry struct {
	At   Position
	Data []byte
}

// Page is the answer to an append.
type Page struct {
	Now     time.Time  // the log's clock
	Own     []Position // of the appended entries
	Entries []Entry    // since the position asked for, in order
	Full    bool       // there may be more
}

const (
	// PageSize is the most entries that are read at once; after so many there may be more.
	PageSize = 512
	// field is the name of each entry's only field.
	field = "e"
)

// appendScript appends events to the stream KEYS[1] and returns their positions, and the
// entries behind another position that were there before: one round trip to claim, one to
// complete. The events themselves do not come back. Entries too old to matter are removed,
// and the oldest if there are too many: XADD takes one bound at a time, so even and odd
// milliseconds take turns.
//
//	ARGV: position, milliseconds to keep, entries to keep, entries to return, events...
//
// A log that is ahead of the clock begins anew: IDs only rise, so after the
// clock was set back no time would pass in it.
//
// The script needs Redis 6.2 or later, or Valkey: XADD with MINID, and exclusive ranges.
var appendScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local bound, most = 'MINID', string.format('%.0f', now - ARGV[2])
if now % 2 == 0 then
	bound, most = 'MAXLEN', ARGV[3]
end
local function add(event)
	return redis.call('XADD', KEYS[1], bound, '~', most, '*', 'e', event)
end
local before = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[4])
local own = {}
for i = 5, #ARGV do
	own[#own + 1] = add(ARGV[i])
	if i == 5 and tonumber(string.match(own[1], '^%d+')) > now + 5000 then
		redis.call('DEL', KEYS[1])
		own[1], before = add(ARGV[i]), {}
	end
end
if #own > 0 then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {string.format('%.0f', now), own, before}
`)

// appendTo runs the script.
func appendTo(ctx context.Context, c redis.Scripter, key string, a Append) (Page, error) {
	args := make([]any, 0, 4+len(a.Events))
	args = append(args, a.After.String(), a.Keep.Milliseconds(), a.Most, PageSize)
	for _, e := range a.Events {
		args = append(args, e)
	}
	reply, err := appendScript.Run(ctx, c, []string{key}, args...).Slice()
	if _, moved := redis.IsMovedError(err); moved {
		return Page{}, fmt.Errorf("it is one node of a Cluster; write dedup.redis.cluster: true: %w", err)
	}
	if err != nil {
		return Page{}, err
	}
	p, err := parsePage(reply, a.Events)
	if err != nil {
		return Page{}, fmt.Errorf("reading the answer of Redis: %w", err)
	}
	return p, nil
}

var errReply = errors.New("it is not what the script returns")

// parsePage reads the script's answer to an append of events. They follow the entries
// that were there before: nothing can come between, unless there was more than a page.
// Then they are read when their turn comes.
func parsePage(reply []any, events [][]byte) (p Page, err error) {
	if len(reply) != 3 {
		return p, errReply
	}
	now, ok1 := reply[0].(string)
	own, ok2 := reply[1].([]any)
	entries, ok3 := reply[2].([]any)
	if !ok1 || !ok2 || !ok3 || len(own) != len(events) {
		return p, errReply
	}
	ms, err := strconv.ParseInt(now, 10, 64)
	if err != nil {
		return p, err
	}
	p.Now, p.Full = time.UnixMilli(ms), len(entries) >= PageSize
	p.Entries = make([]Entry, 0, len(entries)+len(own))
	for _, id := range own {
		at, err := positionOf(id)
		if err != nil {
			return p, err
		}
		p.Own = append(p.Own, at)
	}
	for _, raw := range entries {
		e, err := parseEntry(raw)
		if err != nil {
			return p, err
		}
		p.Entries = append(p.Entries, e)
	}
	if !p.Full {
		for i, at := range p.Own {
			p.Entries = append(p.Entries, Entry{at, events[i]})
		}
	}
	return p, nil
}

// parseEntry reads an entry of the log. An entry that the shim did not write has no data.
func parseEntry(raw any) (e Entry, err error) {
	parts, ok := raw.([]any)
	if !ok || len(parts) != 2 {
		return e, errReply
	}
	if e.At, err = positionOf(parts[0]); err != nil {
		return e, err
	}
	if fields, ok := parts[1].([]any); ok && len(fields) == 2 && fields[0] == field {
		if data, ok := fields[1].(string); ok {
			e.Data = []byte(data)
		}
	}
	return e, nil
}

func positionOf(v any) (Position, error) {
	s, ok := v.(string)
	if !ok {
		return Position{}, errReply
	}
	return parsePosition(s)
}
