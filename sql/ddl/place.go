package ddl

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// place decides where the table's rows live, gives it a hidden key if it has none, and
// a location table if its rows follow a vector.
func (b *builder) place(o catalog.PlacementOptions) error {
	p, err := b.placement(o)
	if err != nil {
		return err
	}
	b.rel.Placement = p
	if b.rel.PrimaryKey == nil {
		switch p.Strategy {
		case catalog.Hash, catalog.Range:
			b.addRowID(p.KeyColumns)
		case catalog.Geo:
			b.addRowID([]int16{p.ZoneColumn})
		default:
			b.addRowID(nil)
		}
		if p.Strategy == catalog.Hash && len(p.KeyColumns) == 0 {
			row, _ := b.rel.RowID()
			b.rel.Placement.KeyColumns = []int16{row.Num}
		}
	}
	if p.Strategy == catalog.Hash {
		if err := b.colocate(o.ColocateWith); err != nil {
			return err
		}
	}
	for _, x := range b.rel.AllIndexes() {
		if err := b.checkCovers(b.rel, x); err != nil {
			return err
		}
	}
	if p.Strategy == catalog.Vector && !b.rel.PrimaryKey.Hidden {
		return b.addLocation()
	}
	return nil
}

// placement reads the options against the columns.
func (b *builder) placement(o catalog.PlacementOptions) (catalog.Placement, error) {
	p := catalog.Placement{Strategy: o.Strategy, Chosen: o.Given}
	key, err := b.optionColumns("helios.shard_key", o.ShardKey)
	if err != nil {
		return p, err
	}
	if p.Strategy == "" {
		p.Strategy = catalog.Hash
		if len(key) == 1 && b.rel.Columns[key[0]-1].Type.OID == types.VectorOID {
			p.Strategy = catalog.Vector
		}
	}
	switch p.Strategy {
	case catalog.Hash:
		return b.hashPlacement(p, key)
	case catalog.Range:
		return b.rangePlacement(p, key, o.SplitAt)
	case catalog.Geo:
		return b.geoPlacement(p, key, o)
	case catalog.Vector:
		return b.vectorPlacement(p, key, o)
	}
	return p, nil
}

func (b *builder) optionColumns(option string, names []string) ([]int16, error) {
	var nums []int16
	for _, name := range names {
		c, ok := b.rel.Column(name)
		switch {
		case !ok || c.Hidden:
			return nil, types.Errorf("42703", "column %q named in %s does not exist", name, option)
		case slices.Contains(nums, c.Num):
			return nil, types.Errorf("42701", "column %q appears twice in %s", name, option)
		case c.Generated != 0:
			return nil, types.Errorf("0A000", "generated column %q cannot be in %s", name, option)
		}
		nums = append(nums, c.Num)
	}
	return nums, nil
}

func (b *builder) hashPlacement(p catalog.Placement, key []int16) (catalog.Placement, error) {
	for _, num := range key {
		if c := b.rel.Columns[num-1]; c.Type.OID == types.VectorOID || c.Type.OID == types.JSONOID {
			return p, types.Errorf("0A000", "a column of type %s cannot be hashed", types.FormatType(c.Type)).
				WithHint("For a vector use helios.strategy = 'vector'.")
		}
	}
	if key == nil && b.rel.PrimaryKey != nil {
		key, _ = b.rel.PrimaryKey.Columns()
	}
	p.KeyColumns = key
	return p, nil
}

func (b *builder) rangePlacement(p catalog.Placement, key []int16, splitAt []string) (catalog.Placement, error) {
	if key == nil && b.rel.PrimaryKey != nil {
		key, _ = b.rel.PrimaryKey.Columns()
	}
	if len(key) != 1 {
		return p, types.Errorf("22023", "strategy \"range\" needs one column as helios.shard_key")
	}
	p.KeyColumns = key
	c := b.rel.Columns[key[0]-1]
	if err := checkOrdered(c.Type); err != nil {
		return p, err
	}
	var last types.Value
	for i, text := range splitAt {
		v, err := types.ParseText(c.Type, text, nil)
		if err != nil {
			return p, types.Errorf("22023", "invalid value in helios.split_at: %q", text).
				WithDetail("%s", types.AsError(err).Message)
		}
		if i > 0 && types.Compare(last, v) >= 0 {
			return p, types.Errorf("22023", "values of helios.split_at must ascend: %q is not above %q", text, splitAt[i-1])
		}
		last = v
		p.SplitAt = append(p.SplitAt, types.ToText(c.Type, v))
	}
	return p, nil
}

func (b *builder) geoPlacement(p catalog.Placement, key []int16, o catalog.PlacementOptions) (catalog.Placement, error) {
	zone, err := b.optionColumns("helios.zone_column", []string{o.ZoneColumn})
	if err != nil {
		return p, err
	}
	if key != nil && !slices.Equal(key, zone) {
		return p, types.Errorf("22023", "with strategy \"geo\" helios.shard_key is the zone column or left out")
	}
	p.ZoneColumn = zone[0]
	c := b.rel.Columns[zone[0]-1]
	for _, z := range o.Zones {
		next := catalog.Zone{Name: z.Name}
		for _, text := range z.Values {
			v, err := types.ParseText(c.Type, text, nil)
			if err != nil {
				return p, types.Errorf("22023", "invalid value in helios.zones: %q", text).
					WithDetail("%s", types.AsError(err).Message)
			}
			next.Values = append(next.Values, types.ToText(c.Type, v))
		}
		p.Zones = append(p.Zones, next)
	}
	return p, nil
}

func (b *builder) vectorPlacement(p catalog.Placement, key []int16, o catalog.PlacementOptions) (catalog.Placement, error) {
	if key == nil {
		for _, c := range b.rel.Visible() {
			if c.Type.OID == types.VectorOID {
				key = append(key, c.Num)
			}
		}
	}
	if len(key) != 1 {
		return p, types.Errorf("22023", "strategy \"vector\" needs one vector column as helios.shard_key")
	}
	c := b.rel.Columns[key[0]-1]
	if c.Type.OID != types.VectorOID {
		return p, types.Errorf("22023", "strategy \"vector\" needs a vector column, %q is of type %s", c.Name, types.FormatType(c.Type))
	}
	if c.Type.Mod < 1 {
		return p, types.Errorf("22023", "column %q does not have dimensions", c.Name).
			WithHint("Declare it as vector(n) to place rows by it.")
	}
	p.VectorColumn = c.Num
	p.NumCentroids, p.Metric, p.State = o.NumCentroids, o.Metric, catalog.Untrained
	if p.Metric == "" {
		p.Metric = "l2"
	}
	return p, nil
}

// addLocation adds the hidden table that leads from a primary key to its row's cell, and
// by which primary keys stay unique. It is hashed by the primary key.
func (b *builder) addLocation() error {
	oid := b.edit.NextOID()
	loc := &catalog.Relation{
		OID: oid, Schema: "helios", Name: "location_" + itoa(int(b.rel.OID)), Kind: catalog.KindTable,
		Owner: b.rel.Owner, Parent: b.rel.OID, Hidden: true,
	}
	x := &catalog.Index{
		OID: b.edit.NextOID(), Name: loc.Name + "_pkey", Unique: true, Primary: true, Hidden: true, Method: "btree",
	}
	nums, _ := b.rel.PrimaryKey.Columns()
	for i, n := range nums {
		c := b.rel.Columns[n-1]
		num := int16(i + 1)
		loc.Columns = append(loc.Columns, catalog.Column{Num: num, Name: c.Name, Type: c.Type, NotNull: true})
		x.Keys = append(x.Keys, catalog.IndexKey{Column: num})
		loc.Placement.KeyColumns = append(loc.Placement.KeyColumns, num)
	}
	loc.Columns = append(loc.Columns, catalog.Column{
		Num: int16(len(nums) + 1), Name: "helios_cell", Type: types.T(types.Int4OID), NotNull: true,
	})
	loc.PrimaryKey = x
	loc.Placement.Strategy = catalog.Hash
	twin := &builder{applier: b.applier, rel: loc}
	if err := twin.colocate(nil); err != nil {
		return err
	}
	b.rel.Placement.Location = oid
	return b.edit.AddRelation(loc)
}

// colocate finds the group of tables whose equal keys are on one shard: by default that
// of the first table whose key hashes alike.
func (b *builder) colocate(with sql.Name) error {
	class := keyClass(b.rel)
	highest := uint32(0)
	found := uint32(0)
	for r := range b.cat().Relations() {
		if r.Placement.Strategy != catalog.Hash || r.OID == b.rel.OID {
			continue
		}
		id := r.Placement.ColocationID
		highest = max(highest, id)
		if !r.Placement.Alone && slices.Equal(keyClass(r), class) && (found == 0 || id < found) {
			found = id
		}
	}
	switch {
	case len(with) == 1 && with[0] == "none":
		found, b.rel.Placement.Alone = 0, true
	case len(with) > 0:
		other, err := b.cat().Resolve(b.env.SearchPath, with)
		if err != nil {
			return err
		}
		if other.Placement.Strategy != catalog.Hash || !slices.Equal(keyClass(other), class) {
			return types.Errorf("22023", "cannot colocate %q with %q: their shard keys are of different types", b.rel.Name, other.Name)
		}
		found, b.rel.Placement.Alone = other.Placement.ColocationID, other.Placement.Alone
	}
	if found == 0 {
		found = highest + 1
	}
	b.rel.Placement.ColocationID = found
	return nil
}

// keyClass tells how the columns of a shard key are encoded for hashing: keys of equal
// classes with equal values have equal hashes.
func keyClass(rel *catalog.Relation) []types.OID {
	var out []types.OID
	for _, num := range rel.Placement.KeyColumns {
		oid := rel.Columns[num-1].Type.OID
		switch oid {
		case types.Int2OID, types.Int4OID, types.OIDOID:
			oid = types.Int8OID
		case types.VarcharOID, types.NameOID:
			oid = types.TextOID
		case types.Float4OID:
			oid = types.Float8OID
		}
		out = append(out, oid)
	}
	return out
}
