package shared

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// position is the ID of an entry of a stream: Redis' clock in milliseconds, and
// a count within one. They only rise while a stream lives.
type position struct{ ms, seq uint64 }

func (p position) String() string {
	return strconv.FormatUint(p.ms, 10) + "-" + strconv.FormatUint(p.seq, 10)
}

func (p position) after(q position) bool { return p.ms > q.ms || p.ms == q.ms && p.seq > q.seq }

// time is strictly rising with the position.
func (p position) time() time.Time {
	return time.UnixMilli(int64(p.ms)).Add(time.Duration(min(p.seq, 999_999)))
}

func parsePosition(s string) (position, error) {
	a, b, _ := strings.Cut(s, "-")
	ms, err := strconv.ParseUint(a, 10, 48) // 8,900 years
	if err != nil {
		return position{}, err
	}
	seq, err := strconv.ParseUint(b, 10, 64)
	return position{ms, seq}, err
}

// entry is one of the log. Data is nil where it is not ours.
type entry struct {
	at   position
	data []byte
}

// page is the answer to an append.
type page struct {
	now     time.Time  // Redis' clock
	own     []position // where the appended entries stand
	entries []entry    // since the position asked for, in order
	full    bool       // there may be more
}

const (
	// pageSize is how many entries are read at once.
	pageSize = 512
	// field is the only one of each entry.
	field = "e"
)

// appendScript appends events to the stream KEYS[1] and returns what stands
// there after a position: one round trip to claim, one to complete. Entries
// older than all that can still matter go.
//
//	ARGV: position, milliseconds to keep, entries to return, events...
//
// A log that is ahead of the clock begins anew: IDs only rise, so that after the
// clock was set back no time would pass in it.
//
// Only what Redis 6.2 and all since have, Valkey as well: XADD MINID, an
// exclusive range.
var appendScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function add(event)
	return redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', now - ARGV[2]), '*', 'e', event)
end
local own = {}
for i = 4, #ARGV do
	own[#own + 1] = add(ARGV[i])
	if i == 4 and tonumber(string.match(own[1], '^%d+')) > now + 5000 then
		redis.call('DEL', KEYS[1])
		own[1] = add(ARGV[i])
	end
end
if #own > 0 then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {string.format('%.0f', now), own, redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[3])}
`)

// appendTo runs the script.
func appendTo(ctx context.Context, c redis.Scripter, key string, after position, keep time.Duration, events [][]byte) (page, error) {
	args := make([]any, 0, 3+len(events))
	args = append(args, after.String(), keep.Milliseconds(), pageSize)
	for _, e := range events {
		args = append(args, e)
	}
	reply, err := appendScript.Run(ctx, c, []string{key}, args...).Slice()
	if _, moved := redis.IsMovedError(err); moved {
		return page{}, fmt.Errorf("it is one node of a Cluster; write dedup.redis.cluster: true: %w", err)
	}
	if err != nil {
		return page{}, err
	}
	p, err := parsePage(reply)
	if err == nil && len(p.own) != len(events) {
		err = errReply
	}
	if err != nil {
		return page{}, fmt.Errorf("reading the answer of Redis: %w", err)
	}
	return p, nil
}

var errReply = errors.New("it is not what the script returns")

func parsePage(reply []any) (p page, err error) {
	if len(reply) != 3 {
		return p, errReply
	}
	now, ok1 := reply[0].(string)
	own, ok2 := reply[1].([]any)
	entries, ok3 := reply[2].([]any)
	if !ok1 || !ok2 || !ok3 {
		return p, errReply
	}
	ms, err := strconv.ParseInt(now, 10, 64)
	if err != nil {
		return p, err
	}
	p.now, p.full = time.UnixMilli(ms), len(entries) >= pageSize
	for _, id := range own {
		at, err := positionOf(id)
		if err != nil {
			return p, err
		}
		p.own = append(p.own, at)
	}
	for _, raw := range entries {
		parts, ok := raw.([]any)
		if !ok || len(parts) != 2 {
			return p, errReply
		}
		at, err := positionOf(parts[0])
		if err != nil {
			return p, err
		}
		e := entry{at: at}
		if fields, ok := parts[1].([]any); ok && len(fields) == 2 && fields[0] == field {
			if data, ok := fields[1].(string); ok {
				e.data = []byte(data)
			}
		}
		p.entries = append(p.entries, e)
	}
	return p, nil
}

func positionOf(v any) (position, error) {
	s, ok := v.(string)
	if !ok {
		return position{}, errReply
	}
	return parsePosition(s)
}
