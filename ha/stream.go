package ha

import (
	"context"
	"sync"
	"time"
)

// stream is one end of a log stream on this node: what the core wants to say
// on it gathers here, and its own goroutine says it. Acks and heartbeats that
// were not sent yet are overtaken by newer ones.
type stream struct {
	id     uint64
	peer   string
	cancel context.CancelFunc
	wake   chan struct{}
	mu     struct {
		sync.Mutex
		todo todo
		// received on this stream, for acks and lag
		sentMs int64
		ask    bool
	}
}

// todo is what a stream has to say.
type todo struct {
	hello bool
	ack   *sendAck
	reply *replyHello
	start *startSending
	beat  bool
	vow   time.Duration // with beat: ask for a vow
}

func (n *Node) openStream(peer string, cancel context.CancelFunc) *stream {
	s := &stream{id: n.streams.Add(1), peer: peer, cancel: cancel, wake: make(chan struct{}, 1)}
	n.mu.Lock()
	n.mu.closers[s.id] = s
	n.mu.Unlock()
	if n.ctx.Err() != nil {
		cancel() // closeStreams may have missed it
	}
	return s
}

// endStream forgets a stream and tells the core.
func (n *Node) endStream(s *stream) {
	s.cancel()
	n.mu.Lock()
	delete(n.mu.closers, s.id)
	n.mu.Unlock()
	n.post(disconnected{s.peer, s.id})
}

func (n *Node) closeStream(id uint64) {
	n.mu.Lock()
	s := n.mu.closers[id]
	n.mu.Unlock()
	if s != nil {
		s.cancel()
	}
}

func (n *Node) closeStreams() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.mu.closers {
		s.cancel()
	}
}

// tell gives a stream something to say.
func (n *Node) tell(id uint64, e Effect) {
	n.mu.Lock()
	s := n.mu.closers[id]
	n.mu.Unlock()
	if s != nil {
		s.tell(e)
	}
}

func (s *stream) tell(e Effect) {
	s.mu.Lock()
	switch e := e.(type) {
	case sendHello:
		s.mu.todo.hello = true
	case sendAck:
		s.mu.todo.ack = &e
	case replyHello:
		s.mu.todo.reply = &e
	case startSending:
		s.mu.todo.start = &e
	case sendHeartbeat:
		s.mu.todo.beat = true
		s.mu.todo.vow = max(s.mu.todo.vow, e.vow)
	}
	s.mu.Unlock()
	signal(s.wake)
}

// next waits for something to say.
func (s *stream) next(ctx context.Context) (todo, error) {
	for {
		s.mu.Lock()
		t := s.mu.todo
		s.mu.todo = todo{}
		s.mu.Unlock()
		if t != (todo{}) {
			return t, nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return todo{}, ctx.Err()
		}
	}
}
