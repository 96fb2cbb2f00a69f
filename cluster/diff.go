package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Change is one difference between two maps: what, and its value before and
// after, empty where it was not there.
type Change struct {
	What, From, To string
}

// String reads as "slot 3: shard 1 epoch 1 → shard 2 epoch 2".
func (c Change) String() string {
	return fmt.Sprintf("%s: %s → %s", c.What, cmp.Or(c.From, "none"), cmp.Or(c.To, "none"))
}

// Diff lists what changed from one map to another, in the order in which a map
// is written.
func Diff(from, to *Map) []Change {
	before, after := from.entries(), to.entries()
	old := make(map[string]string, len(before))
	for _, e := range before {
		old[e.what] = e.value
	}
	var changes []Change
	kept := make(map[string]bool, len(after))
	for _, e := range after {
		kept[e.what] = true
		if old[e.what] != e.value {
			changes = append(changes, Change{e.what, old[e.what], e.value})
		}
	}
	for _, e := range before {
		if !kept[e.what] {
			changes = append(changes, Change{e.what, e.value, ""})
		}
	}
	return changes
}

// entry is one line of a map spelled out.
type entry struct{ what, value string }

// entries spells the map out, one value a line.
func (m *Map) entries() []entry {
	var out []entry
	add := func(value string, what string, args ...any) {
		out = append(out, entry{fmt.Sprintf(what, args...), value})
	}
	add(m.ClusterID, "cluster")
	add(fmt.Sprint(m.Version), "version")
	for _, s := range m.Shards {
		add(fmt.Sprintf("%v weight %d%s", s.State, s.Weight, prefixed(" zone ", s.Zone)), "shard %d", s.ID)
		add(fmt.Sprintf("%s term %d", cmp.Or(s.Primary, "nobody"), s.Term), "shard %d primary", s.ID)
		add(strings.Join(s.SyncSet, " "), "shard %d sync set", s.ID)
		for _, n := range s.Nodes {
			add(fmt.Sprintf("%v%s%s%s%s", n.Role, prefixed(" class ", n.Class), prefixed(" sql ", n.SQL), prefixed(" native ", n.Native), prefixed(" http ", n.HTTP)),
				"shard %d node %s", s.ID, n.ID)
		}
	}
	for slot, o := range m.Slots {
		add(o.String(), "slot %d", slot)
	}
	for _, table := range sortedKeys(m.CellSets) {
		set := m.CellSets[table]
		add(fmt.Sprint(set.Generation), "table %d generation", table)
		for _, c := range set.Cells {
			add(c.Owner.String(), "table %d cell %d", table, c.Cell)
		}
	}
	for _, table := range sortedKeys(m.Ranges) {
		for _, r := range m.Ranges[table] {
			add(r.Owner.String(), "table %d range from %q", table, r.From)
		}
	}
	for _, zone := range sortedKeys(m.Zones) {
		add(m.Zones[zone].String(), "zone %s", zone)
	}
	return out
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
