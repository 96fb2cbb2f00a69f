package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Encode returns the map as JSON; equal maps give equal bytes.
func (m *Map) Encode() ([]byte, error) { return json.Marshal(m) }

// Decode reads what Encode wrote and validates it. A field it does not know is
// an error: a node must not act on a map it understands by half.
func Decode(text []byte) (*Map, error) {
	var m Map
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: text behind its end", ErrInvalid)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return &m, nil
}
