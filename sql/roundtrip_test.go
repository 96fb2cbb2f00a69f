package sql

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// corpus gives every statement of testdata/*.sql by file.
func corpus(t testing.TB) map[string][]Parsed {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	all := make(map[string][]Parsed)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, p := range parsed {
			if got := string(text)[p.Offset : p.Offset+len(p.Text)]; got != p.Text {
				t.Errorf("%s: offset %d does not lead to %q", f, p.Offset, p.Text)
			}
		}
		all[f] = parsed
	}
	return all
}

// oneSpelling names the files of statements that have several spellings of one meaning:
// the printer writes one of them, so PostgreSQL's grammar sees another tree.
var oneSpelling = map[string]bool{"spellings.sql": true, "restore.sql": true}

// TestRoundTrip holds that printing a statement and parsing it again gives the same
// tree, and that PostgreSQL's grammar reads the printed text as it reads the original:
// so neither the conversion nor the printer loses anything.
func TestRoundTrip(t *testing.T) {
	count := 0
	for file, parsed := range corpus(t) {
		for _, p := range parsed {
			count++
			if u, ok := p.Statement.(*Unsupported); ok {
				t.Errorf("%s: unsupported %s: %s", file, u.What, p.Text)
				continue
			}
			if c := Clone(p.Statement); !Equal(c, p.Statement) {
				t.Errorf("%s: the clone differs: %s", file, p.Text)
			}
			printed := Print(p.Statement)
			again, err := ParseOne(printed)
			if err != nil {
				t.Errorf("%s: %v\n  of %s\n  is %s", file, err, p.Text, printed)
				continue
			}
			if !Equal(p.Statement, again) {
				t.Errorf("%s: not the same tree\n  of %s\n  is %s\n then %s", file, p.Text, printed, Print(again))
			}
			if oneSpelling[filepath.Base(file)] {
				continue
			}
			if want, got := grammarTree(t, p.Text), grammarTree(t, printed); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: PostgreSQL reads it otherwise\n  of %s\n  is %s", file, p.Text, printed)
			}
		}
	}
	if count < 400 {
		t.Errorf("corpus has %d statements, want at least 400", count)
	}
}

// grammarTree is the parser's own tree of a text without positions, in the form to
// which the conversion brings what has two spellings.
func grammarTree(t *testing.T, text string) any {
	t.Helper()
	js, err := pg.ParseToJSON(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var tree map[string]any
	if err := json.Unmarshal([]byte(js), &tree); err != nil {
		t.Fatal(err)
	}
	stmts, _ := tree["stmts"].([]any)
	return normal(stmts[0].(map[string]any)["stmt"])
}

// normal drops positions and makes options comparable.
func normal(n any) any {
	switch n := n.(type) {
	case []any:
		out := make([]any, 0, len(n))
		for _, e := range n {
			out = append(out, normal(e))
		}
		return out
	case map[string]any:
		out := make(map[string]any)
		for k, v := range n {
			if k == "DefElem" {
				out[k] = definition(v.(map[string]any))
				continue
			}
			if k != "location" && k != "funcformat" {
				out[k] = normal(v)
			}
		}
		return out
	}
	return n
}

// definition writes an option with its values as texts, whether quoted or not.
func definition(d map[string]any) string {
	text := fmt.Sprint(d["defname"])
	if ns, ok := d["defnamespace"]; ok {
		text = fmt.Sprint(ns, ".", text)
	}
	var values func(v any)
	values = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if k != "location" && k != "typemod" {
					values(v[k])
				}
			}
		case []any:
			for _, e := range v {
				values(e)
			}
		default:
			if s := fmt.Sprint(v); s != "pg_catalog" {
				text += " " + s
			}
		}
	}
	values(d["arg"])
	return text
}
