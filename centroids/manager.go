package centroids

import (
	"errors"
	"fmt"
	"sync"
)

// ErrUntrained is returned by a manager that has no set yet.
var ErrUntrained = errors.New("centroids are not trained")

// Manager keeps the current set of a table, replaces it by training, splits and
// merges, and watches how well it still fits what is inserted. It is safe for
// use by many goroutines.
type Manager struct {
	dims int
	opts Options

	mu struct {
		sync.RWMutex
		set   *Set
		drift Drift
		total float64 // of the distances observed
	}
}

// Drift tells how far inserted vectors have moved away from the trained ones,
// since the set last changed.
type Drift struct {
	Inserts   int     // vectors observed
	Ambiguous int     // of them, how many have two centroids within 5 % of one another
	Growth    float64 // mean distance to the nearest centroid over the trained mean; 1 is none, 0 unknown
}

// NewManager returns a manager without a set. The options' K and Metric are
// required; FirstID and Generation are its own to count.
func NewManager(dims int, o Options) (*Manager, error) {
	if _, err := o.withDefaults(); err != nil {
		return nil, err
	}
	if dims < 1 || dims > MaxDims {
		return nil, fmt.Errorf("%w: %d dimensions, not 1 to %d", ErrInvalid, dims, MaxDims)
	}
	return &Manager{dims: dims, opts: o}, nil
}

// Set returns the current set, nil before the first training.
func (m *Manager) Set() *Set {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.set
}

// Train replaces the set by a new one of the next generation with new ids.
// Vectors are read while it runs.
func (m *Manager) Train(vectors [][]float32) (*Set, error) {
	if len(vectors) > 0 && len(vectors[0]) != m.dims {
		return nil, &DimsError{m.dims, len(vectors[0])}
	}
	before := m.Set()
	o := m.opts
	o.FirstID, o.Generation = 1, 1
	if before != nil {
		o.FirstID, o.Generation = before.NextID, before.Generation+1
	}
	next, err := Train(vectors, o)
	if err != nil {
		return nil, err
	}
	return next, m.change(before, next)
}

// Split is [Set.Split] of the current set, which it replaces.
func (m *Manager) Split(cell uint32, members [][]float32) (next *Set, children [2]uint32, err error) {
	before := m.Set()
	if before == nil {
		return nil, children, ErrUntrained
	}
	if next, children, err = before.Split(cell, members); err != nil {
		return nil, children, err
	}
	return next, children, m.change(before, next)
}

// Merge is [Set.Merge] of the current set, which it replaces.
func (m *Manager) Merge(a, b uint32) (next *Set, child uint32, err error) {
	before := m.Set()
	if before == nil {
		return nil, NoCell, ErrUntrained
	}
	if next, child, err = before.Merge(a, b); err != nil {
		return nil, NoCell, err
	}
	return next, child, m.change(before, next)
}

// Restore takes over a set that was stored, such as by another node.
func (m *Manager) Restore(set *Set) error {
	if set.Dims != m.dims || set.Metric != m.opts.Metric {
		return fmt.Errorf("%w: a set of %d dimensions and %v in a manager of %d and %v",
			ErrInvalid, set.Dims, set.Metric, m.dims, m.opts.Metric)
	}
	return m.change(m.Set(), set)
}

// change replaces the set, unless another change came first.
func (m *Manager) change(before, next *Set) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.set != before {
		return fmt.Errorf("%w: the set changed meanwhile to generation %d", ErrInvalid, m.mu.set.Generation)
	}
	m.mu.set, m.mu.drift, m.mu.total = next, Drift{}, 0
	return nil
}

// Place returns the cell of a vector that is inserted and counts it in the
// drift.
func (m *Manager) Place(v []float32) (uint32, error) {
	set := m.Set()
	if set == nil {
		return NoCell, ErrUntrained
	}
	near, err := set.Ranked(v, 2)
	if err != nil {
		return NoCell, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.set == set {
		m.mu.drift.Inserts++
		m.mu.total += near[0].Distance
		if len(near) > 1 && near[1].Distance-near[0].Distance < 0.05*near[1].Distance {
			m.mu.drift.Ambiguous++
		}
	}
	return near[0].Cell, nil
}

// Drift returns what was observed since the set last changed. Half of the
// inserts ambiguous, or a growth above 1.2, suggest splits.
func (m *Manager) Drift() Drift {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d := m.mu.drift
	if d.Inserts > 0 && m.mu.set.Spread > 0 {
		d.Growth = m.mu.total / float64(d.Inserts) / m.mu.set.Spread
	}
	return d
}
