package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heliosdb/helios/node"
)

func serverCommand() *cobra.Command {
	o := node.ServerOptions{Version: version}
	var later laterFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run one node: standalone, primary, standby or observer",
		Long: `Run one node. Without --ha-mode it is a database of its own (standalone). A primary
and its standbys form a shard; observers keep the control store that decides who is
primary, and nodes of a shard must name them (--observers).

One observer is safe; three go on when one of them is lost. Several are told of one
another: each gets the same list of --observers, in which its own --ha-bind stands. They
talk to one another on the port after it. The list is fixed when they first start.`,
		Example: `  helios server --data ./pg

  # a pair with one observer; the primary prints the password of user helios at its first start
  (umask 077; head -c 24 /dev/urandom | base64 > ./secret)
  helios server --ha-mode observer --ha-bind 127.0.0.1:7000 --data ./o
  helios server --ha-mode primary --observers 127.0.0.1:7000 --cluster-secret-file ./secret --data ./a
  helios server --ha-mode standby --observers 127.0.0.1:7000 --cluster-secret-file ./secret --data ./b \
    --listen 127.0.0.1:5442 --ha-bind 127.0.0.1:5443 --ha-primary 127.0.0.1:5433`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := later.refuse(cmd); err != nil {
				return err
			}
			if err := refuseUnused(cmd, o.Mode); err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			return node.Server(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Mode, "ha-mode", "standalone", "standalone, primary, standby or observer")
	f.StringVar(&o.DataDir, "data", cmp.Or(os.Getenv("HELIOS_DATA_DIR"), "helios-data"), "data directory")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:5432", "address for SQL")
	f.StringVar(&o.Native, "ha-bind", "127.0.0.1:5433", "address for other nodes: log stream, copies, control store")
	f.StringVar(&o.Primary, "ha-primary", "", "where a standby looks for its primary until the cluster map says")
	f.StringSliceVar(&o.Observers, "observers", nil, "addresses of all observers, the same everywhere")
	f.StringVar(&o.SyncMode, "ha-sync-mode", os.Getenv("HA_SYNC_MODE"), "async, semi-sync, sync or quorum (default semi-sync)")
	f.StringVar(&o.Failover, "failover", os.Getenv("HA_FAILOVER"), "auto: a published standby takes over when its primary is gone; manual: only the primary itself comes back (default auto)")
	f.StringVar(&o.Profile, "ha-profile", "default", "lease times: default (10 s) or fast (1.2 s)")
	f.StringVar(&o.NodeID, "node-id", "", "name of the node (default: host name and port)")
	f.StringVar(&o.Cluster, "cluster", "helios", "name of the cluster")
	f.Uint16Var(&o.Shard, "shard", 1, "number of the shard this node belongs to")
	f.StringVar(&o.Database, "database", cmp.Or(os.Getenv("HELIOS_DATABASE"), "heliosdb"), "name of the database")
	f.StringVar(&o.PasswordFile, "password-file", os.Getenv("HELIOS_PASSWORD_FILE"), "file with the password of user helios")
	f.StringVar(&o.SecretFile, "cluster-secret-file", os.Getenv("HELIOS_CLUSTER_SECRET_FILE"), "file with the secret that routers and nodes share")
	f.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	later.add(f, "ha-region", "multi-primary regions")
	later.add(f, "ha-peers", "multi-primary regions")
	return cmd
}

func routerCommand() *cobra.Command {
	o := node.RouterOptions{Version: version}
	cmd := &cobra.Command{
		Use:     "router --config cluster.yaml",
		Short:   "Run a router in front of the shards",
		Example: "  helios router --config cluster.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			return node.Router(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Config, "config", "", "the cluster file")
	f.StringVar(&o.Listen, "listen", "", "address for SQL (default: the cluster file's)")
	f.StringVar(&o.SecretFile, "cluster-secret-file", os.Getenv("HELIOS_CLUSTER_SECRET_FILE"), "file with the secret that routers and nodes share")
	f.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// refuseUnused names a flag that the node's mode has no use for: whoever gives one counts
// on it.
func refuseUnused(cmd *cobra.Command, mode string) error {
	unused := map[string][]string{
		"standalone": {"ha-bind", "ha-primary", "observers", "ha-sync-mode", "failover", "ha-profile", "shard", "cluster-secret-file"},
		"observer":   {"listen", "ha-primary", "ha-sync-mode", "failover", "ha-profile", "shard", "database", "password-file", "cluster-secret-file"},
		"primary":    {"ha-primary"},
	}
	for _, name := range unused[mode] {
		if !cmd.Flags().Changed(name) {
			continue
		}
		if !cmd.Flags().Changed("ha-mode") {
			return fmt.Errorf("--%s: a node without --ha-mode is a database of its own and has no use for it", name)
		}
		return fmt.Errorf("--%s: a node with --ha-mode %s has no use for it", name, mode)
	}
	return nil
}

// laterFlags are flags of the documents that do nothing yet: giving one is an error that
// names it.
type laterFlags struct{ names, what []string }

type flagSet interface {
	String(name, value, usage string) *string
	MarkHidden(name string) error
}

func (l *laterFlags) add(f flagSet, name, what string) {
	f.String(name, "", what+" (not yet)")
	_ = f.MarkHidden(name)
	l.names, l.what = append(l.names, name), append(l.what, what)
}

func (l *laterFlags) refuse(cmd *cobra.Command) error {
	for i, name := range l.names {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s: %s do not exist yet", name, l.what[i])
		}
	}
	if mode, _ := cmd.Flags().GetString("ha-mode"); strings.EqualFold(mode, "multi-primary") {
		return fmt.Errorf("--ha-mode multi-primary: multi-primary regions do not exist yet")
	}
	return nil
}
