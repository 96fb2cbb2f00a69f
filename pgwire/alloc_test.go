package pgwire

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/heliosdb/helios/types"
)

// quickSession answers every query with one row and allocates nothing itself.
type quickSession struct {
	*toy
	columns []Column
	row     types.Row
	params  []Parameter
}

func (s *quickSession) Parameters() []Parameter { return s.params }

func (s *quickSession) SimpleQuery(_ context.Context, _ string, w ResultWriter) error {
	if err := w.RowDescription(s.columns); err != nil {
		return err
	}
	if err := w.DataRow(s.row); err != nil {
		return err
	}
	return w.CommandComplete("SELECT 1")
}

// writeCounter counts the server's writes.
type writeCounter struct {
	recording
	writes int
}

func (w *writeCounter) Write(p []byte) (int, error) {
	w.writes++
	return len(p), nil
}

// TestQueryCost holds a point select's share of this package at two allocations (the query
// string is one, chunks of input the rest) and one write.
func TestQueryCost(t *testing.T) {
	const queries = 2000
	var input bytes.Buffer
	input.Write(unhex(t, "00000012 00030000 'user' 00 'ada' 00 00"))
	for range queries {
		input.Write(unhex(t, "51 00000022 'select~*~from~t~where~id~=~42' 00"))
	}
	server, _ := newToyServer(t, func(o *Options) {
		o.NewSession = func(_ context.Context, info *ConnInfo, client Client) (Session, error) {
			columns := []Column{{Name: "id", Type: types.T(types.Int8OID)}, {Name: "v", Type: types.T(types.TextOID)}}
			return &quickSession{newToy(info, client), columns, types.Row{types.Int(42), types.Text("hello")}, nil}, nil
		}
	})
	writes := 0
	allocs := testing.AllocsPerRun(5, func() {
		conn := &writeCounter{recording: recording{in: io.MultiReader(bytes.NewReader(input.Bytes()))}}
		server.welcome(conn)
		server.done.Wait()
		writes = conn.writes
	})
	if perQuery := allocs / queries; perQuery > 2 {
		t.Errorf("%.2f allocations per query, want at most 2", perQuery)
	}
	if got, want := writes, queries+1; got > want {
		t.Errorf("%d writes for %d queries", got, queries)
	}
}
