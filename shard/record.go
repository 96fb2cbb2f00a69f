package shard

import (
	"encoding/binary"
	"errors"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/twophase"
)

// Payloads of the records that are not a plain batch, drawn in docs/format/records.md.
// Numbers are little-endian; a string is a u16 length and its bytes.

var errPayload = errors.New("the payload of a log record is damaged")

// decision is what the owner of a distributed transaction logs: an abort, or its own
// rows (Batch) and the participants, which still have to be told.
type decision struct {
	GID          string
	State        twophase.State
	Participants []twophase.ShardID
	Batch        []byte
}

func (d decision) encode() []byte {
	b := appendString(nil, d.GID)
	b = append(b, byte(d.State))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(d.Participants)))
	for _, p := range d.Participants {
		b = binary.LittleEndian.AppendUint16(b, p)
	}
	return append(b, d.Batch...)
}

func decodeDecision(b []byte) (d decision, err error) {
	r := reader{b: b}
	d.GID = r.string()
	d.State = twophase.State(r.byte())
	for range r.uint16() {
		d.Participants = append(d.Participants, r.uint16())
	}
	d.Batch = r.b
	return d, r.err
}

// prepared is a participant's part of a distributed transaction, or a client's own.
type prepared struct {
	GID   string
	TxID  uint64
	Batch []byte
}

func (p prepared) encode() []byte {
	b := appendString(nil, p.GID)
	b = binary.LittleEndian.AppendUint64(b, p.TxID)
	return append(b, p.Batch...)
}

func decodePrepared(b []byte) (p prepared, err error) {
	r := reader{b: b}
	p.GID, p.TxID = r.string(), r.uint64()
	p.Batch = r.b
	return p, r.err
}

// resolution ends a prepared transaction; the record's time is the commit timestamp,
// 0 for an abort.
type resolution struct{ GID string }

func (v resolution) encode() []byte { return appendString(nil, v.GID) }

func decodeResolution(b []byte) (v resolution, err error) {
	r := reader{b: b}
	v.GID = r.string()
	return v, r.err
}

// heartbeat keeps the promises of an idle primary.
type heartbeat struct {
	Ceiling hlc.Timestamp // nothing above is given or promised before the next one
	Closed  hlc.Timestamp // nothing at or below is given any more
	Horizon hlc.Timestamp // reads below are refused, versions below may be gone
}

func (h heartbeat) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(h.Ceiling))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Closed))
	return binary.LittleEndian.AppendUint64(b, uint64(h.Horizon))
}

func decodeHeartbeat(b []byte) (h heartbeat, err error) {
	r := reader{b: b}
	h.Ceiling, h.Closed, h.Horizon = hlc.Timestamp(r.uint64()), hlc.Timestamp(r.uint64()), hlc.Timestamp(r.uint64())
	return h, r.err
}

// ownership changes the state of units; it serves OWN, SEAL, READS_OFF and DROP alike.
type ownership struct {
	Version uint64        // of the cluster map that says so, 0 for a seal
	Floor   hlc.Timestamp // the clock starts above it
	Units   []ownedUnit
}

type ownedUnit struct {
	placement.Unit
	Epoch uint32
	State unitState
}

func (o ownership) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, o.Version)
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Floor))
	for _, u := range o.Units {
		b = binary.LittleEndian.AppendUint32(b, u.Space)
		b = binary.LittleEndian.AppendUint32(b, u.N)
		b = binary.LittleEndian.AppendUint32(b, u.Epoch)
		b = append(b, byte(u.State))
	}
	return b
}

func decodeOwnership(b []byte) (o ownership, err error) {
	r := reader{b: b}
	o.Version, o.Floor = r.uint64(), hlc.Timestamp(r.uint64())
	for len(r.b) > 0 && r.err == nil {
		u := ownedUnit{Unit: placement.Unit{Space: r.uint32(), N: r.uint32()}, Epoch: r.uint32(), State: unitState(r.byte())}
		o.Units = append(o.Units, u)
	}
	return o, r.err
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// reader takes fields off b; the first one missing sets err and gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.b, r.err = nil, errPayload
		return make([]byte, min(n, 8))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) string() string { return string(r.take(int(r.uint16()))) }
