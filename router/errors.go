package router

import (
	"context"
	"strconv"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/types"
)

// What a shard's answer means for the statement.
type verdict int

const (
	final      verdict = iota // the client's to know
	staleMap                  // ZH001: another shard owns what was asked for
	staleMade                 // ZH003: planned for another catalog
	newer                     // ZH002: run again at or above a timestamp
	noPrimary                 // 57P03: nothing was done, look for the new primary
	neverSent                 // the connection broke before anything was sent
	lostAnswer                // the connection broke afterwards: done or not, nobody knows
)

func judge(err error) verdict {
	switch types.CodeOf(err) {
	case "ZH001":
		return staleMap
	case "ZH003":
		return staleMade
	case "ZH002":
		return newer
	case "57P03":
		return noPrimary
	case "08006", "08001", "57P01", "57P02":
		if remote.NotSent(err) {
			return neverSent
		}
		return lostAnswer
	}
	return final
}

// passing tells errors that another try may not meet.
func passing(err error) bool {
	v := judge(err)
	return v == noPrimary || v == neverSent || v == lostAnswer
}

// restartAt reads the timestamp of ZH002.
func restartAt(err error) hlc.Timestamp {
	n, perr := strconv.ParseUint(types.AsError(err).Detail, 10, 63)
	if perr != nil {
		return 0
	}
	return hlc.Timestamp(n)
}

// public turns what must not reach a client into what may.
func public(err error) error {
	if err == nil {
		return nil
	}
	switch judge(err) {
	case staleMap:
		return serialization(err, "the rows have moved to another shard")
	case staleMade:
		return serialization(err, "the schema has changed")
	case newer:
		return serialization(err, "a newer version was met")
	case neverSent, lostAnswer:
		return serialization(err, "a shard was lost")
	}
	return err
}

func serialization(cause error, why string) error {
	e := types.Errorf("40001", "could not serialize access: %s while the statement ran", why).
		WithHint("Run the transaction again.")
	e.Cause = cause
	return e
}

// unknownOutcome is the answer when a commit's fate cannot be found out in time.
func unknownOutcome(cause error) *types.Error {
	e := types.Errorf("40003", "the outcome of the statement is unknown: the connection to the shard broke").
		WithHint("It may have taken effect; look before you run it again.")
	e.Cause = cause
	return e
}

// sleep waits, or fails when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return cancelled(ctx)
	}
}

// cancelled words the end of a context.
func cancelled(ctx context.Context) error {
	cause := context.Cause(ctx)
	if e := types.AsError(cause); e.Code != "XX000" {
		return e
	}
	return types.Errorf("57014", "canceling statement due to user request")
}
