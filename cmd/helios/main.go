// Command helios is the whole of Helios in one binary: a demo cluster, one node, a
// router, and the operators' commands, which are thin SQL clients.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the Makefile.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "helios:", oneLine(err))
		os.Exit(exitCode(err))
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "helios",
		Short: "A PostgreSQL-compatible, vector-aware, sharded SQL database",
		Long: `Helios is a PostgreSQL-compatible, vector-aware, sharded SQL database.

Start with "helios demo": a whole cluster in one process, ready for psql.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "operate", Title: "Operate (SQL clients; --url or HELIOS_URL names a router or node):"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", demoCommand(), serverCommand(), routerCommand())
	add("operate", reshardCommand(), mapCommand(), statusCommand())
	root.AddCommand(versionCommand())
	for _, later := range laterCommands {
		root.AddCommand(later.command())
	}
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "helios", version) },
	}
}

// later is a command of the documents that Helios does not have yet: it is refused by
// name, never accepted and ignored.
type later struct{ name, instead string }

var laterCommands = []later{
	{"proxy", "connect to a router; a standby also forwards writes to its primary"},
	{"failover", "a standby that has all confirmed writes takes over by itself when its primary is gone, unless its server was started with --failover manual"},
	{"switchover", "stop the primary's server with SIGTERM: its standby takes over within about a second, and it comes back as a standby"},
	{"backup", "stop the cluster and copy its data directories"},
	{"restore", "stop the cluster and put copied data directories back"},
	{"verify", "compare row counts and checksums by SQL on each node"},
	{"check", "compare row counts and checksums by SQL on each node"},
	{"cert", "run all nodes on one machine, or behind a tunnel"},
	{"region", "multi-primary regions do not exist yet"},
}

func (l later) command() *cobra.Command {
	return &cobra.Command{
		Use: l.name, Hidden: true, DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("%q does not exist yet; until then: %s", "helios "+l.name, l.instead)
		},
	}
}

// exitCode is 130 after Ctrl-C, 1 for every other error.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 1
}
