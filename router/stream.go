package router

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// stream is the rows of one statement on one shard. A goroutine reads them from the
// connection, decodes them and keeps a few batches ahead; close waits for it.
type stream struct {
	link    *link
	rows    *remote.Rows
	lead    int
	columns []plan.Col
	count   bool // the result is the number of rows written, taken from the tag
	limit   int  // bytes that may be read ahead once the connection is needed
	wait    bool // the statement commits by itself: whoever cancels it hears what became of it
	cancel  context.CancelFunc
	release func(*link) // what becomes of the link at the end
	done    chan struct{}

	mu struct {
		sync.Mutex
		wake    chan struct{} // closed and replaced when anything below changes
		batches [][]types.Row
		bytes   int
		ahead   bool // read on without waiting for the reader
		discard bool // nobody reads any more
		ended   bool
		err     error
	}
}

const (
	streamBatch = 256 // rows
	streamAhead = 4   // batches
	discardMax  = 4096
)

// newStream starts to read the last order of a flight; lead results come before it.
func newStream(s *stream) *stream {
	s.mu.wake = make(chan struct{})
	s.done = make(chan struct{})
	s.link.stream = s
	go s.read()
	return s
}

// read is the goroutine.
func (s *stream) read() {
	defer close(s.done)
	err := s.readRows()
	if closed := s.link.finish(s.rows); closed != nil {
		err = closed
	}
	s.cancel()
	s.mu.Lock()
	s.mu.ended = true
	if err != nil && !errors.Is(err, errDiscarded) {
		s.mu.err = err
	}
	s.announce()
	s.mu.Unlock()
}

var errDiscarded = errors.New("rows nobody reads")

func (s *stream) readRows() error {
	if !skip(s.rows, s.lead) || !s.rows.NextResult() {
		return nil // the error comes with finish
	}
	var batch []types.Row
	skipped := 0
	for s.rows.Next() {
		row, err := decode(s.columns, s.rows.Raw())
		if err != nil {
			s.cancel()
			return err
		}
		if batch = append(batch, row); len(batch) == streamBatch {
			kept, err := s.push(batch)
			if err != nil {
				s.cancel()
				return err
			}
			if !kept {
				// What is left is read past, or cancelled when it is much.
				if skipped += len(batch); skipped > discardMax && !s.link.bound {
					s.cancel()
					return errDiscarded
				}
			}
			batch = nil
		}
	}
	if s.count {
		n, ok := affected(s.rows.Tag())
		if !ok {
			return nil
		}
		batch = []types.Row{{types.Int(n)}}
	}
	if len(batch) > 0 {
		_, err := s.push(batch)
		return err
	}
	return nil
}

// decode reads a row of binary values.
func decode(columns []plan.Col, raw [][]byte) (types.Row, error) {
	if len(raw) != len(columns) {
		return nil, types.Errorf("08P01", "a shard gave %d columns instead of %d", len(raw), len(columns))
	}
	row := make(types.Row, len(raw))
	for i, b := range raw {
		if b == nil {
			continue
		}
		v, err := types.ParseBinary(columns[i].Type, b)
		if err != nil {
			return nil, err
		}
		row[i] = v
	}
	return row, nil
}

// affected reads the number of rows of a command tag.
func affected(tag string) (int64, bool) {
	n, scale := int64(0), int64(1)
	i := len(tag)
	for i > 0 && tag[i-1] >= '0' && tag[i-1] <= '9' {
		n += int64(tag[i-1]-'0') * scale
		scale *= 10
		i--
	}
	return n, i < len(tag)
}

// push hands a batch to the reader, waiting while it has enough; kept is false when
// nobody reads.
func (s *stream) push(batch []types.Row) (kept bool, err error) {
	for {
		s.mu.Lock()
		switch {
		case s.mu.discard:
			s.mu.Unlock()
			return false, nil
		case s.mu.ahead || len(s.mu.batches) < streamAhead:
			s.mu.batches = append(s.mu.batches, batch)
			s.mu.bytes += rowsBytes(batch)
			if s.mu.ahead && s.mu.bytes > s.limit {
				err = types.Errorf("53200", "results of one transaction that are read at the same time take too much memory").
					WithHint("Read one result to its end before the next statement, or read less at a time.")
			}
			s.announce()
			s.mu.Unlock()
			return true, err
		}
		wake := s.mu.wake
		s.mu.Unlock()
		<-wake
	}
}

// announce wakes whoever waits; mu is held.
func (s *stream) announce() {
	close(s.mu.wake)
	s.mu.wake = make(chan struct{})
}

// next gives the next batch, or io.EOF.
func (s *stream) next(ctx context.Context) ([]types.Row, error) {
	for {
		s.mu.Lock()
		if len(s.mu.batches) > 0 {
			batch := s.mu.batches[0]
			s.mu.batches = s.mu.batches[1:]
			s.mu.bytes -= rowsBytes(batch)
			s.announce()
			s.mu.Unlock()
			return batch, nil
		}
		ended, err, wake := s.mu.ended, s.mu.err, s.mu.wake
		s.mu.Unlock()
		if ended {
			if err == nil {
				err = io.EOF
			}
			return nil, err
		}
		gone := ctx.Done()
		if s.wait {
			gone = nil // the flight has the same context: it ends soon
		}
		select {
		case <-wake:
		case <-gone:
			return nil, cancelled(ctx)
		}
	}
}

// detach reads the rest into memory, so that the connection is free.
func (s *stream) detach() error {
	s.mu.Lock()
	s.mu.ahead = true
	s.announce()
	s.mu.Unlock()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.err
}

// abandon drops the rest.
func (s *stream) abandon() {
	s.mu.Lock()
	s.mu.discard, s.mu.batches = true, nil
	s.announce()
	s.mu.Unlock()
	<-s.done
}

// close drops what was not read and gives the link back.
func (s *stream) close() {
	s.abandon()
	if s.link.stream == s {
		s.link.stream = nil
	}
	if s.release != nil {
		s.release(s.link)
		s.release = nil
	}
}

// rowsBytes estimates what rows take in memory.
func rowsBytes(rows []types.Row) int {
	n := 0
	for _, row := range rows {
		n += 24 + 24*len(row)
		for _, v := range row {
			switch v.Kind() {
			case types.KindText, types.KindJSONB, types.KindBytes:
				n += len(v.AsBytes())
			case types.KindVector:
				n += 4 * len(v.AsVector())
			case types.KindArray:
				n += rowsBytes([]types.Row{v.AsArray().Elems})
			}
		}
	}
	return n
}
