package session

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// drawFormat draws valid options of COPY in text or CSV.
func drawFormat(t *rapid.T) *copyFormat {
	name, delimiters, nulls := "text", "\t|;:", []string{`\N`} // any other also stands for itself
	if rapid.Bool().Draw(t, "csv") {
		name, delimiters, nulls = "csv", ",;|\t", []string{"", "NULL", `\N`}
	}
	value := func(s string) *string { return &s }
	options := []sql.Option{
		{Name: "format", Value: value(name)},
		{Name: "delimiter", Value: value(string(rapid.SampledFrom([]byte(delimiters)).Draw(t, "delimiter")))},
		{Name: "null", Value: value(rapid.SampledFrom(nulls).Draw(t, "null"))},
	}
	if name == "csv" {
		options = append(options,
			sql.Option{Name: "quote", Value: value(rapid.SampledFrom([]string{`"`, `'`}).Draw(t, "quote"))},
			sql.Option{Name: "escape", Value: value(rapid.SampledFrom([]string{`"`, `\`, `'`}).Draw(t, "escape"))})
	}
	f, err := copyOptions(options, true)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestCopyRoundTrip writes rows of text and reads them again, for all options.
func TestCopyRoundTrip(t *testing.T) {
	cell := rapid.Custom(func(t *rapid.T) types.Value {
		if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
			return types.Null
		}
		return types.Text(rapid.StringOf(rapid.SampledFrom([]rune("aN\\UL.,;|:\t\n\r\"'\b\vé世 "))).Draw(t, "text"))
	})
	rapid.Check(t, func(t *rapid.T) {
		f := drawFormat(t)
		columns := rapid.IntRange(1, 3).Draw(t, "columns")
		rows := rapid.SliceOf(rapid.SliceOfN(cell, columns, columns)).Draw(t, "rows")
		w := &copyWriter{format: f, functions: &builtin.Context{}}
		for range columns {
			w.columns = append(w.columns, types.T(types.TextOID))
		}
		var data bytes.Buffer
		for _, row := range rows {
			data.Write(w.row(row))
		}
		r := newCopyReader(&data, f, "t")
		for n, row := range rows {
			if err := r.next(); err != nil {
				t.Fatalf("row %d: %v", n, err)
			}
			if got, want := len(r.fields), columns; got != want {
				t.Fatalf("row %d: %d fields, want %d: %q", n, got, want, r.raw)
			}
			for i, v := range row {
				got := r.fields[i]
				if got.null != v.IsNull() {
					t.Fatalf("row %d: field %d of %q: null %v, want %v", n, i, r.raw, got.null, v.IsNull())
				}
				if text := string(r.text[got.start:got.end]); !v.IsNull() && text != v.AsText() {
					t.Fatalf("row %d: field %d of %q: got %q, want %q", n, i, r.raw, text, v.AsText())
				}
			}
		}
		if err := r.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last row: %v", err)
		}
	})
}

// TestCopyReadsAnything feeds bytes that nobody wrote: an error or fields, never a panic.
func TestCopyReadsAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFormat(t)
		data := rapid.SliceOf(rapid.SampledFrom([]byte("ab,\t\"'\\\n\r.\x00\xff|;N01x"))).Draw(t, "data")
		r := newCopyReader(bytes.NewReader(data), f, "t")
		for range len(data) + 2 {
			if err := r.next(); err != nil {
				if !errors.Is(err, io.EOF) && types.CodeOf(err) == "XX000" {
					t.Fatal(err)
				}
				return
			}
		}
		t.Fatal("no end")
	})
}

// TestPlanCacheIsBounded holds the limit in bytes, the order of use and the longest text.
func TestPlanCacheIsBounded(t *testing.T) {
	c := newPlanCache(3 * (planBase + planWeight))
	add := func(text string) { c.put(&planEntry{key: planKey{text: text}}) }
	has := func(text string) bool { _, ok := c.get(planKey{text: text}); return ok }
	add("a")
	add("b")
	add("c")
	has("a")
	add("d")
	for text, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if got := has(text); got != want {
			t.Errorf("%s: kept %v, want %v", text, got, want)
		}
	}
	add(string(make([]byte, planTextMax+1)))
	if got, want := len(c.mu.entries), 3; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
	if c.mu.bytes > c.limit {
		t.Errorf("%d bytes, limit %d", c.mu.bytes, c.limit)
	}
}

// TestSettingsAreDeclaredWell holds that each default is a value of its setting.
func TestSettingsAreDeclaredWell(t *testing.T) {
	for i := range settingList {
		s := &settingList[i]
		if s.context == "internal" || s.name == "role" || s.name == "session_authorization" {
			continue
		}
		if got, err := s.check(s.boot); err != nil || got != s.boot {
			t.Errorf("%s: default %q is checked as %q, %v", s.name, s.boot, got, err)
		}
	}
	for _, name := range reported {
		if _, ok := findSetting(name); !ok {
			t.Errorf("%s is reported and not declared", name)
		}
	}
}
