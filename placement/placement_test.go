package placement_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// TestZoneKey holds that the primary key of a geo-placed row leads to the row's unit, which
// is one of its zone's.
func TestZoneKey(t *testing.T) {
	rel := &catalog.Relation{
		OID: 17000, Name: "g",
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.T(types.Int8OID)},
			{Num: 2, Name: "note", Type: types.T(types.TextOID)},
			{Num: 3, Name: "region", Type: types.T(types.TextOID)},
		},
		PrimaryKey: &catalog.Index{Unique: true, Primary: true, Keys: []catalog.IndexKey{{Column: 3}, {Column: 1}}},
		Placement: catalog.Placement{
			Strategy: catalog.Geo, ZoneColumn: 3,
			Zones: []catalog.Zone{{Name: "eu", Values: []string{"de", "fr"}}, {Name: "us", Values: []string{"us"}}},
		},
	}
	p, err := placement.For(rel, 64)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := types.Int(rapid.Int64().Draw(t, "id"))
		region := types.Text(rapid.SampledFrom([]string{"de", "fr", "us"}).Draw(t, "region"))
		want, err := p.Row(types.Row{id, types.Text("x"), region})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.ZoneKey([]types.Value{region, id}); !ok || got != want {
			t.Errorf("got %s, %t, want %s", got, ok, want)
		}
		if units := p.ZoneUnits(region); units[int(want.N)%len(units)] != want {
			t.Errorf("%s is not where the zone's units %v have it", want, units)
		}
	})
	for _, region := range []types.Value{types.Text("xx"), types.Null} {
		if u, ok := p.ZoneKey([]types.Value{region, types.Int(1)}); ok {
			t.Errorf("zone %v has unit %s", region, u)
		}
	}
}
