package session

import (
	"context"
	"math"
	"time"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// cursor is what DECLARE CURSOR adds to a portal. Rows that may be wanted again are kept;
// position 0 is before the first row.
type cursor struct {
	hold    bool
	scroll  bool
	binary  bool
	created bool // in the running transaction: a rollback takes it away

	kept     []types.Row // rows read so far, for SCROLL and after a commit
	size     int         // their bytes
	position int64       // of the row fetched last
	ended    bool        // the query has given its last row
	read     int64       // rows read from the query
}

// declare is DECLARE CURSOR. The query's snapshot is taken now.
func (s *Session) declare(ctx context.Context, x *sql.DeclareCursor, po *portal) error {
	if !x.Hold && s.tx.state == implicit && !s.tx.several {
		return errNeedsBlock("DECLARE CURSOR")
	}
	if _, ok := s.portals[x.Name]; ok {
		return types.Errorf("42P03", "cursor \"%s\" already exists", x.Name)
	}
	if x.Name == "" {
		return types.Errorf("34000", "invalid cursor name: must not be empty")
	}
	if x.Hold && len(x.Query.Locking) > 0 {
		return types.Errorf("0A000", "DECLARE CURSOR WITH HOLD ... %s is not supported", commandOf(x.Query)[len("SELECT "):]).
			WithDetail("Holdable cursors must be READ ONLY.")
	}
	st := &prepared{text: po.statement.text, fromSQL: true, declared: po.statement.declared, parsed: sql.Parsed{
		Statement: x.Query, Text: po.statement.parsed.Text, Offset: po.statement.parsed.Offset,
	}}
	out := &portal{
		name: x.Name, statement: st, params: po.params, made: time.Now(),
		cursor: &cursor{hold: x.Hold, scroll: x.Scroll == "scroll", binary: x.Binary, created: true},
	}
	if err := s.open(ctx, out); err != nil {
		return err
	}
	if x.Binary {
		for i := range out.columns {
			out.columns[i].Format = 1
		}
	}
	s.portals[x.Name] = out
	return nil
}

// row gives the row at a position from 1, reading as far as needed; ok is false past the end.
func (s *Session) cursorRow(ctx context.Context, po *portal, at int64) (types.Row, bool, error) {
	c := po.cursor
	for c.read < at && !c.ended {
		if po.lost != nil {
			return nil, false, po.lost
		}
		row, ok, err := po.rows.next(ctx)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			c.ended = true
			break
		}
		c.read++
		if !c.scroll {
			if c.read == at {
				return row, true, nil
			}
			continue
		}
		if c.size += rowBytes(row); c.size > s.host.options.CursorBytes {
			return nil, false, errResultTooBig(s.host.options.CursorBytes)
		}
		c.kept = append(c.kept, row)
	}
	if at < 1 || at > c.read {
		return nil, false, nil
	}
	if first := c.read - int64(len(c.kept)); at > first {
		return c.kept[at-first-1], true, nil
	}
	return nil, false, errForwardOnly()
}

func errForwardOnly() error {
	return types.Errorf("55000", "cursor can only scan forward").
		WithHint("Declare it with SCROLL option to enable backward scan.")
}

// end reads to the end and gives the number of rows.
func (s *Session) cursorEnd(ctx context.Context, po *portal) (int64, error) {
	for !po.cursor.ended {
		if _, _, err := s.cursorRow(ctx, po, po.cursor.read+1); err != nil {
			return 0, err
		}
	}
	return po.cursor.read, nil
}

// fetch is FETCH and MOVE.
func (s *Session) fetch(ctx context.Context, x *sql.Fetch, po *portal, w pgwire.ResultWriter) (string, error) {
	target, ok := s.portals[x.Cursor]
	if !ok || target.cursor == nil {
		return "", types.Errorf("34000", "cursor \"%s\" does not exist", x.Cursor)
	}
	var send func(types.Row) error
	if !x.Move {
		columns := target.columns
		if po.columns != nil {
			columns = po.columns
		}
		if err := w.RowDescription(columns); err != nil {
			return "", err
		}
		send = s.rowSender(columns, w)
	}
	n, err := s.moveCursor(ctx, x, target, send)
	if err != nil {
		return "", err
	}
	if x.Move {
		return tagCount("MOVE", n), nil
	}
	return tagCount("FETCH", n), nil
}

// moveCursor moves as the direction says, giving the rows it passes to send (nil for MOVE).
func (s *Session) moveCursor(ctx context.Context, x *sql.Fetch, po *portal, send func(types.Row) error) (int64, error) {
	c, count := po.cursor, x.Count
	if x.All {
		count = math.MaxInt64
	}
	direction := x.Direction
	if count < 0 && (direction == "forward" || direction == "backward") {
		direction = map[string]string{"forward": "backward", "backward": "forward"}[direction]
		count = -count
	}
	switch direction {
	case "absolute":
		at := count
		if at < 0 {
			end, err := s.cursorEnd(ctx, po)
			if err != nil {
				return 0, err
			}
			at = max(end+1+at, 0)
		}
		return s.jump(ctx, po, at, send)
	case "relative":
		return s.jump(ctx, po, max(c.position+count, 0), send)
	case "backward":
		if count == 0 {
			return s.jump(ctx, po, c.position, send)
		}
		return s.backward(ctx, po, count, send)
	}
	if count == 0 {
		return s.jump(ctx, po, c.position, send)
	}
	return s.forward(ctx, po, count, send)
}

func (s *Session) forward(ctx context.Context, po *portal, count int64, send func(types.Row) error) (n int64, err error) {
	for n < count {
		row, ok, err := s.cursorRow(ctx, po, po.cursor.position+1)
		if err != nil {
			return n, err
		}
		if !ok {
			po.cursor.position = po.cursor.read + 1
			return n, nil
		}
		po.cursor.position++
		n++
		if send != nil {
			if err := send(row); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (s *Session) backward(ctx context.Context, po *portal, count int64, send func(types.Row) error) (n int64, err error) {
	if !po.cursor.scroll {
		return 0, errForwardOnly()
	}
	for n < count && po.cursor.position > 0 {
		po.cursor.position--
		row, ok, err := s.cursorRow(ctx, po, po.cursor.position)
		if err != nil || !ok {
			return n, err
		}
		n++
		if send != nil {
			if err := send(row); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// jump goes to one position and gives the row there, if there is one.
func (s *Session) jump(ctx context.Context, po *portal, at int64, send func(types.Row) error) (int64, error) {
	if at <= po.cursor.position && !po.cursor.scroll {
		return 0, errForwardOnly()
	}
	row, ok, err := s.cursorRow(ctx, po, at)
	if err != nil {
		return 0, err
	}
	if !ok {
		po.cursor.position = min(at, po.cursor.read+1)
		return 0, nil
	}
	po.cursor.position = at
	if send != nil {
		err = send(row)
	}
	return 1, err
}

func (s *Session) closeCursor(name string) (string, error) {
	if name == "" {
		for name, po := range s.portals {
			if po.cursor != nil {
				s.closePortal(name)
			}
		}
		return "CLOSE CURSOR ALL", nil
	}
	if po, ok := s.portals[name]; !ok || po.cursor == nil {
		return "", types.Errorf("34000", "cursor \"%s\" does not exist", name)
	}
	s.closePortal(name)
	return "CLOSE CURSOR", nil
}

// executeCursor is Execute of the protocol on a cursor's portal: FETCH FORWARD.
func (s *Session) executeCursor(ctx context.Context, po *portal, maxRows int, w pgwire.ResultWriter) error {
	count := int64(math.MaxInt64)
	if maxRows > 0 {
		count = int64(maxRows)
	}
	if err := w.RowDescription(po.columns); err != nil {
		return err
	}
	n, err := s.forward(ctx, po, count, s.rowSender(po.columns, w))
	if err != nil {
		return s.cause(ctx, err)
	}
	if n == count {
		return w.Suspended()
	}
	return w.CommandComplete(tagCount("SELECT", n))
}

// holdCursors reads the rest of the cursors WITH HOLD before their transaction commits.
func (s *Session) holdCursors(ctx context.Context) error {
	for _, po := range s.portals {
		c := po.cursor
		if c == nil || !c.hold || !c.created {
			continue
		}
		was := c.scroll
		c.scroll = true // keep what is read
		_, err := s.cursorEnd(ctx, po)
		c.scroll = was
		if err == nil {
			err = s.finish(po, nil)
		}
		if err != nil {
			return err
		}
		c.created = false
	}
	return nil
}

// hasHold tells whether the transaction has made a cursor WITH HOLD.
func (s *Session) hasHold() bool {
	for _, po := range s.portals {
		if po.cursor != nil && po.cursor.hold && po.cursor.created {
			return true
		}
	}
	return false
}

// dropNewHolds forgets the cursors WITH HOLD of a transaction that is rolled back.
func (s *Session) dropNewHolds() {
	for name, po := range s.portals {
		if po.cursor != nil && po.cursor.hold && po.cursor.created {
			s.closePortal(name)
		}
	}
}
