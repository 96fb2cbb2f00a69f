package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use: "status", Short: "Show the nodes of the cluster", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			conn, err := c.connect(ctx, nil)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			return c.table(ctx, conn, cmd.OutOrStdout(), "SELECT * FROM helios.cluster_nodes ORDER BY shard, node_id")
		},
	}
	c.flags(cmd)
	return cmd
}

func mapCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use: "map", Short: "Show which shard owns how many slots and cells", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			conn, err := c.connect(ctx, nil)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			if err := c.table(ctx, conn, cmd.OutOrStdout(), "SELECT * FROM helios.shards ORDER BY shard"); err != nil || c.json {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return c.table(ctx, conn, cmd.OutOrStdout(), "SELECT * FROM helios.cells ORDER BY table_name, cell")
		},
	}
	c.flags(cmd)
	return cmd
}
