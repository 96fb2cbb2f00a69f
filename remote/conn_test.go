package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/heliosdb/helios/types"
)

// onConn runs f with one connection to a toy shard, in a bubble: every goroutine must
// have ended when it returns.
func onConn(t *testing.T, change func(*Options), f func(t *testing.T, shard *toyShard, conn *Conn)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		shard := n.start(t, "a:1")
		client := newTestClient(t, n, change)
		conn, err := client.Pool("a:1", "db").Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		shard.asked()
		f(t, shard, conn)
	})
}

// read prints all results of rows.
func read(rows *Rows, err error) string {
	if err != nil {
		return fmt.Sprint("no rows: ", types.CodeOf(err))
	}
	var out []string
	for rows.NextResult() {
		for rows.Next() {
			out = append(out, fmt.Sprintf("%q", rows.Raw()))
		}
		if rows.Tag() != "" {
			out = append(out, rows.Tag())
		}
	}
	if err := rows.Close(); err != nil {
		out = append(out, types.CodeOf(err))
	}
	return strings.Join(out, " ")
}

func stmt(sql string, params ...string) Statement {
	s := Statement{SQL: sql}
	for _, p := range params {
		s.Params = append(s.Params, Param{Type: types.TextOID, Value: []byte(p)})
	}
	return s
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestExecFlight(t *testing.T) {
	onConn(t, nil, func(t *testing.T, shard *toyShard, conn *Conn) {
		ctx := t.Context()
		check(t, "first", read(conn.Exec(ctx, stmt("ts 41"), stmt("select $1", "x"))), `TS ["x"] SELECT 1`)
		check(t, "asked", shard.asked(), "parse ts 41, run ts 41, parse select $1, run select $1 (1 writes)")
		check(t, "helios.ts", conn.Parameter("helios.ts"), "41")

		check(t, "again", read(conn.Exec(ctx, stmt("ts 41"), stmt("select $1", "y"))), `TS ["y"] SELECT 1`)
		check(t, "asked again", shard.asked(), "run ts 41, run select $1 (1 writes)")

		// The same new text twice in one flight is prepared once.
		check(t, "twice", read(conn.Exec(ctx, stmt("rows 1"), stmt("rows 1"))), `["0"] SELECT 1 ["0"] SELECT 1`)
		check(t, "asked twice", shard.asked(), "parse rows 1, run rows 1, run rows 1 (1 writes)")

		// An error in what goes before skips the statement: it fails closed.
		check(t, "fail first", read(conn.Exec(ctx, stmt("fail"), stmt("select $1", "z"))), `23505`)
		check(t, "asked", shard.asked(), "parse fail, run fail (1 writes)")

		once := stmt("prepare 'hx:7:912:2'")
		once.Once = true
		check(t, "transaction", read(conn.Exec(ctx, stmt("begin"), stmt("rows 2"), once)), `BEGIN ["0"] ["1"] SELECT 2 PREPARE`)
		check(t, "status", string(conn.TxStatus()), "T")
		check(t, "simple", read(conn.Query(ctx, "ts 42; commit")), "TS COMMIT")
		check(t, "helios.ts", conn.Parameter("helios.ts"), "42")

		tag, err := conn.Run(ctx, stmt("rows 5"))
		check(t, "run", fmt.Sprint(tag, err), "SELECT 5<nil>")
		_, err = conn.Run(ctx, stmt("rows 5"), stmt("fail"))
		check(t, "run", types.CodeOf(err), "23505")
	})
}

func TestExecBinary(t *testing.T) {
	onConn(t, nil, func(t *testing.T, _ *toyShard, conn *Conn) {
		for range 2 { // by Describe of the portal, then by the prepared statement's description
			rows, err := conn.Exec(t.Context(), Statement{SQL: "rows 3", Result: Binary})
			if err != nil {
				t.Fatal(err)
			}
			if !rows.NextResult() {
				t.Fatal(rows.Err())
			}
			column := rows.Columns()[0]
			if column.Type.OID != types.Int8OID || column.Format != Binary || column.Name != "v" {
				t.Errorf("column %+v", column)
			}
			sum := int64(0)
			for rows.Next() {
				v, err := types.ParseBinary(column.Type, rows.Raw()[0])
				if err != nil {
					t.Fatal(err)
				}
				sum += v.AsInt()
			}
			if err := rows.Close(); err != nil || sum != 3 {
				t.Errorf("sum %d, %v", sum, err)
			}
		}
		rows, err := conn.Exec(t.Context(), Statement{
			SQL:    "select $1",
			Params: []Param{{types.Int4OID, Binary, binary.BigEndian.AppendUint32(nil, 7)}},
			Result: Binary,
		})
		check(t, "parameter", read(rows, err), `["\x00\x00\x00\a"] SELECT 1`)
		check(t, "null", read(conn.Exec(t.Context(), Statement{SQL: "select $1", Params: []Param{{}}})), `[""] SELECT 1`)
	})
}

func TestExecErrors(t *testing.T) {
	onConn(t, nil, func(t *testing.T, shard *toyShard, conn *Conn) {
		ctx := t.Context()
		_, err := conn.Run(ctx, stmt("fail"))
		var e *types.Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		got := *e
		got.Cause = nil
		want := types.Error{
			Code: "23505", Message: "duplicate key", Detail: "Key (a)=(1) already exists.", Hint: "Use another.",
			Position: 3, Where: "line 1", Schema: "public", Table: "t", Column: "a", DataType: "int4", Constraint: "t_pkey",
		}
		if got != want {
			t.Errorf("got %+v", got)
		}
		check(t, "notice", read(conn.Exec(ctx, stmt("notice"))), "NOTICE")
		if n := conn.Notices(); len(n) != 1 || n[0].Message != "take note" || n[0].Hint != "Look closer." || n[0].Severity != "NOTICE" {
			t.Errorf("notices %v", n)
		}

		// What could not be parsed is parsed again the next time; so is what it took along.
		shard.asked()
		check(t, "nonsense", read(conn.Exec(ctx, stmt("nonsense"), stmt("rows 1"))), "42601")
		check(t, "after", read(conn.Exec(ctx, stmt("rows 1"))), `["0"] SELECT 1`)
		check(t, "asked", shard.asked(), "parse nonsense, close , close , parse rows 1, run rows 1 (2 writes)")

		// A plan that the node calls outdated is made anew.
		check(t, "moved", read(conn.Exec(ctx, stmt("moved"))), "0A000")
		check(t, "moved", read(conn.Exec(ctx, stmt("moved"))), "0A000")
		check(t, "moved", read(conn.Exec(ctx, stmt("moved"))), "0A000")
		check(t, "asked", shard.asked(), "parse moved, run moved, run moved, close moved, parse moved, run moved (3 writes)")

		// Rows not read are read past.
		rows, err := conn.Exec(ctx, stmt("rows 9"), stmt("rows 9"))
		if err != nil || !rows.NextResult() || !rows.Next() {
			t.Fatal(err)
		}
		if err := errors.Join(rows.Close(), rows.Close()); err != nil {
			t.Error(err)
		}
		check(t, "after", read(conn.Exec(ctx, stmt("rows 1"))), `["0"] SELECT 1`)
	})
}

func TestStatementCache(t *testing.T) {
	onConn(t, func(o *Options) { o.StatementsMax = 2 }, func(t *testing.T, shard *toyShard, conn *Conn) {
		run := func(sql string) {
			t.Helper()
			if _, err := conn.Run(t.Context(), stmt(sql)); err != nil {
				t.Error(err)
			}
		}
		run("rows 1")
		run("rows 2")
		run("rows 1")
		run("rows 3") // drops "rows 2", which is closed with the next flight
		run("rows 1")
		run("rows 2")
		check(t, "asked", shard.asked(), strings.Join([]string{
			"parse rows 1, run rows 1", "parse rows 2, run rows 2", "run rows 1", "parse rows 3, run rows 3",
			"close rows 2, run rows 1", "parse rows 2, run rows 2 (6 writes)",
		}, ", "))
		// More new statements in one flight than are kept.
		if _, err := conn.Run(t.Context(), stmt("rows 4"), stmt("rows 5"), stmt("rows 6"), stmt("rows 7")); err != nil {
			t.Error(err)
		}
		run("rows 4")
	})
}

// TestCancel ends statements by their context: the node is told, and the connection lives.
func TestCancel(t *testing.T) {
	onConn(t, nil, func(t *testing.T, shard *toyShard, conn *Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check(t, "deadline", read(conn.Exec(ctx, stmt("hang"))), "57014")
		<-shard.hanging
		check(t, "deadline", read(conn.Query(context.WithoutCancel(ctx), "rows 1")), `["0"] SELECT 1`)
		check(t, "ended before", read(conn.Exec(ctx, stmt("rows 1"))), "no rows: 57014")

		go func() {
			<-shard.hanging
			if err := conn.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		check(t, "cancel", read(conn.Exec(t.Context(), stmt("hang"))), "57014")
		check(t, "simple", read(conn.Query(t.Context(), "rows 1")), `["0"] SELECT 1`)
		if conn.Broken() {
			t.Error("the connection did not survive")
		}
	})
}

// TestCancelDeaf gives a connection up whose node does not react.
func TestCancelDeaf(t *testing.T) {
	onConn(t, nil, func(t *testing.T, shard *toyShard, conn *Conn) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check(t, "deaf", read(conn.Exec(ctx, stmt("deaf"))), "57014")
		if took := time.Since(start); took != 3*time.Second || !conn.Broken() {
			t.Errorf("took %v, broken %v", took, conn.Broken())
		}
		shard.stop()
	})
}

func TestCopy(t *testing.T) {
	onConn(t, nil, func(t *testing.T, _ *toyShard, conn *Conn) {
		ctx := t.Context()
		tag, err := conn.CopyIn(ctx, "copy in", strings.NewReader(strings.Repeat("row\n", 100_000)))
		check(t, "in", fmt.Sprint(tag, " ", err), "COPY 100000 <nil>")
		_, err = conn.CopyIn(ctx, "copy in", iotest.ErrReader(errReader))
		check(t, "in", types.CodeOf(err), "57014")
		var out bytes.Buffer
		tag, err = conn.CopyOut(ctx, "copy out", &out)
		check(t, "out", fmt.Sprintf("%q %s %v", out.String(), tag, err), `"0\n1\n2\n" COPY 3 <nil>`)
		_, err = conn.CopyOut(ctx, "fail", &out)
		check(t, "out", types.CodeOf(err), "23505")
		check(t, "after", read(conn.Exec(ctx, stmt("rows 1"))), `["0"] SELECT 1`)
	})
}

// TestLost tells a connection that broke amid a statement from one that broke before.
func TestLost(t *testing.T) {
	onConn(t, nil, func(t *testing.T, shard *toyShard, conn *Conn) {
		_, err := conn.Run(t.Context(), stmt("crash"))
		if types.CodeOf(err) != "XX000" || !conn.Broken() {
			t.Errorf("got %v, broken %v", err, conn.Broken())
		}
		_, err = conn.Run(t.Context(), stmt("rows 1"))
		if !NotSent(err) || Lost(err) {
			t.Errorf("got %v", err)
		}
	})
	onConn(t, nil, func(t *testing.T, shard *toyShard, conn *Conn) {
		go func() {
			<-shard.hanging
			conn.pg.Conn().Close()
		}()
		_, err := conn.Run(t.Context(), stmt("deaf"))
		if !Lost(err) || NotSent(err) {
			t.Errorf("got %v", err)
		}
		shard.stop()
	})
}
