package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is a cluster file: where a router or node finds the cluster, and what
// seeds an empty control store. Afterwards the store wins.
type File struct {
	Cluster   string
	Listen    string // host:port for SQL clients, empty for the default
	HTTP      string // host:port for health and metrics, empty for the default
	Slots     int    // slot count of a new cluster
	Observers []string
	Shards    []Shard // ascending by ID, all Joining, nodes Candidates
	Limits    Limits
}

// Limits bounds what a router takes on.
type Limits struct {
	MaxConnections int // client connections
	MaxFanout      int // shards one statement may touch, 0 for all
	PoolSize       int // connections to each node
}

// DefaultLimits is what a file that is silent gets.
var DefaultLimits = Limits{MaxConnections: 1000, PoolSize: 64}

// FileError is one fault in a cluster file.
type FileError struct {
	File string
	Line int    // from 1
	Key  string // path of the key, such as shards[0].nodes[1].sql
	Msg  string
}

// Error reads as "cluster.yaml:7: shards[0].id: …".
func (e *FileError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Key, e.Msg)
}

const maxFileBytes = 4 << 20

// ParseFile reads a cluster file; name is for messages. The file is read
// strictly: what it does not know, what is there twice and what cannot be is an
// error. The error joins a FileError for each fault, in the order of lines.
func ParseFile(name string, text []byte) (*File, error) {
	p := &parser{name: name, addrs: map[string]int{}, ids: map[string]int{}}
	f := &File{Slots: DefaultSlots, Limits: DefaultLimits}
	if root := p.root(text); root != nil {
		p.file(root, f)
	}
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b *FileError) int { return a.Line - b.Line })
		errs := make([]error, len(p.faults))
		for i, fault := range p.faults {
			errs[i] = fault
		}
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(f.Shards, func(a, b Shard) int { return int(a.ID) - int(b.ID) })
	return f, nil
}

// parser walks the tree of a file and gathers its faults.
type parser struct {
	name   string
	faults []*FileError
	addrs  map[string]int // address to the line that used it first
	ids    map[string]int // "node x" or "shard 1" likewise
}

func (p *parser) fail(line int, key, format string, args ...any) {
	p.faults = append(p.faults, &FileError{p.name, line, key, fmt.Sprintf(format, args...)})
}

// yaml counts the lines of what its scanner finds from 1, and those of what its
// parser finds from 0; the words tell which it was.
var (
	yamlLine   = regexp.MustCompile(`^yaml: line (\d+): (.*)`)
	yamlParser = regexp.MustCompile(`^did not find expected (','|'-'|key|node content|<)`)
)

// root returns the mapping at the top of the only document, nil after a fault.
func (p *parser) root(text []byte) *yaml.Node {
	if len(text) > maxFileBytes {
		p.fail(1, "", "the file has %d bytes, more than %d", len(text), maxFileBytes)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		if err = dec.Decode(&more); err == nil {
			p.fail(more.Line, "", "a second document; a cluster file has one")
			return nil
		}
		if errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	if errors.Is(err, io.EOF) {
		p.fail(1, "", "the file is empty")
		return nil
	}
	line, msg := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1]) // the pattern holds digits only
		msg = m[2]
		if yamlParser.MatchString(msg) {
			line++
		}
	}
	p.fail(line, "", "%s", msg)
	return nil
}

func (p *parser) file(root *yaml.Node, f *File) {
	p.mapping(root, "", fields{
		"cluster":   func(n *yaml.Node, key string) { f.Cluster = p.id(n, key, "cluster") },
		"listen":    func(n *yaml.Node, key string) { f.Listen = p.addr(n, key, false) },
		"http":      func(n *yaml.Node, key string) { f.HTTP = p.addr(n, key, false) },
		"slots":     func(n *yaml.Node, key string) { f.Slots = p.slots(n, key) },
		"observers": func(n *yaml.Node, key string) { f.Observers = p.observers(n, key) },
		"shards":    func(n *yaml.Node, key string) { f.Shards = p.shards(n, key) },
		"limits":    func(n *yaml.Node, key string) { p.limits(n, key, &f.Limits) },
		"tls":       p.later,
	}, "cluster")
	if root.Kind == yaml.MappingNode && find(root, "observers") == nil && find(root, "shards") == nil {
		p.fail(root.Line, "", "neither observers nor shards: nothing says where the cluster is")
	}
}

func (p *parser) observers(list *yaml.Node, key string) (addrs []string) {
	p.list(list, key, func(n *yaml.Node, key string) { addrs = append(addrs, p.addr(n, key, true)) })
	return addrs
}

func (p *parser) shards(list *yaml.Node, key string) (shards []Shard) {
	p.list(list, key, func(n *yaml.Node, key string) {
		s := Shard{Weight: 100}
		p.mapping(n, key, fields{
			"id": func(n *yaml.Node, key string) {
				if s.ID = ShardID(p.number(n, key, 1, 65535)); s.ID != None {
					p.once(p.ids, n, key, fmt.Sprintf("shard %d", s.ID))
				}
			},
			"weight": func(n *yaml.Node, key string) { s.Weight = p.number(n, key, 1, maxWeight) },
			"zone":   func(n *yaml.Node, key string) { s.Zone = p.text(n, key) },
			"nodes":  func(n *yaml.Node, key string) { s.Nodes = p.nodes(n, key) },
		}, "id", "nodes")
		shards = append(shards, s)
	})
	return shards
}

func (p *parser) nodes(list *yaml.Node, key string) (nodes []Node) {
	p.list(list, key, func(n *yaml.Node, key string) {
		var node Node
		p.mapping(n, key, fields{
			"id": func(n *yaml.Node, key string) {
				if node.ID = p.id(n, key, "node"); node.ID != "" {
					p.once(p.ids, n, key, "node "+node.ID)
				}
			},
			"sql":    func(n *yaml.Node, key string) { node.SQL = p.addr(n, key, true) },
			"native": func(n *yaml.Node, key string) { node.Native = p.addr(n, key, true) },
			"http":   p.later,
		}, "id", "sql", "native")
		nodes = append(nodes, node)
	})
	return nodes
}

func (p *parser) limits(n *yaml.Node, key string, l *Limits) {
	number := func(into *int, lo, hi int) func(*yaml.Node, string) {
		return func(n *yaml.Node, key string) { *into = p.number(n, key, lo, hi) }
	}
	p.mapping(n, key, fields{
		"max_connections":    number(&l.MaxConnections, 1, 1_000_000),
		"max_fanout":         number(&l.MaxFanout, 0, 65535),
		"max_queue_per_slot": p.later,
		"cutover_wait_ms":    p.later,
		"pool_size":          number(&l.PoolSize, 1, 10_000),
	})
}

// later refuses a key that is known and that nothing obeys yet: whoever sets it counts on it.
func (p *parser) later(n *yaml.Node, key string) {
	p.fail(n.Line, key, "is not supported yet: remove it")
}
