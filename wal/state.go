package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	stateMagic = "HELIOSST"
	stateFile  = "state"
	stateBytes = 56 // without terms and CRC
	termBytes  = 12
)

// pending is a change of the whole log that a crash may have interrupted.
type pending uint32

const (
	nothing pending = iota
	pendingCut
	pendingReset
)

// TermStart is the beginning of a term: the LSN of its TERM_START record.
type TermStart struct {
	Term uint32
	LSN  LSN
}

// state is the small file beside the segments: see docs/format/wal.md.
type state struct {
	start   LSN
	newest  LSN
	pending pending
	base    Base // where a pending cut or reset ends the log
	terms   []TermStart
}

func (s state) encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, stateBytes+termBytes*len(s.terms)+4), stateMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, uint32(s.pending))
	b = le.AppendUint64(b, uint64(s.start))
	b = le.AppendUint64(b, uint64(s.newest))
	b = le.AppendUint64(b, uint64(s.base.LSN))
	b = le.AppendUint64(b, s.base.Chain)
	b = le.AppendUint32(b, s.base.Prev)
	b = le.AppendUint32(b, uint32(len(s.terms)))
	for _, t := range s.terms {
		b = le.AppendUint32(b, t.Term)
		b = le.AppendUint64(b, uint64(t.LSN))
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeState(b []byte) (state, error) {
	le := binary.LittleEndian
	if len(b) < stateBytes+4 || string(b[:8]) != stateMagic {
		return state{}, errors.New("the state file is no state file")
	}
	body, sum := b[:len(b)-4], le.Uint32(b[len(b)-4:])
	n := int(le.Uint32(b[52:]))
	switch {
	case crc32.Checksum(body, castagnoli) != sum:
		return state{}, errors.New("the state file's checksum does not match")
	case le.Uint32(b[8:]) != formatVersion:
		return state{}, fmt.Errorf("the state file has format version %d, this program reads %d", le.Uint32(b[8:]), formatVersion)
	case le.Uint32(b[12:]) > uint32(pendingReset) || (len(body)-stateBytes) != n*termBytes:
		return state{}, errors.New("the state file is malformed")
	}
	s := state{
		pending: pending(le.Uint32(b[12:])), start: LSN(le.Uint64(b[16:])), newest: LSN(le.Uint64(b[24:])),
		base: Base{LSN: LSN(le.Uint64(b[32:])), Chain: le.Uint64(b[40:]), Prev: le.Uint32(b[48:])},
	}
	for rest := body[stateBytes:]; len(rest) > 0; rest = rest[termBytes:] {
		s.terms = append(s.terms, TermStart{Term: le.Uint32(rest), LSN: LSN(le.Uint64(rest[4:]))})
	}
	return s, nil
}

// readState reads the state file; ok is false when there is none.
func readState(fs vfs.FS, dir string) (s state, ok bool, err error) {
	f, err := fs.Open(fs.PathJoin(dir, stateFile))
	if isNotExist(err) {
		return state{}, false, nil
	}
	if err != nil {
		return state{}, false, err
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return state{}, false, err
	}
	if s, err = decodeState(b); err != nil {
		return state{}, false, &DamageError{Reason: err.Error()}
	}
	return s, true, nil
}

// writeState replaces the state file and returns when that is durable.
func writeState(fs vfs.FS, dir string, s state) error {
	path := fs.PathJoin(dir, stateFile)
	f, err := fs.Create(path+".tmp", category)
	if err != nil {
		return err
	}
	_, err = f.Write(s.encode())
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// termsBelow returns the terms that began below lsn.
func termsBelow(terms []TermStart, lsn LSN) []TermStart {
	i := slices.IndexFunc(terms, func(t TermStart) bool { return t.LSN >= lsn })
	if i < 0 {
		return slices.Clone(terms)
	}
	return slices.Clone(terms[:i])
}

func lastTerm(terms []TermStart) uint32 {
	if len(terms) == 0 {
		return 0
	}
	return terms[len(terms)-1].Term
}
