// Package logging writes the log in such a way that a reader who does not read cannot
// stop the service.
//
//	l := logging.Open(logging.Options{Out: os.Stderr, Level: zap.InfoLevel})
//	defer l.Close()
//	l.Logger.Info("started", zap.String("version", version))
//
// The goroutine that logs a line encodes it and puts it into a queue of at most
// [MaxQueued] bytes; a goroutine of the log's own writes the queue, many lines in one
// write. A line waits for at most [MaxDelay]. Warnings, errors and all lines before
// them do not wait, nor does any line if the output is a terminal. When the output
// takes nothing more and the queue is full, lines are dropped and counted, and the
// log says so as soon as it is read again.
//
// [Options].Format chooses between JSON, one object a line with the keys level, ts
// and msg first, and a format for people (see console.go). Values are cut at
// [MaxValue] bytes and lines at [MaxLine].
//
// Lines that still wait are lost if the process is killed, or if a goroutine panics
// that does not defer Logger.Sync.
package logging

import (
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// The bounds of a log.
const (
	MaxDelay  = 100 * time.Millisecond // between logging a line and writing it
	MaxQueued = 1 << 20                // bytes that wait, besides those that are being written
	MaxValue  = 1 << 10                // bytes of one value; a stack may have eight times as many
	MaxLine   = 16 << 10               // bytes of one line
)

// The values of Options.Format.
const (
	FormatAuto    = "auto" // console on a terminal, else JSON
	FormatJSON    = "json"
	FormatConsole = "console"
)

// patience is how long Sync and Close wait for an output that takes nothing.
const patience = time.Second

// Options say what to log, how and where.
type Options struct {
	Out    io.Writer     // used by one goroutine at a time; lines that it fails to write count as dropped
	Format string        // FormatAuto, FormatJSON or FormatConsole; anything else is FormatAuto
	Level  zapcore.Level // the zero value is info
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	Logger *zap.Logger
	Level  zap.AtomicLevel // may be changed at any time

	queue *queue
}

// Open starts a log. The caller must call Close.
func Open(o Options) *Log {
	terminal := isTerminal(o.Out)
	l := &Log{Level: zap.NewAtomicLevelAt(o.Level)}
	c := &core{LevelEnabler: l.Level, encode: appendJSON}
	if o.Format == FormatConsole || o.Format != FormatJSON && terminal {
		c.encode = appendConsole
	}
	l.queue = newQueue(o.Out, terminal, func(dst []byte, dropped uint64) []byte {
		entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), Message: "log lines were dropped: the log was not read as fast as it was written"}
		return c.encode(dst, entry, []zapcore.Field{zap.Uint64("dropped", dropped)})
	})
	c.queue = l.queue
	l.Logger = zap.New(c)
	return l
}

// Dropped returns how many lines have been dropped since Open.
func (l *Log) Dropped() uint64 { return l.queue.dropped() }

// Close writes the lines that wait, for at most a second if the output takes nothing,
// and ends the log. Lines logged later are dropped.
func (l *Log) Close() { l.queue.close() }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// core is the zapcore.Core that encodes lines into a queue.
type core struct {
	zapcore.LevelEnabler
	encode  func(dst []byte, entry zapcore.Entry, fields []zapcore.Field) []byte
	context []zapcore.Field
	queue   *queue
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	with := *c
	with.context = append(c.context[:len(c.context):len(c.context)], fields...)
	return &with
}

// Check implements zapcore.Core.
func (c *core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core. It never fails, and waits for the output only if the
// entry ends the process.
func (c *core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if len(c.context) > 0 {
		fields = append(c.context[:len(c.context):len(c.context)], fields...)
	}
	room := lineBuffers.Get().(*[]byte)
	line := c.encode((*room)[:0], entry, fields)
	c.queue.add(line, entry.Level >= zapcore.WarnLevel)
	*room = line
	lineBuffers.Put(room)
	if entry.Level > zapcore.ErrorLevel {
		return c.Sync()
	}
	return nil
}

// Sync implements zapcore.Core: it waits, for at most a second, until all lines so far
// are written.
func (c *core) Sync() error {
	c.queue.flush()
	return nil
}
