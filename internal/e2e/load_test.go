//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// load runs clients that do one piece of work after the other until it is stopped.
type load struct {
	t        testing.TB
	done     atomic.Int64 // pieces of work that were acknowledged
	stopping atomic.Bool
	clients  sync.WaitGroup

	mu struct {
		sync.Mutex
		failed map[string]int // by SQLSTATE, or "connection"
		errs   map[string]string
	}
}

func newLoad(t testing.TB) *load {
	l := &load{t: t}
	l.mu.failed, l.mu.errs = map[string]int{}, map[string]string{}
	t.Cleanup(l.stop)
	return l
}

// workLimit is how long a statement may take before it counts as hanging.
const workLimit = 60 * time.Second

// client starts one. A failed piece of work is counted and the next one begins, on a new
// connection where the old one is gone.
func (l *load) client(url string, work func(ctx context.Context, conn *pgx.Conn) error) {
	l.clients.Go(func() {
		var conn *pgx.Conn
		defer func() {
			if conn != nil {
				conn.Close(context.Background())
			}
		}()
		for !l.stopping.Load() {
			ctx, cancel := context.WithTimeout(context.Background(), workLimit)
			var err error
			if conn == nil || conn.IsClosed() {
				conn, err = pgx.Connect(ctx, url)
			}
			if err == nil {
				err = work(ctx, conn)
			}
			cancel()
			if err == nil {
				l.done.Add(1)
				continue
			}
			l.note(err)
			if conn != nil && !conn.IsClosed() && conn.PgConn().TxStatus() != 'I' {
				conn.Close(context.Background())
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

func (l *load) note(err error) {
	code := "connection"
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		code = pg.Code
	case errors.Is(err, errWrong):
		code = "wrong"
	case errors.Is(err, context.DeadlineExceeded):
		code = "hang"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.failed[code]++
	l.mu.errs[code] = err.Error()
}

// errWrong marks an answer that cannot be.
var errWrong = errors.New("wrong answer")

// stop ends the clients after what they are doing.
func (l *load) stop() {
	l.stopping.Store(true)
	l.clients.Wait()
}

// check fails the test if work failed with a code that is not allowed.
func (l *load) check(allowed ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for code, n := range l.mu.failed {
		if !slices.Contains(allowed, code) {
			l.t.Errorf("%d pieces of work failed with %s, such as: %s", n, code, l.mu.errs[code])
		}
	}
}

// failures lists what failed, for the figures.
func (l *load) failures() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, code := range slices.Sorted(maps.Keys(l.mu.failed)) {
		list = append(list, fmt.Sprintf("%d × %s", l.mu.failed[code], code))
	}
	if len(list) == 0 {
		return "none failed"
	}
	return "failed: " + strings.Join(list, ", ")
}

// ids collects the keys of acknowledged rows.
type ids struct {
	next atomic.Int64
	mu   struct {
		sync.Mutex
		acked []int64
	}
}

func (i *ids) ack(id int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mu.acked = append(i.mu.acked, id)
}

func (i *ids) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.mu.acked)
}

// missing are the acknowledged keys that a table lacks.
func (i *ids) missing(t testing.TB, conn *pgx.Conn, table string) []int64 {
	t.Helper()
	there := map[int64]bool{}
	for _, id := range column[int64](t, conn, "SELECT id FROM "+table) {
		if there[id] {
			t.Errorf("%s holds %d twice", table, id)
		}
		there[id] = true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []int64
	for _, id := range i.mu.acked {
		if !there[id] {
			out = append(out, id)
		}
	}
	return out
}

func column[T any](t testing.TB, conn *pgx.Conn, sql string) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// bank is money that moves between accounts on all shards, each transfer with a row in a
// ledger.
type bank struct {
	accounts int
	moved    ids
}

const opening = 1000

func newBank(t testing.TB, conn *pgx.Conn, accounts int) *bank {
	t.Helper()
	mustExec(t, conn, "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)")
	mustExec(t, conn, "CREATE TABLE ledger (id bigint PRIMARY KEY, payer bigint, payee bigint, amount bigint)")
	mustExec(t, conn, fmt.Sprintf("INSERT INTO accounts SELECT i, %d FROM generate_series(1, %d) i", opening, accounts))
	return &bank{accounts: accounts}
}

func (b *bank) total() int64 { return int64(b.accounts) * opening }

// transfer moves money in an explicit transaction of three statements on up to three
// shards. It takes the lower account first, so that two never wait for one another.
func (b *bank) transfer(ctx context.Context, conn *pgx.Conn) error {
	payer, payee := rand.Int64N(int64(b.accounts))+1, rand.Int64N(int64(b.accounts))+1
	if payer == payee {
		payee = payer%int64(b.accounts) + 1
	}
	amount, id := rand.Int64N(20)+1, b.moved.next.Add(1)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit there is none
	first, second, sign := payer, payee, int64(-1)
	if payee < payer {
		first, second, sign = payee, payer, 1
	}
	const update = "UPDATE accounts SET balance = balance + $1 WHERE id = $2"
	for _, step := range [][2]int64{{sign * amount, first}, {-sign * amount, second}} {
		tag, err := tx.Exec(ctx, update, step[0], step[1])
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("%w: account %d was not there", errWrong, step[1])
		}
	}
	if _, err := tx.Exec(ctx, "INSERT INTO ledger VALUES ($1, $2, $3, $4)", id, payer, payee, amount); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	b.moved.ack(id)
	return nil
}

// sum reads the sum of all balances in one snapshot: as one statement, and as two
// statements of a REPEATABLE READ transaction.
func (b *bank) sum(ctx context.Context, conn *pgx.Conn) error {
	var alone, low, high int64
	if err := conn.QueryRow(ctx, "SELECT sum(balance)::bigint FROM accounts").Scan(&alone); err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit there is none
	half := b.accounts / 2
	if err := tx.QueryRow(ctx, "SELECT sum(balance)::bigint FROM accounts WHERE id <= $1", half).Scan(&low); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, "SELECT sum(balance)::bigint FROM accounts WHERE id > $1", half).Scan(&high); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	if alone != b.total() || low+high != b.total() {
		return fmt.Errorf("%w: the sum is %d in a statement, %d in a snapshot, want %d", errWrong, alone, low+high, b.total())
	}
	return nil
}

// audit compares every balance with the ledger, and the ledger with what was acknowledged.
func (b *bank) audit(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	if got := value[int64](t, conn, "SELECT sum(balance)::bigint FROM accounts"); got != b.total() {
		t.Errorf("the sum is %d, want %d", got, b.total())
	}
	want := map[int64]int64{}
	rows, err := conn.Query(t.Context(), "SELECT payer, payee, amount FROM ledger")
	if err != nil {
		t.Fatal(err)
	}
	var payer, payee, amount int64
	if _, err := pgx.ForEachRow(rows, []any{&payer, &payee, &amount}, func() error {
		want[payer] -= amount
		want[payee] += amount
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rows, err = conn.Query(t.Context(), "SELECT id, balance FROM accounts")
	if err != nil {
		t.Fatal(err)
	}
	var id, balance int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &balance}, func() error {
		if balance != opening+want[id] {
			t.Errorf("account %d has %d, the ledger says %d", id, balance, opening+want[id])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if lost := b.moved.missing(t, conn, "ledger"); len(lost) > 0 {
		t.Errorf("%d acknowledged transfers are lost, such as %d", len(lost), lost[0])
	}
}
