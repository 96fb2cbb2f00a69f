package router

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// link is a connection to a shard's primary while a statement or transaction has it.
type link struct {
	r      *Router
	shard  cluster.ShardID
	conn   *remote.Conn
	bound  bool  // belongs to a transaction, inside a block from its first flight on
	open   bool  // BEGIN was sent
	dead   bool  // the connection is lost, and with it what the transaction did there
	saved  int   // savepoints of the transaction that the shard has heard of
	mark   bool  // the next flight makes a savepoint for the running statement
	marked bool  // it has been made
	err    error // of the last flight
	last   flightNote

	discard bool     // the connection must not be used again
	queued  []string // statements to send ahead of the next flight
	stream  *stream  // rows that are still being read from it
}

// flightNote is what was known of the shard's session when the last flight went out.
type flightNote struct {
	session string // its number in the shard's log; "" if it has not said
	heard   hlc.Timestamp
}

func (l *link) note() { l.last = flightNote{l.conn.Parameter("helios.session"), l.hear()} }

// unknown is an ownership version that no map has: the shard must be told anew.
const unknown = ^uint64(0)

// told is what a shard's session knows of its router, kept with the pooled connection.
type told struct {
	ownership uint64
	settings  settings
}

func (l *link) told() *told {
	t, ok := l.conn.State.(*told)
	if !ok {
		t = &told{}
		l.conn.State = t
	}
	return t
}

// message is what helios.ctx says ahead of one statement.
type message struct {
	ownership uint64
	at        hlc.Timestamp // 0: the shard chooses
	mode      snapshotMode
	gid       string
	schema    uint64
	cells     cellChoice
}

// cellChoice restricts reads of vector-placed tables to cells, by table.
type cellChoice map[types.OID][]uint32

// snapshotMode says what a shard does when it meets a version above the snapshot.
type snapshotMode uint8

const (
	fresh  snapshotMode = iota // one that was there at the beginning: run again above it
	fixed                      // REPEATABLE READ: pass over it; to write there is 40001
	pinned                     // pass over it, since the snapshot is complete; to write there: run again above it
)

// text writes the fields that the shard does not know yet; "" if there are none.
func (m message) text(known uint64) string {
	var b strings.Builder
	field := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + value)
	}
	if m.ownership != known {
		field("v", strconv.FormatUint(m.ownership, 10))
	}
	if m.at != 0 {
		field("t", strconv.FormatUint(uint64(m.at), 10))
		if m.mode != fresh {
			field("f", strconv.Itoa(int(m.mode)))
		}
	}
	if m.gid != "" {
		field("g", m.gid)
	}
	if m.schema != 0 {
		field("s", strconv.FormatUint(m.schema, 10))
	}
	if len(m.cells) > 0 {
		var tables []string
		for oid, cells := range m.cells {
			list := make([]string, len(cells))
			for i, c := range cells {
				list[i] = strconv.FormatUint(uint64(c), 10)
			}
			tables = append(tables, fmt.Sprintf("%d:%s", oid, strings.Join(list, ",")))
		}
		field("c", strings.Join(tables, ";"))
	}
	return b.String()
}

// order is a statement for a shard with what is said ahead of it.
type order struct {
	message
	remote.Statement
	bare bool // it reads no rows: nothing but the ownership is said ahead
}

// flight lists what goes out for some orders: settings, BEGIN and savepoints that are
// due, then each order's message and statement. lead is how many results come before
// each order's own.
func (l *link) flight(set settings, savepoints []string, orders []order) (all []remote.Statement, lead []int) {
	before := 0
	add := func(sql string, params ...remote.Param) {
		all = append(all, remote.Statement{SQL: sql, Params: params})
		before++
	}
	t := l.told()
	for i, value := range set {
		if value != "" && value != t.settings[i] {
			// SET is no query: it does not look at what the connection was told of the map before.
			add("SET " + passed[i] + " = " + sql.QuoteLiteral(value))
			t.settings[i] = value
		}
	}
	if l.bound && !l.open {
		add("BEGIN")
	}
	for _, q := range l.queued {
		add(q)
	}
	if l.bound {
		for _, name := range savepoints[l.saved:] {
			add("SAVEPOINT " + sql.QuoteIdent(name))
		}
		if l.mark {
			add("SAVEPOINT " + twophase.StatementMark)
			l.mark, l.marked = false, true
		}
	}
	for _, o := range orders {
		if text := o.text(t.ownership); text != "" {
			add("SELECT helios.ctx($1)", textParam(text))
			t.ownership = o.ownership
		}
		all = append(all, o.Statement)
		lead = append(lead, before)
		before = 0
	}
	l.queued = nil
	if l.bound {
		l.open, l.saved = true, len(savepoints)
	}
	return all, lead
}

func textParam(s string) remote.Param {
	return remote.Param{Type: types.TextOID, Format: remote.Text, Value: []byte(s)}
}

// send makes a flight and stands before its first result. The caller must end it with
// finish.
func (l *link) send(ctx context.Context, set settings, savepoints []string, orders []order) (*remote.Rows, []int, error) {
	if err := l.free(); err != nil {
		return nil, nil, err
	}
	statements, lead := l.flight(set, savepoints, orders)
	l.note()
	rows, err := l.conn.Exec(ctx, statements...)
	if err != nil {
		return nil, nil, l.failed(err)
	}
	return rows, lead, nil
}

// skip reads past results; false if an error came first.
func skip(rows *remote.Rows, n int) bool {
	for range n {
		if !rows.NextResult() {
			return false
		}
	}
	return true
}

// finish reads to the end of a flight, hears the shard's timestamp and gives the error.
func (l *link) finish(rows *remote.Rows) error {
	err := rows.Close()
	l.hear()
	return l.failed(err)
}

// hear notes the timestamp that the shard has reported last, and gives it.
func (l *link) hear() hlc.Timestamp {
	if l.conn == nil {
		return 0
	}
	ts, err := parseTimestamp(l.conn.Parameter("helios.ts"))
	if err != nil {
		return 0 // the shard has reported none yet
	}
	l.r.hear(ts)
	return ts
}

// failed notes what an error means for the connection.
func (l *link) failed(err error) error {
	l.err = err
	if err == nil {
		return nil
	}
	if code := types.CodeOf(err); code == "08006" || code == "57P01" || code == "57P02" {
		l.dead = true
	}
	if types.CodeOf(err) == "40003" {
		l.discard = true // the shard will be asked, and refuses what comes of the session then
	}
	if l.conn != nil {
		l.dead = l.dead || l.conn.Broken()
		// a setting made in the failed flight is undone with it
		t := l.told()
		t.settings, t.ownership = settings{}, unknown
	}
	return err
}

// free makes the connection ready for another flight: rows still to be read from it are
// read into memory.
func (l *link) free() error {
	if l.dead {
		return errLostSession(l.shard)
	}
	if l.stream == nil {
		return nil
	}
	s := l.stream
	l.stream = nil
	return s.detach()
}

// errLostSession tells that a shard lost what the transaction did there.
func errLostSession(id cluster.ShardID) error {
	return types.Errorf("40001", "could not go on: shard %d has lost its part of the transaction", id).
		WithHint("The shard failed over or the connection broke. Run the transaction again.")
}

// exec sends plain statements without answers of interest: COMMIT, ROLLBACK and such.
func (l *link) exec(ctx context.Context, text string) error {
	if err := l.free(); err != nil {
		return err
	}
	_, err := l.conn.Run(ctx, remote.Statement{SQL: text, Once: !isPlain(text)})
	l.hear()
	return l.failed(err)
}

func isPlain(text string) bool { return text == "COMMIT" || text == "ROLLBACK" || text == "BEGIN" }

// rollback ends the shard's part of a transaction without a trace; when the shard cannot
// be told, the connection is given up, which has the same effect.
func (l *link) rollback(ctx context.Context) {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if l.stream != nil {
		l.stream.abandon()
		l.stream = nil
	}
	if l.open && !l.dead && l.conn.TxStatus() != 'I' {
		if err := l.exec(ctx, "ROLLBACK"); err != nil {
			l.r.log.Debug("rollback", "shard", l.shard, "err", err)
		}
		l.told().settings = settings{}
	}
	l.release()
}

const rollbackTimeout = 5 * time.Second

// release gives the connection back to its pool.
func (l *link) release() {
	switch {
	case l.conn == nil:
		return
	case l.discard:
		l.conn.Discard()
	default:
		l.conn.Release()
	}
	l.conn = nil
}

// connect gives a link to a shard's primary; more says that the caller holds another.
func (r *Router) connect(ctx context.Context, id cluster.ShardID, more bool) (*link, error) {
	get := r.o.Shards.Get
	if more {
		get = r.o.Shards.GetMore
	}
	conn, err := get(ctx, id, remote.Primary)
	if err != nil {
		return nil, err
	}
	return &link{r: r, shard: id, conn: conn}, nil
}
