package vectorpart

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/heliosdb/helios/centroids"
)

// The binary form is drawn in docs/format/coverage.md.
const (
	magic      = "HCOV"
	version    = 1
	headerSize = 72
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns a set and what was learned of it, nil for nothing, as one blob
// for the catalog; equal values give equal bytes.
func Encode(set *centroids.Set, c *Coverage) []byte {
	le := binary.LittleEndian
	cells := set.Encode()
	var marks []byte
	var head Coverage
	steps := 0
	if c != nil {
		head, marks, steps = *c, c.landmarks.Encode(), len(thresholds)
	}
	out := append(make([]byte, 0, headerSize+len(cells)+len(marks)), magic...)
	out = le.AppendUint32(out, version)
	out = le.AppendUint64(out, uint64(len(cells)))
	out = le.AppendUint64(out, uint64(len(marks)))
	out = le.AppendUint64(out, head.SampleRows)
	out = le.AppendUint64(out, head.TableRows)
	for _, x := range []float64{head.shape.sharpness, head.shape.distance, head.shape.reach} {
		out = le.AppendUint64(out, math.Float64bits(x))
	}
	out = le.AppendUint32(out, uint32(len(head.curves)))
	out = le.AppendUint32(out, uint32(steps))
	out = append(append(out, cells...), marks...)
	for _, row := range head.mass {
		out = le.AppendUint32(out, uint32(len(row)))
		for _, m := range row {
			out = le.AppendUint32(out, m.cell)
			out = le.AppendUint32(out, math.Float32bits(m.mass))
		}
	}
	for _, curve := range head.curves {
		out = le.AppendUint32(out, uint32(curve.k))
		for _, r := range curve.recall {
			out = le.AppendUint64(out, math.Float64bits(r))
		}
	}
	return le.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

// Decode reads what Encode wrote, and refuses with ErrInvalid what is cut off,
// too long, changed in any bit or of a later version. It keeps no part of raw.
func Decode(raw []byte) (*centroids.Set, *Coverage, error) {
	if len(raw) < headerSize+4 || string(raw[:4]) != magic {
		return nil, nil, fmt.Errorf("%w: not a set of cells with coverage", ErrInvalid)
	}
	body, sum := raw[:len(raw)-4], binary.LittleEndian.Uint32(raw[len(raw)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, nil, fmt.Errorf("%w: checksum does not fit", ErrInvalid)
	}
	r := &reader{raw: body[4:]}
	if v := r.uint32(); v != version {
		return nil, nil, fmt.Errorf("%w: format version %d, this program reads %d", ErrInvalid, v, version)
	}
	cells, marks := r.uint64(), r.uint64()
	c := &Coverage{SampleRows: r.uint64(), TableRows: r.uint64()}
	c.shape = shape{r.share(math.MaxFloat32), r.share(1), r.share(math.MaxFloat32)}
	curves, steps := r.uint32(), r.uint32()
	set, err := centroids.Decode(r.bytes(cells))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if marks == 0 {
		if curves != 0 || steps != 0 || len(r.raw) != 0 || c.SampleRows != 0 || c.TableRows != 0 || c.shape != (shape{}) {
			return nil, nil, fmt.Errorf("%w: coverage without landmarks", ErrInvalid)
		}
		return set, nil, nil
	}
	if c.landmarks, err = centroids.Decode(r.bytes(marks)); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if int(steps) != len(thresholds) || int(curves) > len(calibratedKs) {
		return nil, nil, fmt.Errorf("%w: %d curves of %d steps", ErrInvalid, curves, steps)
	}
	c.Generation = set.Generation
	for _, cell := range set.Cells {
		c.cells = append(c.cells, cell.ID)
	}
	r.tables(c, int(curves))
	if r.bad || len(r.raw) != 0 || c.landmarks.NextID != uint32(len(c.mass)+1) {
		return nil, nil, fmt.Errorf("%w: coverage is damaged", ErrInvalid)
	}
	if err := c.fits(set); err != nil {
		return nil, nil, err
	}
	return set, c, nil
}

// tables reads masses and curves.
func (r *reader) tables(c *Coverage, curves int) {
	c.mass = make([][]cellMass, len(c.landmarks.Cells))
	for i := range c.mass {
		n := int(r.uint32())
		if n > len(c.cells) || 8*n > len(r.raw) {
			r.bad = true
			return
		}
		for j := range n {
			m := cellMass{r.uint32(), math.Float32frombits(r.uint32())}
			if int(m.cell) >= len(c.cells) || !(m.mass >= 0 && m.mass <= 1) || (j > 0 && c.mass[i][j-1].cell >= m.cell) {
				r.bad = true
				return
			}
			c.mass[i] = append(c.mass[i], m)
		}
	}
	for range curves {
		one := curve{k: int(r.uint32()), recall: make([]float64, len(thresholds))}
		for i := range one.recall {
			one.recall[i] = math.Float64frombits(r.uint64())
		}
		c.curves = append(c.curves, one)
	}
}

// reader takes values off the front of raw; past the end it gives zeros and is
// bad.
type reader struct {
	raw []byte
	bad bool
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.raw)) {
		r.bad, r.raw = true, nil
		return nil
	}
	out := r.raw[:n]
	r.raw = r.raw[n:]
	return out
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// share reads a number from 0 to limit.
func (r *reader) share(limit float64) float64 {
	x := math.Float64frombits(r.uint64())
	if !(x >= 0 && x <= limit) {
		r.bad = true
	}
	return x
}
