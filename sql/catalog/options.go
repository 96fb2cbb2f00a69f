package catalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// PlacementOptions is what WITH (helios.…) of CREATE TABLE said about placement, names
// not yet looked up.
type PlacementOptions struct {
	Strategy     Strategy // "" if not said
	ShardKey     []string
	ColocateWith sql.Name // {"none"} asks for a group of its own
	NumCentroids int
	Metric       string
	SplitAt      []string
	ZoneColumn   string
	Zones        []Zone
	Given        bool // any of them was said
}

const placementHint = "Placement options are helios.shard_key, helios.strategy, helios.colocate_with, " +
	"helios.num_centroids, helios.metric, helios.split_at, helios.zone_column and helios.zones."

// ParsePlacement reads the placement options of WITH (…), with or without the helios.
// prefix; values are case-insensitive where they are words. It checks the names of all
// other options too, which are kept but have no effect. Errors are 22023 with a hint.
//
// Lists are separated by commas, an item may stand in double quotes; zones are
// 'eu = de, fr; us = us, ca', or 'eu, us' when the zone column holds the zones' names.
func ParsePlacement(options []sql.Option) (PlacementOptions, error) {
	var p PlacementOptions
	seen := make(map[string]bool)
	for _, o := range options {
		known := slices.Contains(placementNames, o.Name) && (o.Namespace == "" || o.Namespace == "helios")
		full := o.Name
		if o.Namespace != "" {
			full = o.Namespace + "." + o.Name
		}
		switch {
		case seen[full] || known && seen["helios."+o.Name]:
			return p, types.Errorf("22023", "parameter %q specified more than once", full)
		case known:
			seen[full], seen["helios."+o.Name] = true, true
			p.Given = true
			if err := p.set(o); err != nil {
				return p, err
			}
		case o.Namespace == "helios":
			return p, types.Errorf("22023", "unrecognized parameter %q", full).WithHint(placementHint)
		case o.Namespace != "" && o.Namespace != "toast":
			return p, types.Errorf("22023", "unrecognized parameter namespace %q", o.Namespace).WithHint(placementHint)
		case !isStorageParameter(o.Name):
			return p, types.Errorf("22023", "unrecognized parameter %q", full).WithHint(placementHint)
		default:
			seen[full] = true
		}
	}
	return p, p.check()
}

var placementNames = []string{
	"shard_key", "strategy", "colocate_with", "num_centroids", "metric", "split_at", "zone_column", "zones",
}

// NormalOptions writes all placement options with their prefix.
func NormalOptions(options []sql.Option) []sql.Option {
	out := slices.Clone(options)
	for i, o := range out {
		if o.Namespace == "" && slices.Contains(placementNames, o.Name) {
			out[i].Namespace = "helios"
		}
	}
	return out
}

// isStorageParameter tells PostgreSQL's own storage parameters of tables.
func isStorageParameter(name string) bool {
	switch name {
	case "fillfactor", "parallel_workers", "toast_tuple_target", "user_catalog_table", "oids",
		"vacuum_index_cleanup", "vacuum_truncate", "log_autovacuum_min_duration":
		return true
	}
	return strings.HasPrefix(name, "autovacuum_")
}

func (p *PlacementOptions) set(o sql.Option) error {
	if o.Value == nil || strings.TrimSpace(*o.Value) == "" {
		return types.Errorf("22023", "parameter %q needs a value", "helios."+o.Name).WithHint(placementHint)
	}
	value := strings.TrimSpace(*o.Value)
	var err error
	switch o.Name {
	case "shard_key":
		p.ShardKey, err = splitIdents(value)
	case "strategy":
		p.Strategy, err = parseStrategy(value)
	case "colocate_with":
		p.ColocateWith, err = parseName(value)
	case "num_centroids":
		p.NumCentroids, err = strconv.Atoi(value)
		if err != nil || p.NumCentroids < 1 || p.NumCentroids > 65536 {
			return badValue(o, "a whole number from 1 to 65536")
		}
	case "metric":
		p.Metric, err = parseMetric(value)
	case "split_at":
		p.SplitAt, err = splitList(value, ',')
	case "zone_column":
		var names []string
		if names, err = splitIdents(value); err == nil && len(names) == 1 {
			p.ZoneColumn = names[0]
		} else {
			return badValue(o, "the name of one column")
		}
	case "zones":
		p.Zones, err = parseZones(value)
	}
	if err != nil {
		return badValue(o, err.Error())
	}
	return nil
}

func badValue(o sql.Option, want string) error {
	return types.Errorf("22023", "invalid value for parameter %q: %q", "helios."+o.Name, *o.Value).
		WithHint("Give %s.", want)
}

// wish is an error that says what was expected.
type wish string

func (w wish) Error() string { return string(w) }

func parseStrategy(value string) (Strategy, error) {
	s := Strategy(strings.ToLower(value))
	switch s {
	case Hash, Range, Geo, Vector, Reference, Single:
		return s, nil
	}
	return "", wish("hash, range, geo, vector, reference or single")
}

func parseMetric(value string) (string, error) {
	switch m := strings.ToLower(value); m {
	case "l2", "cosine", "ip":
		return m, nil
	}
	return "", wish("l2, cosine or ip")
}

func parseZones(value string) ([]Zone, error) {
	const want = wish("zones such as 'eu = de, fr; us = us, ca', or 'eu, us'")
	if !strings.Contains(value, "=") {
		names, err := splitList(value, ',')
		if err != nil {
			return nil, err
		}
		var out []Zone
		for _, n := range names {
			out = append(out, Zone{Name: n, Values: []string{n}})
		}
		return out, nil
	}
	var out []Zone
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(value, ";") {
		name, list, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		values, err := splitList(list, ',')
		if !ok || name == "" || err != nil {
			return nil, want
		}
		for _, v := range values {
			if seen[v] {
				return nil, wish("each value to one zone only")
			}
			seen[v] = true
		}
		out = append(out, Zone{Name: name, Values: values})
	}
	return out, nil
}

// splitList cuts a list; an item in double quotes may hold the separator, and "" in it
// is one quote.
func splitList(text string, sep byte) ([]string, error) {
	items, _, err := cutList(text, sep)
	return items, err
}

func cutList(text string, sep byte) (items []string, quoted []bool, err error) {
	const want = wish("a list of items with commas between them")
	for {
		text = strings.TrimSpace(text)
		var item string
		isQuoted := strings.HasPrefix(text, `"`)
		if isQuoted {
			rest, ok := "", false
			item, rest, ok = cutQuoted(text)
			if !ok || item == "" {
				return nil, nil, want
			}
			text = strings.TrimSpace(rest)
			if text != "" && text[0] != sep {
				return nil, nil, want
			}
		} else {
			end := strings.IndexByte(text, sep)
			if end < 0 {
				end = len(text)
			}
			if item = strings.TrimSpace(text[:end]); item == "" {
				return nil, nil, want
			}
			text = text[end:]
		}
		items, quoted = append(items, item), append(quoted, isQuoted)
		if text == "" {
			return items, quoted, nil
		}
		text = text[1:]
	}
}

// cutQuoted takes a text in double quotes from the front.
func cutQuoted(text string) (item, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), text[i+1:], true
	}
	return "", "", false
}

// splitIdents cuts a list of identifiers, folded to lower case unless quoted.
func splitIdents(text string) ([]string, error) {
	items, quoted, err := cutList(text, ',')
	for i := range items {
		if !quoted[i] {
			items[i] = strings.ToLower(items[i])
		}
	}
	return items, err
}

func parseName(text string) (sql.Name, error) {
	parts, quoted, err := cutList(text, '.')
	if err != nil || len(parts) > 2 {
		return nil, wish("the name of a table")
	}
	for i := range parts {
		if !quoted[i] {
			parts[i] = strings.ToLower(parts[i])
		}
	}
	return parts, nil
}

// needs says which strategies an option belongs to.
var needs = []struct {
	name  string
	given func(p *PlacementOptions) bool
	of    []Strategy
}{
	{"split_at", func(p *PlacementOptions) bool { return p.SplitAt != nil }, []Strategy{Range}},
	{"zone_column", func(p *PlacementOptions) bool { return p.ZoneColumn != "" }, []Strategy{Geo}},
	{"zones", func(p *PlacementOptions) bool { return p.Zones != nil }, []Strategy{Geo}},
	{"num_centroids", func(p *PlacementOptions) bool { return p.NumCentroids != 0 }, []Strategy{Vector}},
	{"metric", func(p *PlacementOptions) bool { return p.Metric != "" }, []Strategy{Vector}},
	{"shard_key", func(p *PlacementOptions) bool { return p.ShardKey != nil }, []Strategy{Hash, Range, Vector, Geo}},
	{"colocate_with", func(p *PlacementOptions) bool { return p.ColocateWith != nil }, []Strategy{Hash}},
}

// check holds options that contradict each other.
func (p *PlacementOptions) check() error {
	strategy := p.Strategy
	if strategy == "" {
		strategy = Hash
		for _, n := range needs[:5] { // an option of one strategy alone implies it
			if n.given(p) {
				strategy = n.of[0]
				p.Strategy = strategy
				break
			}
		}
	}
	if strategy == Geo && p.ZoneColumn == "" && len(p.ShardKey) == 1 {
		p.ZoneColumn = p.ShardKey[0]
	}
	for _, n := range needs {
		if n.given(p) && !slices.Contains(n.of, strategy) {
			return types.Errorf("22023", "parameter %q does not go with strategy %q", "helios."+n.name, strategy)
		}
	}
	if strategy == Geo && (p.ZoneColumn == "" || p.Zones == nil) {
		return types.Errorf("22023", "strategy %q needs helios.zone_column and helios.zones", strategy)
	}
	return nil
}
