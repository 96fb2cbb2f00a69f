package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
)

// OwnerState says how far the move of a slot, cell, range or zone has come.
type OwnerState uint8

const (
	// Owned: the shard serves it, no move is under way.
	Owned OwnerState = iota
	// Moving: the shard serves it while its rows are copied to another.
	Moving
	// Sealed: the shard takes no new writes of it until the move is decided.
	Sealed
)

// ShardState says what a shard is there for.
type ShardState uint8

const (
	// Joining: registered, holds nothing yet.
	Joining ShardState = iota
	// Active: may own slots.
	Active
	// Draining: gives away what it owns and gets nothing new.
	Draining
	// Dead: given up by an operator.
	Dead
)

// NodeRole says what a node does for its shard.
type NodeRole uint8

const (
	// Candidate: registered, not yet a copy that follows.
	Candidate NodeRole = iota
	// Primary: holds the shard's term.
	Primary
	// Standby: follows the primary.
	Standby
)

var (
	ownerStates = []string{Owned: "owned", Moving: "moving", Sealed: "sealed"}
	shardStates = []string{Joining: "joining", Active: "active", Draining: "draining", Dead: "dead"}
	nodeRoles   = []string{Candidate: "joining", Primary: "primary", Standby: "standby"}
)

func (s OwnerState) String() string { return nameOf(ownerStates, int(s)) }
func (s ShardState) String() string { return nameOf(shardStates, int(s)) }
func (r NodeRole) String() string   { return nameOf(nodeRoles, int(r)) }

// MarshalText is the state's name.
func (s ShardState) MarshalText() ([]byte, error) { return textOf(shardStates, int(s)) }

// MarshalText is the role's name.
func (r NodeRole) MarshalText() ([]byte, error) { return textOf(nodeRoles, int(r)) }

// UnmarshalText reads what MarshalText wrote.
func (s *ShardState) UnmarshalText(text []byte) error {
	i, err := indexOf(shardStates, string(text))
	*s = ShardState(i)
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (r *NodeRole) UnmarshalText(text []byte) error {
	i, err := indexOf(nodeRoles, string(text))
	*r = NodeRole(i)
	return err
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func textOf(names []string, i int) ([]byte, error) {
	if i >= len(names) {
		return nil, fmt.Errorf("no state has number %d", i)
	}
	return []byte(names[i]), nil
}

func indexOf(names []string, name string) (int, error) {
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("unknown state %q (known: %v)", name, names)
}

// String reads as "shard 1 epoch 3", and names the target of a move.
func (o Owner) String() string {
	switch {
	case o.Shard == None:
		return "nobody"
	case o.State == Owned:
		return fmt.Sprintf("shard %d epoch %d", o.Shard, o.Epoch)
	}
	return fmt.Sprintf("shard %d epoch %d %v to %d", o.Shard, o.Epoch, o.State, o.To)
}

// MarshalJSON writes [shard, epoch], with state and target behind while a move
// is under way: a table of 65536 slots stays below what the control store takes.
func (o Owner) MarshalJSON() ([]byte, error) { return o.appendJSON([]byte{'['}) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Owner) UnmarshalJSON(text []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	return o.fromFields(fields)
}

// MarshalJSON writes [cell, shard, epoch] and on as an Owner does.
func (c CellOwner) MarshalJSON() ([]byte, error) {
	return c.appendJSON(fmt.Appendf(nil, "[%d,", c.Cell))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *CellOwner) UnmarshalJSON(text []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	if len(fields) == 0 {
		return fmt.Errorf("a cell's owner has no fields")
	}
	if err := json.Unmarshal(fields[0], &c.Cell); err != nil {
		return err
	}
	return c.Owner.fromFields(fields[1:])
}

// appendJSON ends the array that head began.
func (o Owner) appendJSON(head []byte) ([]byte, error) {
	out := fmt.Appendf(head, "%d,%d", o.Shard, o.Epoch)
	if o.State != Owned || o.To != None {
		name, err := textOf(ownerStates, int(o.State))
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, ",%q,%d", name, o.To)
	}
	return append(out, ']'), nil
}

func (o *Owner) fromFields(fields []json.RawMessage) error {
	if len(fields) != 2 && len(fields) != 4 {
		return fmt.Errorf("an owner has %d fields, not 2 or 4", len(fields))
	}
	*o = Owner{}
	var state string
	for i, into := range []any{&o.Shard, &o.Epoch, &state, &o.To}[:len(fields)] {
		if err := json.Unmarshal(fields[i], into); err != nil {
			return err
		}
	}
	if len(fields) == 2 {
		return nil
	}
	i, err := indexOf(ownerStates, state)
	o.State = OwnerState(i)
	return err
}
