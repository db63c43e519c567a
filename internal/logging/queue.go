package logging

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// batchDelay is how long a line waits for others. It is shorter than MaxDelay by
	// the time that a busy machine needs to wake up the writing goroutine.
	batchDelay = 60 * time.Millisecond
	// fullBatch is how many bytes are written without waiting for more.
	fullBatch = 32 << 10
)

// queue holds lines until its own goroutine has written them.
type queue struct {
	out    io.Writer
	atOnce bool                                 // lines do not wait for others
	note   func(dst []byte, lost uint64) []byte // appends a line that says how many lines were lost

	wake  chan struct{} // of capacity one: there are lines
	hurry chan struct{} // of capacity one: the lines must not wait
	done  chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards what follows
	waiting []byte     // whole lines
	spare   []byte     // the next waiting, while the last one is being written
	closed  bool
	added   uint64        // batches begun: the number of the batch in waiting
	written uint64        // batches written or failed
	ended   chan struct{} // closed and replaced when a batch was written or has failed
	lost    uint64        // lines that were not written
	told    uint64        // how many of lost the log has reported
}

func newQueue(out io.Writer, atOnce bool, note func([]byte, uint64) []byte) *queue {
	q := &queue{
		out: out, atOnce: atOnce, note: note,
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
	}
	go q.run()
	return q
}

// add queues a copy of a line, or drops it. urgent: it and the lines before it are
// written without waiting for more.
func (q *queue) add(line []byte, urgent bool) {
	q.mu.Lock()
	if q.closed || len(q.waiting)+len(line) > MaxQueued {
		q.lost++
		q.mu.Unlock()
		return
	}
	first := len(q.waiting) == 0
	if first {
		q.added++
	}
	q.waiting = append(q.waiting, line...)
	urgent = urgent || len(q.waiting) >= fullBatch
	q.mu.Unlock()
	if first {
		signal(q.wake)
	}
	if urgent {
		signal(q.hurry)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes until the queue is closed and empty.
func (q *queue) run() {
	defer close(q.done)
	delay := time.NewTimer(batchDelay)
	for range q.wake {
		if !q.atOnce {
			delay.Reset(batchDelay)
			select {
			case <-delay.C:
			case <-q.hurry:
			}
		}
		if closed := q.write(); closed {
			return
		}
	}
}

// write writes the lines that wait, and reports whether the queue is closed.
func (q *queue) write() (closed bool) {
	q.mu.Lock()
	batch, number := q.waiting, q.added
	q.waiting, q.spare = q.spare[:0], nil
	lost, untold := q.lost, q.lost-q.told
	closed = q.closed
	q.mu.Unlock()

	text := batch
	if untold > 0 {
		text = q.note(batch, untold)
	}
	var rest []byte
	n, err := 0, error(nil)
	if len(text) > 0 {
		n, err = q.out.Write(text)
	}
	if err != nil && n < len(batch) {
		rest = batch[max(n, 0):]
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		q.told = lost
	}
	q.lost += uint64(bytes.Count(rest, []byte{'\n'}))
	if cap(batch) <= 2*fullBatch { // the large buffer of a burst is not kept
		q.spare = batch[:0]
	}
	q.written = max(q.written, number)
	close(q.ended)
	q.ended = make(chan struct{})
	return closed
}

// flush waits until all lines added before are written, for at most patience, and
// reports whether they are.
func (q *queue) flush() bool {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	q.mu.Lock()
	number := q.added
	q.mu.Unlock()
	for {
		q.mu.Lock()
		ended, over := q.ended, q.written >= number
		q.mu.Unlock()
		if over {
			return true
		}
		signal(q.hurry)
		select {
		case <-ended:
		case <-timeout.C:
			return false
		}
	}
}

// close ends the queue after a flush. If its goroutine hangs in a write, close does
// not wait for it.
func (q *queue) close() {
	flushed := q.flush()
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.wake)
	signal(q.hurry)
	if !flushed {
		return
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-q.done:
	case <-timeout.C:
	}
}

func (q *queue) dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
