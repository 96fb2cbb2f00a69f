package cluster

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func node(id string) Node { return Node{ID: id, SQL: id + ":5432", Native: id + ":5433"} }

// sample is a map with something of everything in it.
func sample(t testing.TB) *Map {
	t.Helper()
	m, err := New("shop", []Shard{
		{ID: 2, Weight: 100, Nodes: []Node{node("db3"), node("db4")}},
		{ID: 1, Weight: 100, Zone: "eu", Nodes: []Node{node("db1"), node("db2")}},
	}, []ShardID{1, 2, 1, 2})
	steps := []func(*Map) (*Map, error){
		func(m *Map) (*Map, error) { return m.WithPrimary(1, "db1", 1, []string{"db2"}) },
		func(m *Map) (*Map, error) { return m.WithSlot(2, Owner{1, 1, Moving, 2}) },
		func(m *Map) (*Map, error) {
			return m.WithCells(16400, CellSet{1, []CellOwner{{7, Owner{1, 1, Owned, 0}}, {3, Owner{2, 4, Sealed, 1}}}})
		},
		func(m *Map) (*Map, error) {
			return m.WithRanges(16401, []RangeOwner{{[]byte("m"), Owner{2, 1, Owned, 0}}, {nil, Owner{1, 1, Owned, 0}}})
		},
		func(m *Map) (*Map, error) { return m.WithZone("eu", Owner{1, 1, Owned, 0}) },
	}
	for _, step := range steps {
		if err != nil {
			t.Fatal(err)
		}
		m, err = step(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const sampleText = `{"cluster":"shop","version":6,"ownership":6,"members":1,"slots":[[1,1],[2,1],[1,1,"moving",2],[2,1]],` +
	`"shards":[{"id":1,"weight":100,"zone":"eu","state":"active","nodes":[` +
	`{"id":"db1","role":"primary","sql":"db1:5432","native":"db1:5433"},` +
	`{"id":"db2","role":"standby","sql":"db2:5432","native":"db2:5433"}],"primary":"db1","term":1,"sync_set":["db2"]},` +
	`{"id":2,"weight":100,"state":"active","nodes":[` +
	`{"id":"db3","role":"joining","sql":"db3:5432","native":"db3:5433"},` +
	`{"id":"db4","role":"joining","sql":"db4:5432","native":"db4:5433"}],"term":0}],` +
	`"cell_sets":{"16400":{"generation":1,"cells":[[3,2,4,"sealed",1],[7,1,1]]}},` +
	`"ranges":{"16401":[{"owner":[1,1]},{"from":"bQ==","owner":[2,1]}]},"zones":{"eu":[1,1]}}`

func TestEncode(t *testing.T) {
	m := sample(t)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text); got != sampleText {
		t.Errorf("got  %s\nwant %s", got, sampleText)
	}
	back, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if changes := Diff(m, back); len(changes) > 0 {
		t.Errorf("decoding changed %v", changes)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range [][2]string{
		{`{"cluster"`, `{"colour":1,"cluster"`},
		{`"version":6`, `"version":0`},
		{`[1,1],[2,1],`, `[1,1],`},
		{`"slots":[[1,1]`, `"slots":[[9,1]`},
		{`"slots":[[1,1]`, `"slots":[[1,0]`},
		{`"slots":[[1,1]`, `"slots":[[1]`},
		{`"slots":[[1,1]`, `"slots":[[1,1,"owned",2]`},
		{`"moving",2`, `"moving",1`},
		{`"moving",2`, `"flying",2`},
		{`"role":"joining"`, `"role":"primary"`},
		{`"state":"active"`, `"state":"idle"`},
		{`"sync_set":["db2"]`, `"sync_set":["db1"]`},
		{`"sync_set":["db2"]`, `"sync_set":["db3"]`},
		{`"primary":"db1","term":1`, `"primary":"db1","term":0`},
		{`"sql":"db3:5432"`, `"sql":"db4:5432"`},
		{`"sql":"db3:5432"`, `"sql":"db3"`},
		{`"id":"db4"`, `"id":"db3"`},
		{`"id":2`, `"id":1`},
		{`{"owner":[1,1]}`, `{"from":"YQ==","owner":[1,1]}`},
		{`[7,1,1]`, `[3,1,1]`},
		{`[7,1,1]`, `[]`},
		{`"zones":{"eu"`, `"zones":{""`},
		{`"zones":{"eu":[1,1]}}`, `"zones":{"eu":[1,1]}} {}`},
	} {
		text := strings.Replace(sampleText, c[0], c[1], 1)
		if text == sampleText {
			t.Fatalf("%s is not in the sample", c[0])
		}
		if m, err := Decode([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, %v, want ErrInvalid", c[1], m, err)
		}
	}
}

// TestEditLeavesTheOldMap: whatever an edit writes, the map before keeps all.
func TestEditLeavesTheOldMap(t *testing.T) {
	m := sample(t)
	before, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Edit(func(next *Map) error {
		next.Slots[0] = Owner{2, 9, Owned, 0}
		next.Shards[0].Nodes[0].SQL = "elsewhere:1"
		next.Shards[0].SyncSet[0] = "db9"
		next.CellSets[16400].Cells[0].Owner.Epoch = 9
		next.Ranges[16401][1].From[0] = 'z'
		next.Zones["us"] = Owner{2, 1, Owned, 0}
		return errors.New("changed my mind")
	})
	if err == nil || err.Error() != "changed my mind" {
		t.Errorf("got %v", err)
	}
	after, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("an edit changed the map before it:\n%s\n%s", before, after)
	}
}

// TestFollows: a map never takes back an epoch, a term or a generation.
func TestFollows(t *testing.T) {
	m := sample(t)
	moved, err := m.WithSlot(2, Owner{2, 2, Owned, 0})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := moved.Version, m.Version+1; got != want {
		t.Errorf("version %d, want %d", got, want)
	}
	for name, edit := range map[string]func() (*Map, error){
		"new owner, same epoch":  func() (*Map, error) { return m.WithSlot(2, Owner{2, 1, Owned, 0}) },
		"lower epoch":            func() (*Map, error) { return moved.WithSlot(2, Owner{2, 1, Owned, 0}) },
		"new primary, same term": func() (*Map, error) { return m.WithPrimary(1, "db2", 1, nil) },
		"lower term":             func() (*Map, error) { return m.WithPrimary(1, "", 0, nil) },
		"zone":                   func() (*Map, error) { return m.WithZone("eu", Owner{2, 1, Owned, 0}) },
		"lower generation":       func() (*Map, error) { return m.WithCells(16400, CellSet{0, []CellOwner{{3, Owner{2, 4, Owned, 0}}}}) },
		"cell's epoch":           func() (*Map, error) { return m.WithCells(16400, CellSet{2, []CellOwner{{3, Owner{2, 3, Owned, 0}}}}) },
		"range split, same epoch": func() (*Map, error) {
			return m.WithRanges(16401, []RangeOwner{{nil, Owner{1, 1, 0, 0}}, {[]byte("c"), Owner{2, 1, 0, 0}}})
		},
		"other cluster":    func() (*Map, error) { return m.Edit(func(n *Map) error { n.ClusterID = "other"; return nil }) },
		"other slot count": func() (*Map, error) { return m.Edit(func(n *Map) error { n.Slots = n.Slots[:2]; return nil }) },
		"same version":     func() (*Map, error) { return m.Edit(func(n *Map) error { n.Version--; return nil }) },
	} {
		if _, err := edit(); !errors.Is(err, ErrStale) {
			t.Errorf("%s: %v, want ErrStale", name, err)
		}
	}
	for name, edit := range map[string]func() (*Map, error){
		"shard that owns": func() (*Map, error) { return m.WithoutShard(2) },
		"slot outside":    func() (*Map, error) { return m.WithSlot(4, Owner{1, 1, Owned, 0}) },
		"unknown shard":   func() (*Map, error) { return m.WithPrimary(9, "db1", 2, nil) },
		"unknown primary": func() (*Map, error) { return m.WithPrimary(1, "db3", 2, nil) },
	} {
		if _, err := edit(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestFailover(t *testing.T) {
	m, err := sample(t).WithPrimary(1, "db2", 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := m.Shard(1)
	if n, ok := s.PrimaryNode(); !ok || n.ID != "db2" || n.Role != Primary {
		t.Errorf("primary %+v", n)
	}
	if n, id, ok := m.Node("db1"); !ok || id != 1 || n.Role != Standby {
		t.Errorf("former primary %+v of shard %d", n, id)
	}
}

// A node that joins a shard later can be promoted, and one that comes back is where it says.
func TestWithNode(t *testing.T) {
	m := sample(t)
	moved := Node{ID: "db2", SQL: "db2:6432", Native: "db2:6433"}
	fresh := Node{ID: "db5", SQL: "db2:5432", Native: "db5:5433"} // takes the port that db2 left
	var err error
	for _, n := range []Node{fresh, moved} {
		if m, err = m.WithNode(1, n); err != nil {
			t.Fatal(err)
		}
	}
	same, err := m.WithNode(1, Node{ID: "db2", SQL: "db2:6432", Native: "db2:6433", Role: Primary})
	if err != nil || same != m {
		t.Errorf("what is known already made version %d, %v", same.Version, err)
	}
	moved.Role = Standby // as it was
	if n, _, _ := m.Node("db2"); n != moved {
		t.Errorf("got %+v, want %+v", n, moved)
	}
	if m, err = m.WithPrimary(1, "db5", 2, nil); err != nil {
		t.Fatal(err)
	}
	s, _ := m.Shard(1)
	if n, ok := s.PrimaryNode(); !ok || n.SQL != fresh.SQL || m.Ownership != sample(t).Ownership {
		t.Errorf("the primary is %+v, ownership version %d", n, m.Ownership)
	}
	other := Node{ID: "db3", SQL: "db3:1", Native: "db3:2"}
	for shard, n := range map[ShardID]Node{1: other, 9: other, 2: {ID: "DB 3"}} {
		if _, err := m.WithNode(shard, n); !errors.Is(err, ErrInvalid) {
			t.Errorf("shard %d, node %s: got %v", shard, n.ID, err)
		}
	}
}

func TestShards(t *testing.T) {
	m, err := sample(t).WithShard(Shard{ID: 3, Weight: 50, Nodes: []Node{node("db5")}})
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := m.Shard(3); !ok || s.State != Joining {
		t.Errorf("shard 3 is %+v", s)
	}
	if m, err = m.WithoutShard(3); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Shard(3); ok || len(m.Shards) != 2 {
		t.Errorf("shard 3 stayed: %+v", m.Shards)
	}
}

func TestOwners(t *testing.T) {
	m := sample(t)
	for key, want := range map[string]ShardID{"": 1, "a": 1, "lzz": 1, "m": 2, "zebra": 2} {
		if r, ok := m.Range(16401, []byte(key)); !ok || r.Owner.Shard != want {
			t.Errorf("range of %q is %+v, want shard %d", key, r, want)
		}
	}
	if _, ok := m.Range(1, nil); ok {
		t.Error("a table without ranges has one")
	}
	if o, ok := m.Cell(16400, 7); !ok || o.Shard != 1 {
		t.Errorf("cell 7 is %v", o)
	}
	if _, ok := m.Cell(16400, 8); ok {
		t.Error("cell 8 is there")
	}
}

func TestDiff(t *testing.T) {
	m := sample(t)
	next, err := m.Edit(func(next *Map) error {
		next.Slots[2] = Owner{2, 2, Owned, 0}
		next.Shards[1].State = Draining
		delete(next.Zones, "eu")
		next.Zones["us"] = Owner{2, 1, Owned, 0}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `version: 6 → 7
shard 2: active weight 100 → draining weight 100
slot 2: shard 1 epoch 1 moving to 2 → shard 2 epoch 2
zone us: none → shard 2 epoch 1
zone eu: shard 1 epoch 1 → none
`
	var got strings.Builder
	for _, c := range Diff(m, next) {
		fmt.Fprintln(&got, c)
	}
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestSize: the largest slot table fits the control store, which refuses more
// than 1.5 MiB.
func TestSize(t *testing.T) {
	m := &Map{ClusterID: "big", Version: math.MaxUint64, Slots: make([]Owner, 1<<16)}
	for i := range 300 {
		m.Shards = append(m.Shards, Shard{ID: ShardID(60000 + i), Nodes: []Node{node(fmt.Sprint("db", i))}})
	}
	for i := range m.Slots {
		m.Slots[i] = Owner{Shard: ShardID(60000 + i%300), Epoch: 100_000}
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 3<<19 {
		t.Errorf("%d bytes", len(text))
	}
}

// TestRoundTrip: what is encoded decodes to an equal map.
func TestRoundTrip(t *testing.T) {
	base := sample(t)
	owners := rapid.Custom(func(t *rapid.T) Owner {
		o := Owner{Shard: rapid.Uint16Range(1, 2).Draw(t, "shard"), Epoch: rapid.Uint32Range(5, 1<<32-1).Draw(t, "epoch")}
		if o.State = OwnerState(rapid.IntRange(0, 2).Draw(t, "state")); o.State != Owned {
			o.To = 3 - o.Shard
		}
		return o
	})
	rapid.Check(t, func(t *rapid.T) {
		m, err := base.Edit(func(next *Map) error {
			for i := range next.Slots {
				next.Slots[i] = owners.Draw(t, "slot")
			}
			next.Zones["eu"] = owners.Draw(t, "zone")
			next.CellSets[16400].Cells[1].Owner = owners.Draw(t, "cell")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m, back) {
			t.Fatalf("got %+v\nwant %+v", back, m)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(sampleText))
	f.Add([]byte(`{"cluster":"a","version":1,"slots":[[0,0]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Decode(text)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(again)
		if err != nil || len(Diff(m, back)) > 0 {
			t.Fatalf("%s does not come back: %v", again, err)
		}
	})
}
