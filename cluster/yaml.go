package cluster

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fields maps the keys a mapping may have to what reads their values; the
// reader gets the value and its path.
type fields map[string]func(value *yaml.Node, key string)

// mapping reads a mapping strictly: known keys, none twice, none missing that
// is required.
func (p *parser) mapping(n *yaml.Node, path string, known fields, required ...string) {
	if n.Kind != yaml.MappingNode {
		p.fail(n.Line, path, "want keys and values, got %s", kindOf(n))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(path+"."+key.Value, ".")
		read, ok := known[key.Value]
		switch line, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			p.fail(key.Line, path, "a key is %s", kindOf(key))
		case twice:
			p.fail(key.Line, full, "the key is already there at line %d", line)
		case !ok:
			p.fail(key.Line, full, "unknown key (known: %s)", strings.Join(sortedKeys(known), ", "))
		default:
			seen[key.Value] = key.Line
			read(value, full)
		}
	}
	for _, key := range required {
		if _, ok := seen[key]; !ok {
			p.fail(n.Line, path, "the key %q is missing", key)
		}
	}
}

// list reads a list of at least one entry.
func (p *parser) list(n *yaml.Node, path string, each func(n *yaml.Node, key string)) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.fail(n.Line, path, "want a list of one or more, got %s", kindOf(n))
		return
	}
	for i, entry := range n.Content {
		each(entry, path+"["+strconv.Itoa(i)+"]")
	}
}

// text reads a scalar that is not empty.
func (p *parser) text(n *yaml.Node, key string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		p.fail(n.Line, key, "want a text, got %s", kindOf(n))
		return ""
	}
	return n.Value
}

// number reads a whole number of this range; after a fault it is 0.
func (p *parser) number(n *yaml.Node, key string, lo, hi int) int {
	var i int
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Decode(&i) != nil {
		p.fail(n.Line, key, "want a whole number from %d to %d, got %s", lo, hi, kindOf(n))
		return 0
	}
	if i < lo || i > hi {
		p.fail(n.Line, key, "%d is not %d to %d", i, lo, hi)
		return 0
	}
	return i
}

func (p *parser) slots(n *yaml.Node, key string) int {
	slots := p.number(n, key, 1, maxSlots)
	if slots&(slots-1) != 0 {
		p.fail(n.Line, key, "%d is not a power of two", slots)
	}
	return slots
}

// id reads the name of a cluster or node.
func (p *parser) id(n *yaml.Node, key, kind string) string {
	s := p.text(n, key)
	if s != "" && !name.MatchString(s) {
		p.fail(n.Line, key, "a %s is named by lower-case letters, digits and '-', at most 63, not %q", kind, s)
	}
	return s
}

// addr reads host:port, which no other place in the file may use.
func (p *parser) addr(n *yaml.Node, key string, needHost bool) string {
	s := p.text(n, key)
	if s == "" {
		return ""
	}
	if err := checkAddr(s, needHost); err != nil {
		p.fail(n.Line, key, "%v", err)
		return s
	}
	p.once(p.addrs, n, key, s)
	return s
}

// once faults a value that an earlier line has.
func (p *parser) once(seen map[string]int, n *yaml.Node, key, value string) {
	if line, ok := seen[value]; ok {
		p.fail(n.Line, key, "%s is already there at line %d", value, line)
		return
	}
	seen[value] = n.Line
}

// find returns the value of a key, nil if a mapping has none.
func find(n *yaml.Node, key string) *yaml.Node {
	i := slices.IndexFunc(n.Content, func(k *yaml.Node) bool { return k.Value == key })
	if i < 0 || i%2 != 0 || i+1 >= len(n.Content) {
		return nil
	}
	return n.Content[i+1]
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			return "an empty list"
		}
		return "a list"
	case yaml.AliasNode:
		return "an alias, which a cluster file does not use"
	}
	if n.Tag == "!!null" || n.Value == "" {
		return "nothing"
	}
	return strconv.Quote(n.Value)
}
