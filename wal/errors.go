package wal

import (
	"errors"
	"fmt"
)

// Errors of a log. A write or sync that failed is none of these: it is returned by
// every later call, for a failed sync leaves nobody knowing what the disk holds.
var (
	ErrDamaged   = errors.New("wal: a durable part of the log is damaged")
	ErrClosed    = errors.New("wal: the log is closed")
	ErrReleased  = errors.New("wal: the LSN is below the kept log")
	ErrBeyondEnd = errors.New("wal: the LSN is above the end of the log")
	ErrTruncated = errors.New("wal: the log was cut below the LSN")
	ErrBoundary  = errors.New("wal: no record begins at the LSN")
	ErrTooLarge  = errors.New("wal: the record is too large")
	ErrRefused   = errors.New("wal: the record does not continue the log")
)

// DamageError says where the log is damaged. It is an ErrDamaged: the node must not
// use this log and is filled anew from a peer.
type DamageError struct {
	LSN    LSN
	Reason string
}

func (e *DamageError) Error() string { return fmt.Sprintf("%v at %v: %s", ErrDamaged, e.LSN, e.Reason) }

// Unwrap returns ErrDamaged.
func (e *DamageError) Unwrap() error { return ErrDamaged }

// damage makes a DamageError of bytes that are no record; other errors stay themselves.
func damage(at LSN, err error) error {
	if notARecord(err) {
		return &DamageError{LSN: at, Reason: err.Error()}
	}
	return err
}
