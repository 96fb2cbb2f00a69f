package main

import (
	"github.com/spf13/cobra"

	"github.com/heliosdb/helios/node"
)

func demoCommand() *cobra.Command {
	o := node.DemoOptions{Version: version}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole cluster in this process: router, 3 shards with standbys, observer",
		Long: `Run a whole cluster in this process, on loopback only: one observer, three shards of
a primary and a standby each, and a router. It loads 10,000 words with their vectors
and prints the psql line. Without --data everything is gone when it stops.`,
		Example: `  helios demo
  helios demo --data ./cluster --listen 127.0.0.1:6543`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			return node.Demo(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:5432", "address of the router")
	f.StringVar(&o.DataDir, "data", "", "keep the data in this directory (default: a temporary one, removed at exit)")
	f.StringVar(&o.PasswordFile, "password-file", "", "take the password of user helios from this file, or write a new one there")
	f.IntVar(&o.Shards, "shards", 3, "number of shards at the first start")
	f.BoolVar(&o.Empty, "empty", false, "load no words")
	f.StringVar(&o.LogLevel, "log-level", "warn", "debug, info, warn or error")
	return cmd
}
