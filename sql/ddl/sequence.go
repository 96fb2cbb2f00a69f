package ddl

import (
	"math"
	"strconv"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// defaultCache is how many values a router takes at once where CACHE is not said.
const defaultCache = 32

func (a *applier) createSequence(s *sql.CreateSequence) error {
	if s.Temp {
		return notYet("a temporary sequence", "Create an ordinary sequence and drop it when done.")
	}
	schema, name, exists, err := a.newName(s.Name, s.IfNotExists)
	if err != nil || exists {
		return err
	}
	r := &catalog.Relation{
		OID: a.edit.NextOID(), Schema: schema, Name: name, Kind: catalog.KindSequence, Owner: a.user.OID,
		Sequence: &catalog.Sequence{Type: types.Int8OID},
	}
	if _, err := a.sequenceOptions(r, s.Options, true); err != nil {
		return err
	}
	return a.edit.AddRelation(r)
}

// ownSequence makes the sequence of a serial or identity column of the table being built.
func (b *builder) ownSequence(c *catalog.Column, options []sql.Option) (*catalog.Relation, error) {
	schema := b.rel.Schema
	name := ""
	var rest []sql.Option
	for _, o := range options {
		if o.Name != "sequence_name" {
			rest = append(rest, o)
			continue
		}
		name = o.List[len(o.List)-1]
		if len(o.List) > 1 {
			schema = o.List[len(o.List)-2]
		}
	}
	taken := b.relationTaken(schema, b.sequenceNames()...)
	if name == "" {
		name = chooseName(b.rel.Name, c.Name, "seq", func(n string) bool { return taken(n) || n == b.rel.Name })
	} else if taken(name) {
		return nil, types.Errorf("42P07", "relation %q already exists", name)
	}
	r := &catalog.Relation{
		OID: b.edit.NextOID(), Schema: schema, Name: name, Kind: catalog.KindSequence, Owner: b.rel.Owner,
		Sequence: &catalog.Sequence{Type: c.Type.OID, OwnerTable: b.rel.OID, OwnerColumn: c.Num},
	}
	if _, err := b.sequenceOptions(r, rest, true); err != nil {
		return nil, err
	}
	b.sequences = append(b.sequences, r)
	return r, nil
}

func (b *builder) sequenceNames() []string {
	var out []string
	for _, s := range b.sequences {
		out = append(out, s.Name)
	}
	return out
}

// sequenceOptions sets what options say and checks the whole. fresh gives defaults to
// what is not said. restart is the value of RESTART, nil if not said.
func (a *applier) sequenceOptions(r *catalog.Relation, options []sql.Option, fresh bool) (restart *int64, err error) {
	s := r.Sequence
	before := *s
	said := make(map[string]bool)
	var minValue, maxValue, start *int64
	for _, o := range options {
		if said[o.Name] {
			return nil, types.Errorf("42601", "conflicting or redundant options")
		}
		said[o.Name] = true
		number := func() *int64 {
			if o.Value == nil || err != nil {
				return nil
			}
			var n int64
			if n, err = strconv.ParseInt(*o.Value, 10, 64); err != nil {
				err = types.Errorf("22003", "value %q is out of range for type bigint", *o.Value)
			}
			return &n
		}
		switch o.Name {
		case "as":
			err = setSequenceType(s, *o.Value)
		case "increment":
			if n := number(); n != nil {
				s.Increment = *n
			}
		case "minvalue":
			minValue = number()
		case "maxvalue":
			maxValue = number()
		case "start":
			start = number()
		case "restart":
			if restart = number(); o.Value == nil {
				restart = &s.Start
			}
		case "cache":
			if n := number(); n != nil {
				s.Cache = *n
			}
		case "cycle":
			s.Cycle = *o.Value == "true"
		case "owned_by":
			err = a.ownedBy(r, o.List)
		default:
			err = types.Errorf("0A000", "sequence option %q is not supported", o.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.Type != before.Type { // bounds that were the old type's become the new one's
		oldMin, oldMax := types.IntRange(before.Type)
		said["minvalue"] = said["minvalue"] || before.Min == oldMin
		said["maxvalue"] = said["maxvalue"] || before.Max == oldMax
	}
	return restart, finishSequence(s, said, minValue, maxValue, start, restart, fresh)
}

func setSequenceType(s *catalog.Sequence, name string) error {
	switch name {
	case "int2", "smallint":
		s.Type = types.Int2OID
	case "int4", "integer", "int":
		s.Type = types.Int4OID
	case "int8", "bigint":
		s.Type = types.Int8OID
	default:
		return types.Errorf("22023", "sequence type must be smallint, integer, or bigint")
	}
	return nil
}

// finishSequence gives defaults and checks bounds, with PostgreSQL's messages.
func finishSequence(s *catalog.Sequence, said map[string]bool, minValue, maxValue, start, restart *int64, fresh bool) error {
	if fresh && !said["increment"] {
		s.Increment = 1
	}
	if s.Increment == 0 {
		return types.Errorf("22023", "INCREMENT must not be zero")
	}
	least, greatest := int64(1), int64(-1)
	typeMin, typeMax := types.IntRange(s.Type)
	if s.Increment > 0 {
		greatest = typeMax
	} else {
		least = typeMin
	}
	s.Max = choose(maxValue, fresh || said["maxvalue"], greatest, s.Max)
	s.Min = choose(minValue, fresh || said["minvalue"], least, s.Min)
	for _, bound := range []struct {
		name  string
		value int64
	}{{"MAXVALUE", s.Max}, {"MINVALUE", s.Min}} {
		if bound.value < typeMin || bound.value > typeMax {
			return types.Errorf("22023", "%s (%d) is out of range for sequence data type %s", bound.name, bound.value, s.Type.Name())
		}
	}
	if s.Min >= s.Max {
		return types.Errorf("22023", "MINVALUE (%d) must be less than MAXVALUE (%d)", s.Min, s.Max)
	}
	first := s.Min
	if s.Increment < 0 {
		first = s.Max
	}
	s.Start = choose(start, fresh, first, s.Start)
	if err := inBounds("START", s.Start, s); err != nil {
		return err
	}
	if restart != nil {
		if err := inBounds("RESTART", *restart, s); err != nil {
			return err
		}
	}
	if fresh && !said["cache"] {
		s.Cache = defaultCache
	}
	if s.Cache < 1 || s.Cache > math.MaxInt32 {
		return types.Errorf("22023", "CACHE (%d) must be greater than zero", s.Cache)
	}
	return nil
}

// choose takes what was said, else the default where one is due, else what was.
func choose(said *int64, due bool, byDefault, was int64) int64 {
	switch {
	case said != nil:
		return *said
	case due:
		return byDefault
	}
	return was
}

func inBounds(what string, value int64, s *catalog.Sequence) error {
	switch {
	case value < s.Min:
		return types.Errorf("22023", "%s value (%d) cannot be less than MINVALUE (%d)", what, value, s.Min)
	case value > s.Max:
		return types.Errorf("22023", "%s value (%d) cannot be greater than MAXVALUE (%d)", what, value, s.Max)
	}
	return nil
}

// ownedBy reads OWNED BY table.column or NONE.
func (a *applier) ownedBy(r *catalog.Relation, name sql.Name) error {
	if len(name) == 1 {
		if name[0] != "none" {
			return types.Errorf("42601", "invalid OWNED BY option").WithHint("Specify OWNED BY table.column or OWNED BY NONE.")
		}
		r.Sequence.OwnerTable, r.Sequence.OwnerColumn = 0, 0
		return nil
	}
	if r.Sequence.Identity {
		return types.Errorf("0A000", "cannot change ownership of identity sequence")
	}
	last := len(name) - 1
	table, err := a.relation(name[:last], false, catalog.KindTable)
	if err != nil {
		return err
	}
	if table.Schema != r.Schema {
		return types.Errorf("55000", "sequence must be in same schema as table it is linked to")
	}
	c, ok := table.Column(name[last])
	if !ok || c.Hidden {
		return types.Errorf("42703", "column %q of relation %q does not exist", name[last], table.Name)
	}
	r.Sequence.OwnerTable, r.Sequence.OwnerColumn = table.OID, c.Num
	return nil
}

// alterSequence sets options of a sequence.
func (a *applier) alterSequence(r *catalog.Relation, options []sql.Option) error {
	next := r.Clone()
	restart, err := a.sequenceOptions(next, options, false)
	if err != nil {
		return err
	}
	if restart != nil {
		a.fill(Fill{Kind: SetSequence, Table: r.OID, Value: *restart})
	}
	return a.edit.ReplaceRelation(next)
}

// ownedSequences gives the sequences that belong to a table's column, to any for column 0.
func (a *applier) ownedSequences(table types.OID, column int16) []*catalog.Relation {
	var out []*catalog.Relation
	for r := range a.cat().Relations() {
		if s := r.Sequence; s != nil && s.OwnerTable == table && (column == 0 || s.OwnerColumn == column) {
			out = append(out, r)
		}
	}
	return out
}
