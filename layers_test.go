package helios_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/heliosdb/helios/"

// layer is one row of the import table in ARCHITECTURE.md: the floor a package
// stands on and the only Helios packages it may import.
type layer struct {
	floor int
	may   []string
}

// below lists every package under node; node and what stands on it may use all.
var below = []string{"*"}

var layers = map[string]layer{
	"types":    {0, nil},
	"distance": {0, nil},
	"hashring": {0, nil},
	"hlc":      {0, nil},
	"wal":      {0, nil},
	"cluster":  {0, nil},
	"auth":     {0, nil},
	"rpc":      {0, nil},

	"sql":         {1, []string{"types"}},
	"sql/builtin": {1, []string{"distance", "types"}},
	"storage":     {1, []string{"hlc", "wal"}},
	"centroids":   {1, []string{"distance"}},
	"twophase":    {1, []string{"hlc"}},
	"pgwire":      {1, []string{"types"}},
	"remote":      {1, []string{"cluster", "types"}},
	"consensus":   {1, []string{"cluster"}},
	"ha":          {1, []string{"cluster", "rpc", "wal"}},

	"sql/catalog": {2, []string{"sql", "types"}},
	"txn":         {2, []string{"hlc", "storage", "types"}},
	"vectorpart":  {2, []string{"centroids", "cluster", "distance"}},

	"placement":     {3, []string{"centroids", "cluster", "hashring", "sql/catalog", "types", "vectorpart"}},
	"sql/plan":      {3, []string{"sql/builtin", "sql/catalog", "sql", "types"}},
	"sql/pgcatalog": {3, []string{"sql/builtin", "sql/catalog", "sql", "types"}},
	"reshard":       {3, []string{"cluster", "hashring", "hlc", "rpc", "vectorpart", "wal"}},

	"sql/exec": {4, []string{"sql/builtin", "sql/plan", "types"}},
	"sql/ddl":  {4, []string{"sql/catalog", "sql/plan", "sql", "types"}},

	"session": {5, []string{"pgwire", "sql/builtin", "sql/catalog", "sql/exec", "sql/plan", "sql", "types"}},
	"shard": {6, []string{
		"session", "sql/builtin", "sql/catalog", "cluster", "sql/ddl", "sql/exec", "hashring", "hlc",
		"placement", "sql/pgcatalog", "sql/plan", "sql", "storage", "twophase", "txn", "types", "vectorpart", "wal",
	}},
	"router": {6, []string{
		"session", "sql/builtin", "sql/catalog", "centroids", "cluster", "distance", "sql/ddl", "sql/exec", "hashring", "hlc",
		"placement", "sql/pgcatalog", "sql/plan", "remote", "sql", "twophase", "types", "vectorpart",
	}},

	"admin": {7, []string{"sql/catalog", "cluster", "consensus", "ha", "reshard", "router", "session", "shard", "types"}},
	"node":  {8, below},

	"cmd/helios":       {9, below},
	"bench":            {9, below},
	"internal/simtest": {9, below},
	"internal/e2e":     {9, below},
}

// TestLayers holds the import table: no arrow points up, none is missing from it.
func TestLayers(t *testing.T) {
	for name, pkg := range listPackages(t) {
		row, ok := layers[name]
		if !ok {
			t.Errorf("package %s has no row in the import table", name)
			continue
		}
		for _, dep := range pkg.Imports {
			dep, ours := strings.CutPrefix(dep, module)
			if !ours {
				continue
			}
			if !slices.Contains(row.may, "*") && !slices.Contains(row.may, dep) {
				t.Errorf("%s (floor %d) may not import %s", name, row.floor, dep)
			}
			if below := layers[dep].floor; below >= row.floor {
				t.Errorf("%s (floor %d) imports %s (floor %d): the arrow does not point down", name, row.floor, dep, below)
			}
		}
		if pkg.Doc == "" {
			t.Errorf("package %s has no doc sentence", name)
		}
	}
}

type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
}

func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := make(map[string]goPackage)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if name, ok := strings.CutPrefix(p.ImportPath, module); ok {
			found[name] = p
		}
	}
}
