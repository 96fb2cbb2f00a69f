package centroids

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/heliosdb/helios/distance"
)

// The binary form is drawn in docs/format/centroids.md.
const (
	magic      = "HCEL"
	version    = 1
	headerSize = 44
	cellSize   = 20 // without the centroid
	crcSize    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the set in its binary form; equal sets give equal bytes.
func (s *Set) Encode() []byte {
	le := binary.LittleEndian
	out := make([]byte, 0, headerSize+len(s.Cells)*(cellSize+4*s.Dims)+crcSize)
	out = append(out, magic...)
	out = le.AppendUint16(out, version)
	out = le.AppendUint16(out, uint16(s.Metric))
	out = le.AppendUint32(out, uint32(s.Dims))
	out = le.AppendUint32(out, uint32(len(s.Cells)))
	out = le.AppendUint32(out, s.NextID)
	out = le.AppendUint64(out, s.Generation)
	out = le.AppendUint64(out, math.Float64bits(s.Spread))
	out = le.AppendUint64(out, 0) // reserved
	for _, c := range s.Cells {
		out = le.AppendUint32(out, c.ID)
		out = le.AppendUint64(out, c.Rows)
		out = le.AppendUint64(out, math.Float64bits(c.Radius))
		for _, x := range c.Centroid {
			out = le.AppendUint32(out, math.Float32bits(x))
		}
	}
	return le.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

// Decode reads what Encode wrote, and refuses with ErrInvalid what is cut off,
// too long, changed in any bit or of a later version. It keeps no part of raw.
func Decode(raw []byte) (*Set, error) {
	le := binary.LittleEndian
	if len(raw) < headerSize+crcSize || string(raw[:4]) != magic {
		return nil, fmt.Errorf("%w: not a set of cells", ErrInvalid)
	}
	if v := le.Uint16(raw[4:]); v != version {
		return nil, fmt.Errorf("%w: format version %d, this program reads %d", ErrInvalid, v, version)
	}
	body, sum := raw[:len(raw)-crcSize], le.Uint32(raw[len(raw)-crcSize:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("%w: checksum does not fit", ErrInvalid)
	}
	s := &Set{
		Dims:       int(le.Uint32(raw[8:])),
		Metric:     distance.Metric(le.Uint16(raw[6:])),
		NextID:     le.Uint32(raw[16:]),
		Generation: le.Uint64(raw[20:]),
		Spread:     math.Float64frombits(le.Uint64(raw[28:])),
	}
	cells := int(le.Uint32(raw[12:]))
	if s.Dims < 1 || s.Dims > MaxDims || cells < 1 || cells > MaxCells || le.Uint16(raw[6:]) > math.MaxUint8 ||
		len(body) != headerSize+cells*(cellSize+4*s.Dims) || le.Uint64(raw[36:]) != 0 {
		return nil, fmt.Errorf("%w: %d cells of %d dimensions in %d bytes", ErrInvalid, cells, s.Dims, len(raw))
	}
	s.Cells = make([]Cell, cells)
	for i, at := 0, headerSize; i < cells; i++ {
		c := Cell{
			ID: le.Uint32(raw[at:]), Rows: le.Uint64(raw[at+4:]),
			Radius: math.Float64frombits(le.Uint64(raw[at+12:])), Centroid: make([]float32, s.Dims),
		}
		at += cellSize
		for j := range c.Centroid {
			c.Centroid[j] = math.Float32frombits(le.Uint32(raw[at:]))
			at += 4
		}
		s.Cells[i] = c
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return s, nil
}
