package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// HeaderBytes is the size of a record without its payload.
const HeaderBytes = 42

// MaxRecordBytes is the size of the largest record, header included.
const MaxRecordBytes = 1 << 30

// LSN is the byte offset of a record's first byte in a shard's endless log. It shows
// as PostgreSQL shows one: two halves in hex.
type LSN uint64

// String shows the LSN's upper and lower half in hex.
func (l LSN) String() string { return fmt.Sprintf("%X/%08X", uint32(l>>32), uint32(l)) }

// Type says what a record does. The log itself looks at TypeTermStart alone.
type Type uint8

// The record types.
const (
	TypeTxn        Type = iota + 1 // a committed transaction
	TypeTxnPart                    // a piece of a transaction too large for one record
	TypePrepare                    // a participant's prepared transaction
	TypeDecision                   // an owner's rows and its commit or abort of a gid
	TypeResolve                    // a participant's COMMIT PREPARED or ROLLBACK PREPARED
	TypeTermStart                  // the first record of a primary's term
	TypeHeartbeat                  // ceiling, closed timestamp, garbage horizon
	TypeSeqMark                    // a sequence's mark
	TypeSyncSet                    // which standbys the commit rule counts
	TypeOwn                        // a slot, range or cell changes hands
	TypeSeal                       // no more writes to what is moving
	TypeReadsOff                   // no more fresh reads of what is moving
	TypeDrop                       // clean-up of a moved or dropped range
	TypeIngest                     // sorted tables taken over whole
	TypeCheckpoint                 // a point from which replay may start
	TypeHandover                   // the last record before a switchover
	TypeOutcome                    // what a session's numbered statement did
)

var typeNames = [...]string{
	"", "TXN", "TXN_PART", "PREPARE", "DECISION", "RESOLVE", "TERM_START", "HEARTBEAT", "SEQ_MARK", "SYNC_SET",
	"OWN", "SEAL", "READS_OFF", "DROP", "INGEST", "CHECKPOINT", "HANDOVER", "OUTCOME",
}

// String returns the type's name in docs/format/wal.md.
func (t Type) String() string {
	if t.valid() {
		return typeNames[t]
	}
	return fmt.Sprintf("TYPE(%d)", uint8(t))
}

func (t Type) valid() bool { return t > 0 && int(t) < len(typeNames) }

// FlagLossy marks a TERM_START: answered writes of the terms before may be missing, and no
// snapshot below the record's time is what it was.
const FlagLossy uint8 = 1

// Record is one entry of the log. Its payload is never changed by anyone: it may be
// kept, and it must not be written to.
type Record struct {
	LSN     LSN // of the record's first byte
	Prev    uint32
	Term    uint32
	Type    Type
	Flags   uint8
	TxID    uint64
	Time    uint64 // commit timestamp, 0 for none
	Payload []byte
	crc     uint32
}

// End returns the LSN right after the record, where the next one begins.
func (r Record) End() LSN { return r.LSN + LSN(HeaderBytes+len(r.Payload)) }

func (r Record) length() uint32 { return uint32(HeaderBytes + len(r.Payload)) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Reasons why bytes are no record; errShort means that more bytes might make one.
var (
	errShort  = errors.New("the record is cut short")
	errLength = errors.New("the length is impossible")
	errCRC    = errors.New("the checksum does not match")
	errLSN    = errors.New("the record belongs elsewhere in the log")
	errType   = errors.New("the record type is unknown")
)

// DecodeRecord reads the record at the beginning of b, which must be the one at LSN
// at. The payload aliases b.
func DecodeRecord(b []byte, at LSN) (Record, error) {
	n, err := recordLength(b)
	if err != nil {
		return Record{}, err
	}
	if len(b) < n {
		return Record{}, errShort
	}
	le := binary.LittleEndian
	r := Record{
		LSN: LSN(le.Uint64(b[8:])), Prev: le.Uint32(b[16:]), Term: le.Uint32(b[20:]), Type: Type(b[24]), Flags: b[25],
		TxID: le.Uint64(b[26:]), Time: le.Uint64(b[34:]), Payload: b[HeaderBytes:n:n], crc: le.Uint32(b[4:]),
	}
	switch {
	case r.LSN != at:
		return Record{}, fmt.Errorf("%w: it says %v", errLSN, r.LSN)
	case crc32.Checksum(b[8:n], castagnoli) != r.crc:
		return Record{}, errCRC
	case !r.Type.valid():
		return Record{}, fmt.Errorf("%w: %d", errType, r.Type)
	}
	return r, nil
}

// recordLength returns the length that the record at the beginning of b claims.
func recordLength(b []byte) (int, error) {
	if len(b) < HeaderBytes {
		return 0, errShort
	}
	n := binary.LittleEndian.Uint32(b)
	if n < HeaderBytes || n > MaxRecordBytes {
		return 0, fmt.Errorf("%w: %d", errLength, n)
	}
	return int(n), nil
}

// CountRecords returns how many whole records b holds, which begins with one.
func CountRecords(b []byte) (n int) {
	for {
		length, err := recordLength(b)
		if err != nil || len(b) < length {
			return n
		}
		b, n = b[length:], n+1
	}
}

// append adds the encoded record to dst and fills in its CRC.
func (r *Record) append(dst []byte) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = le.AppendUint32(dst, r.length())
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, uint64(r.LSN))
	dst = le.AppendUint32(dst, r.Prev)
	dst = le.AppendUint32(dst, r.Term)
	dst = append(dst, byte(r.Type), r.Flags)
	dst = le.AppendUint64(dst, r.TxID)
	dst = le.AppendUint64(dst, r.Time)
	dst = append(dst, r.Payload...)
	r.crc = crc32.Checksum(dst[at+8:], castagnoli)
	le.PutUint32(dst[at+4:], r.crc)
	return dst
}

// point is a place between two records and what must be known there to go on: it
// checks that a record is the next one, and steps over it.
type point struct {
	lsn   LSN
	prev  uint32 // length of the record before
	term  uint32 // of the record before
	chain uint64 // hash over the CRCs of all records before
}

var errOrder = errors.New("the record does not follow the one before it")

// step moves the point over r, or says why r cannot come next.
func (p *point) step(r Record) error {
	switch {
	case r.LSN != p.lsn:
		return fmt.Errorf("%w: at %v, not %v", errOrder, r.LSN, p.lsn)
	case r.Prev != p.prev:
		return fmt.Errorf("%w: it follows %d bytes, not %d", errOrder, r.Prev, p.prev)
	case r.Term < p.term:
		return fmt.Errorf("%w: term %d after %d", errOrder, r.Term, p.term)
	case r.Term > p.term && r.Type != TypeTermStart:
		return fmt.Errorf("%w: term %d begins with %v", errOrder, r.Term, r.Type)
	case r.Type == TypeTermStart && r.Term == p.term:
		return fmt.Errorf("%w: term %d begins twice", errOrder, r.Term)
	}
	*p = point{lsn: r.End(), prev: r.length(), term: r.Term, chain: chain(p.chain, r.crc)}
	return nil
}

const chainStart = 14695981039346656037 // FNV-1a's offset basis

// chain is FNV-1a over the four bytes of a record's CRC.
func chain(h uint64, crc uint32) uint64 {
	for range 4 {
		h = (h ^ uint64(byte(crc))) * 1099511628211
		crc >>= 8
	}
	return h
}
