package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDataSurvivesPowerLoss holds that a directory that was opened once is there, and
// knows whose it is, after a power loss that keeps only what was synced.
func TestDataSurvivesPowerLoss(t *testing.T) {
	disk := vfs.NewCrashableMem()
	want := identity{Kind: "node", Node: "a", Cluster: "test", Shard: 1}
	d, err := openData(disk, "srv/helios/data", want)
	if err != nil {
		t.Fatal(err)
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := after.Stat("srv/helios/data/NODE"); err != nil {
		t.Fatalf("after a power loss: %v", err)
	}
	want.Node = "b"
	if _, err := openData(after, "srv/helios/data", want); err == nil {
		t.Error("node b opened the directory of node a")
	}
}
