package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heliosdb/helios/types"
)

// slow makes a session with a table whose scans wait until they are told to stop.
func slow(t *testing.T) *client {
	h, _ := newHost()
	c := open(t, h, "postgres")
	c.simple("create table slow (id int primary key)")
	return c
}

func TestStatementTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slow(t)
		c.simple("set statement_timeout = 50")
		start := time.Now()
		got := c.simple("select 1; select * from slow; select 2")
		if want := "ERROR 57014: canceling statement due to statement timeout\n[I]\n"; !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q at its end", got, want)
		}
		if got, want := time.Since(start), 50*time.Millisecond; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		if got, want := c.simple("select 1"), "columns ?column?\n  1\nSELECT 1\n[I]\n"; got != want {
			t.Errorf("afterwards: got %q, want %q", got, want)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slow(t)
		c.Cancel() // between calls: nothing to cancel
		done := make(chan string)
		go func() { done <- c.simple("begin; select * from slow") }()
		synctest.Wait()
		c.Cancel()
		if got, want := <-done, "BEGIN\nERROR 57014: canceling statement due to user request\n[E]\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestIdleTimeouts(t *testing.T) {
	for _, test := range []struct{ setting, before, code string }{
		{"idle_in_transaction_session_timeout", "begin", "25P03"},
		{"idle_session_timeout", "select 1", "57P05"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := slow(t)
			c.simple("set " + test.setting + " = '1s'")
			c.simple(test.before)
			time.Sleep(900 * time.Millisecond)
			synctest.Wait()
			c.simple(test.before) // starts it anew
			time.Sleep(999 * time.Millisecond)
			synctest.Wait()
			if got := c.out.end(); got != "" {
				t.Errorf("%s: too early: %q", test.setting, got)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if got, want := c.out.end(), "terminated "+test.code; !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %q, want %q", test.setting, got, want)
			}
		})
	}
}

// TestHostKnowsItsSessions covers pg_stat_activity's source, cancel and terminate by process id.
func TestHostKnowsItsSessions(t *testing.T) {
	h, _ := newHost()
	c := open(t, h, "postgres")
	c.simple("begin")
	sessions := h.Sessions()
	if len(sessions) != 1 {
		t.Fatalf("%d sessions, want 1", len(sessions))
	}
	if got, want := sessions[0].Activity().State, "idle in transaction"; got != want {
		t.Errorf("state %q, want %q", got, want)
	}
	if h.Cancel(1) || !h.Cancel(42) || !h.Terminate(42) {
		t.Error("Cancel and Terminate must find process 42 and no other")
	}
	if got, want := c.out.end(), "terminated 57P01"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Close()
	if got := len(h.Sessions()); got != 0 {
		t.Errorf("%d sessions after Close", got)
	}
}

// TestFailAbortsTheTransaction is what the server does after bytes it cannot read.
func TestFailAbortsTheTransaction(t *testing.T) {
	h, _ := newHost()
	c := open(t, h, "postgres")
	c.simple("create table t (id int primary key)")
	c.simple("begin; insert into t values (1)")
	c.Fail(types.Errorf("08P01", "protocol violation"))
	if got, want := c.TxStatus(), byte('E'); got != want {
		t.Errorf("status %c, want %c", got, want)
	}
	c.simple("rollback")
	if got, want := c.simple("select count(*) from t"), "columns count\n  0\nSELECT 1\n[I]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
