package hashring

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const goldenFile = "testdata/slots.golden"

var found = flag.Bool("found", false, "write "+goldenFile+" if it does not exist; an existing one is never rewritten")

// goldenSizes are the table sizes whose slots the golden file freezes.
var goldenSizes = []int{1024, 4096, 16384, 65536}

// TestGolden holds hashes and slots to a frozen file: were one line to change,
// the rows of every existing cluster would sit in slots that nobody asks.
func TestGolden(t *testing.T) {
	if *found {
		foundGolden(t)
	}
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	vectors := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		key, _, _ := strings.Cut(line, " ")
		raw, err := hex.DecodeString(strings.TrimPrefix(key, "x"))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got, want := goldenLine(raw), line; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		vectors++
	}
	if vectors < 1000 {
		t.Errorf("%d golden vectors, want at least 1000", vectors)
	}
}

func goldenLine(key []byte) string {
	h := Hash(key)
	line := fmt.Sprintf("x%x %016x", key, h)
	for _, slots := range goldenSizes {
		line += " " + strconv.Itoa(Slot(h, slots))
	}
	return line
}

func foundGolden(t *testing.T) {
	if _, err := os.Stat(goldenFile); err == nil {
		t.Fatalf("%s exists and is frozen", goldenFile)
	}
	keys := [][]byte{{}, []byte("a"), []byte("tenant-42")}
	for i := range 400 {
		keys = append(keys, binary.LittleEndian.AppendUint64(nil, uint64(int64(i-100))))
	}
	for i := range 400 {
		keys = append(keys, fmt.Appendf(nil, "tenant-%d", i*i))
	}
	for i := range 300 { // every length around XXH64's stripes of 4, 8 and 32 bytes
		key := make([]byte, i%131)
		for j := range key {
			key[j] = byte(Hash([]byte{byte(i), byte(i >> 8), byte(j)}))
		}
		keys = append(keys, key)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# key in hex, XXH64 seed 0, slot of %v; never to change\n", goldenSizes)
	for _, key := range keys {
		fmt.Fprintln(&out, goldenLine(key))
	}
	if err := os.WriteFile(filepath.FromSlash(goldenFile), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestHash holds the hash to values computed by the reference implementation.
func TestHash(t *testing.T) {
	int42 := binary.LittleEndian.AppendUint64(nil, 42)
	for _, c := range []struct {
		key   string
		hash  uint64
		slots int
		slot  int
	}{
		{"", 0xef46db3751d8e999, 1024, 957},
		{"a", 0xd24ec4f1a98c6e5b, 1024, 841},
		{"tenant-42", 0xf9fbb9a903514f40, 1024, 999},
		{"tenant-42", 0xf9fbb9a903514f40, 4096, 3999},
		{string(int42), 0xb556806fb6d14353, 1024, 725},
		{string(int42), 0xb556806fb6d14353, 4096, 2901},
		{string(int42), 0xb556806fb6d14353, 16384, 11605},
		{string(int42), 0xb556806fb6d14353, 1, 0},
	} {
		if got := Hash([]byte(c.key)); got != c.hash {
			t.Errorf("Hash(%q) = %x, want %x", c.key, got, c.hash)
		}
		if got := Slot(c.hash, c.slots); got != c.slot {
			t.Errorf("Slot(%x, %d) = %d, want %d", c.hash, c.slots, got, c.slot)
		}
	}
}

// TestSlotIsTopBits: a slot is a contiguous hash range, and doubling the table
// splits it in two.
func TestSlotIsTopBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.Uint64().Draw(t, "hash")
		bits := rapid.IntRange(0, 15).Draw(t, "bits")
		slots := 1 << bits
		slot := Slot(h, slots)
		if got, want := uint64(slot), h>>(64-bits); got != want {
			t.Fatalf("Slot(%x, %d) = %d, want %d", h, slots, got, want)
		}
		if first, last := SlotRange(slot, slots); h < first || h > last {
			t.Fatalf("%x is outside slot %d of %d: %x to %x", h, slot, slots, first, last)
		}
		if got := Slot(h, 2*slots) / 2; got != slot {
			t.Fatalf("Slot(%x, %d) splits into %d, not %d", h, 2*slots, got, slot)
		}
	})
}

func TestValidSlots(t *testing.T) {
	for n, want := range map[int]bool{-8: false, 0: false, 1: true, 3: false, 1024: true, 65536: true, 131072: false} {
		if got := ValidSlots(n); got != want {
			t.Errorf("ValidSlots(%d) = %v, want %v", n, got, want)
		}
	}
}

func BenchmarkSlot(b *testing.B) {
	key := binary.LittleEndian.AppendUint64(nil, 42)
	table := make([]ShardID, DefaultSlots)
	for b.Loop() {
		_ = table[Slot(Hash(key), DefaultSlots)]
	}
}
