package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
)

// ErrInvalid is wrapped by everything Validate and the methods of Map refuse.
var ErrInvalid = errors.New("invalid cluster map")

const (
	maxSlots  = 1 << 16
	maxWeight = 10_000
)

// name is what clusters and nodes may be called.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Validate reports the first thing in which the map contradicts itself.
func (m *Map) Validate() error {
	if !name.MatchString(m.ClusterID) {
		return fmt.Errorf("%w: cluster id %q is not of %s", ErrInvalid, m.ClusterID, name)
	}
	if m.Version == 0 {
		return fmt.Errorf("%w: version 0", ErrInvalid)
	}
	if n := len(m.Slots); n < 1 || n > maxSlots || n&(n-1) != 0 {
		return fmt.Errorf("%w: %d slots is not a power of two up to %d", ErrInvalid, n, maxSlots)
	}
	if err := m.validateShards(); err != nil {
		return err
	}
	for slot, o := range m.Slots {
		if err := m.validateOwner(o, "slot", slot); err != nil {
			return err
		}
	}
	for _, zone := range sortedKeys(m.Zones) {
		if zone == "" {
			return fmt.Errorf("%w: a zone without a name", ErrInvalid)
		}
		if err := m.validateOwner(m.Zones[zone], "zone", zone); err != nil {
			return err
		}
	}
	if err := m.validateCells(); err != nil {
		return err
	}
	return m.validateRanges()
}

func (m *Map) validateShards() error {
	nodes, addrs := map[string]bool{}, map[string]bool{}
	for i, s := range m.Shards {
		switch {
		case s.ID == None:
			return fmt.Errorf("%w: shard id 0 is reserved", ErrInvalid)
		case i > 0 && m.Shards[i-1].ID >= s.ID:
			return fmt.Errorf("%w: shard %d is named twice or out of order", ErrInvalid, s.ID)
		case s.Weight < 0 || s.Weight > maxWeight:
			return fmt.Errorf("%w: weight of shard %d is %d, not 0 to %d", ErrInvalid, s.ID, s.Weight, maxWeight)
		case s.State > Dead:
			return fmt.Errorf("%w: shard %d has state %v", ErrInvalid, s.ID, s.State)
		}
		for _, n := range s.Nodes {
			if err := n.validate(); err != nil {
				return err
			}
			if nodes[n.ID] {
				return fmt.Errorf("%w: node %q is named twice", ErrInvalid, n.ID)
			}
			nodes[n.ID] = true
			for _, addr := range []string{n.SQL, n.Native, n.HTTP} {
				if addr != "" && addrs[addr] {
					return fmt.Errorf("%w: address %q is used twice", ErrInvalid, addr)
				}
				addrs[addr] = true
			}
		}
		if err := s.validateTerm(); err != nil {
			return err
		}
	}
	return nil
}

// validateTerm holds primary, roles and sync set together.
func (s Shard) validateTerm() error {
	if s.Primary != "" && s.Term == 0 {
		return fmt.Errorf("%w: shard %d has primary %q without a term", ErrInvalid, s.ID, s.Primary)
	}
	if _, ok := s.PrimaryNode(); s.Primary != "" && !ok {
		return fmt.Errorf("%w: primary %q is no node of shard %d", ErrInvalid, s.Primary, s.ID)
	}
	for _, n := range s.Nodes {
		if (n.Role == Primary) != (n.ID == s.Primary) {
			return fmt.Errorf("%w: node %q has role %v, the primary of shard %d is %q", ErrInvalid, n.ID, n.Role, s.ID, s.Primary)
		}
	}
	for i, id := range s.SyncSet {
		if _, ok := s.Node(id); !ok || id == s.Primary || slices.Contains(s.SyncSet[:i], id) {
			return fmt.Errorf("%w: %q in the sync set of shard %d is its primary, no node of it or there twice", ErrInvalid, id, s.ID)
		}
	}
	return nil
}

func (n Node) validate() error {
	if !name.MatchString(n.ID) {
		return fmt.Errorf("%w: node id %q is not of %s", ErrInvalid, n.ID, name)
	}
	if n.Role > Standby {
		return fmt.Errorf("%w: node %q has role %v", ErrInvalid, n.ID, n.Role)
	}
	switch n.Class {
	case "", "async", "semi-sync", "sync":
	default:
		return fmt.Errorf("%w: node %q has class %q", ErrInvalid, n.ID, n.Class)
	}
	for _, addr := range []string{n.SQL, n.Native, n.HTTP} {
		if addr == "" {
			continue
		}
		if err := checkAddr(addr, true); err != nil {
			return fmt.Errorf("%w: node %q: %v", ErrInvalid, n.ID, err)
		}
	}
	return nil
}

// checkAddr reports what is wrong with host:port; a listening address may leave
// the host out.
func checkAddr(addr string, needHost bool) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if host == "" && needHost {
		return fmt.Errorf("%q has no host", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q of %q is not 1 to 65535", port, addr)
	}
	return nil
}

func (m *Map) validateOwner(o Owner, kind string, name any) error {
	if o.Shard == None {
		if o.State != Owned || o.To != None {
			return fmt.Errorf("%w: %s %v moves but has no owner", ErrInvalid, kind, name)
		}
		return nil
	}
	if _, ok := m.Shard(o.Shard); !ok {
		return fmt.Errorf("%w: %s %v is owned by shard %d, which is not there", ErrInvalid, kind, name, o.Shard)
	}
	if o.Epoch == 0 {
		return fmt.Errorf("%w: %s %v has an owner at epoch 0", ErrInvalid, kind, name)
	}
	switch o.State {
	case Owned:
		if o.To != None {
			return fmt.Errorf("%w: %s %v does not move but has target %d", ErrInvalid, kind, name, o.To)
		}
	case Moving, Sealed:
		if _, ok := m.Shard(o.To); !ok || o.To == o.Shard {
			return fmt.Errorf("%w: %s %v of shard %d has target %d", ErrInvalid, kind, name, o.Shard, o.To)
		}
	default:
		return fmt.Errorf("%w: %s %v has state %v", ErrInvalid, kind, name, o.State)
	}
	return nil
}

func (m *Map) validateCells() error {
	for _, table := range sortedKeys(m.CellSets) {
		cells := m.CellSets[table].Cells
		for i, c := range cells {
			if i > 0 && cells[i-1].Cell >= c.Cell {
				return fmt.Errorf("%w: cell %d of table %d is there twice or out of order", ErrInvalid, c.Cell, table)
			}
			if err := m.validateOwner(c.Owner, fmt.Sprintf("table %d cell", table), c.Cell); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Map) validateRanges() error {
	for _, table := range sortedKeys(m.Ranges) {
		ranges := m.Ranges[table]
		for i, r := range ranges {
			switch {
			case i == 0 && len(r.From) > 0:
				return fmt.Errorf("%w: the first range of table %d does not begin at the start", ErrInvalid, table)
			case i > 0 && bytes.Compare(ranges[i-1].From, r.From) >= 0:
				return fmt.Errorf("%w: range %x of table %d is there twice or out of order", ErrInvalid, r.From, table)
			}
			if err := m.validateOwner(r.Owner, fmt.Sprintf("table %d range", table), fmt.Sprintf("%x", r.From)); err != nil {
				return err
			}
		}
	}
	return nil
}
