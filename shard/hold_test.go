package shard

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestHoldForRouter keeps what a router reads for as long as the router says so.
func TestHoldForRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := openReplicated(t, syncedRoot(t))
		defer closeShard(t, s)
		s.Permit(1)
		s.Advance(end)
		done := make(chan error, 1)
		go func() { done <- s.Lead(t.Context(), 1) }()
		synctest.Wait()
		s.Advance(s.log.End())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		beat := func(d time.Duration) { // time passes, and the log with it
			for range int(d / time.Second) {
				time.Sleep(time.Second)
				go s.raiseCeiling(t.Context())
				synctest.Wait()
				s.Advance(s.log.End())
				synctest.Wait()
			}
		}
		beat(10 * time.Second)
		if got := s.garbageHorizon(); got != 0 {
			t.Errorf("a new primary, which has not heard from routers: horizon %v", got)
		}
		read := s.Visible()
		for range 20 {
			beat(5 * time.Second)
			s.HoldForRouter("router 1", read)
		}
		if got := s.garbageHorizon(); got != read {
			t.Errorf("the horizon is %v, a router reads %v", got, read)
		}
		if r, err := s.read(t.Context(), read, &start{}, true); err != nil {
			t.Errorf("the router's read: %v", err)
		} else {
			r.close()
		}
		beat(holdSilence + 2*time.Second)
		if got := s.garbageHorizon(); got <= read {
			t.Errorf("the router is silent, the horizon still %v", got)
		}
		if held := s.Holds(); len(held) != 0 {
			t.Errorf("held: %v", held)
		}
	})
}

// TestBehindHorizon reads at a timestamp below the garbage horizon: a router that has heard
// nothing for long is told to begin again, a transaction's own snapshot is lost.
func TestBehindHorizon(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	c := s.session()
	c.run("CREATE TABLE t (id int PRIMARY KEY)")
	before := s.Visible()
	c.run("INSERT INTO t VALUES (1)")
	if _, err := s.store().GC(t.Context(), nil, nil, s.Visible()); err != nil {
		t.Fatal(err)
	}
	for mode, code := range map[string]string{"": "ZH002", " f=2": "ZH002", " f=1": "72000"} {
		c.run("BEGIN")
		c.run(fmt.Sprintf("SELECT helios.ctx('t=%d%s')", uint64(before), mode))
		c.refused("SELECT count(*) FROM t", code)
		c.run("ROLLBACK")
	}
}
