package simtest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// flow carries bytes in one direction: in order, each piece after a delay, none while
// the way is cut.
type flow struct {
	net      *network
	from, to string
	mu       struct {
		sync.Mutex
		pieces   []piece
		last     time.Time // when the newest piece arrives
		ended    bool      // nothing more is taken
		deaf     bool      // the reader has closed
		deadline time.Time
		changed  chan struct{}
	}
}

// piece is what one write sent; without bytes it is the end of the flow.
type piece struct {
	at    time.Time
	bytes []byte
	err   error
}

func newFlow(n *network, from, to string) *flow {
	f := &flow{net: n, from: from, to: to}
	f.mu.changed = make(chan struct{})
	return f
}

func (f *flow) announce() {
	close(f.mu.changed)
	f.mu.changed = make(chan struct{})
}

func (f *flow) write(b []byte) (int, error) {
	delay := f.net.delay()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.ended {
		return 0, errReset
	}
	f.push(delay, piece{bytes: append([]byte(nil), b...)})
	return len(b), nil
}

func (f *flow) push(delay time.Duration, p piece) {
	if p.at = time.Now().Add(delay); p.at.Before(f.mu.last) {
		p.at = f.mu.last
	}
	f.mu.last = p.at
	f.mu.pieces = append(f.mu.pieces, p)
	f.announce()
}

// end closes the flow behind what was written: the reader gets err, or io.EOF if nil.
func (f *flow) end(err error, after time.Duration) {
	if err == nil {
		err = io.EOF
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.ended {
		f.mu.ended = true
		f.push(after, piece{err: err})
	}
}

// abandon closes the flow at its reader.
func (f *flow) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.ended, f.mu.deaf, f.mu.pieces = true, true, nil
	f.announce()
}

func (f *flow) setDeadline(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.deadline = t
	f.announce()
}

func (f *flow) read(b []byte) (int, error) {
	for {
		n, next, err := f.take(b)
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
		next.await()
	}
}

// event is what a reader waits for; a nil channel and a zero time are never.
type event struct {
	changed, healed <-chan struct{}
	at              time.Time
}

func (e event) await() {
	var at <-chan time.Time
	if !e.at.IsZero() {
		t := time.NewTimer(time.Until(e.at))
		defer t.Stop()
		at = t.C
	}
	select {
	case <-e.changed:
	case <-e.healed:
	case <-at:
	}
}

// take gives what has arrived, or what to wait for.
func (f *flow) take(b []byte) (n int, next event, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	next = event{changed: f.mu.changed, at: f.mu.deadline}
	switch {
	case f.mu.deaf:
		return 0, next, net.ErrClosed
	case !next.at.IsZero() && !now.Before(next.at):
		return 0, next, os.ErrDeadlineExceeded
	case len(f.mu.pieces) == 0:
		return 0, next, nil
	}
	p := &f.mu.pieces[0]
	if p.at.After(now) {
		if next.at.IsZero() || p.at.Before(next.at) {
			next.at = p.at
		}
		return 0, next, nil
	}
	if cut, healed := f.net.isCut(f.from, f.to); cut {
		next.healed = healed
		return 0, next, nil
	}
	if p.err != nil {
		return 0, next, p.err
	}
	n = copy(b, p.bytes)
	if p.bytes = p.bytes[n:]; len(p.bytes) == 0 {
		f.mu.pieces = f.mu.pieces[1:]
	}
	return n, next, nil
}
