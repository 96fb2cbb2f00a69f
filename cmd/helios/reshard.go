package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
)

func reshardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reshard",
		Short: "Change the number of shards while clients work",
		Long: `Change the number of shards while clients work.

Rows move over parallel streams; the moving slots and cells pause for at most half a
second when their digests are equal on both sides. A job survives the death of any
process: it ends as "done" or "aborted".`,
	}
	cmd.AddCommand(reshardStart(), reshardPlan(), reshardStatus(), reshardAbort())
	return cmd
}

func reshardStart() *cobra.Command {
	var c client
	var shards, streams int
	var wait bool
	cmd := &cobra.Command{
		Use: "start --shards N", Short: "Start a job that spreads the data over N shards", Args: cobra.NoArgs,
		Example: "  helios reshard start --shards 4 --wait",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			conn, err := c.connect(ctx, func(m string) { fmt.Fprintln(cmd.ErrOrStderr(), m) })
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			call := fmt.Sprintf("CALL helios.reshard(target_shards => %d, parallel_streams => %d)", shards, streams)
			if _, err := conn.Exec(ctx, call, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			if !wait {
				return c.table(ctx, conn, cmd.OutOrStdout(), lastJob)
			}
			return c.wait(ctx, conn, cmd.OutOrStdout())
		},
	}
	c.flags(cmd)
	cmd.Flags().IntVar(&shards, "shards", 0, "number of shards afterwards")
	cmd.Flags().IntVar(&streams, "parallel-streams", 4, "copy streams for each pair of shards")
	cmd.Flags().BoolVar(&wait, "wait", false, "show progress and return when the job has ended")
	_ = cmd.MarkFlagRequired("shards")
	return cmd
}

func reshardPlan() *cobra.Command {
	var c client
	var shards int
	cmd := &cobra.Command{
		Use: "plan --shards N", Short: "Show what would move, and change nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			conn, err := c.connect(ctx, nil)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			return c.table(ctx, conn, cmd.OutOrStdout(), fmt.Sprintf("SELECT * FROM helios.reshard_plan(%d)", shards))
		},
	}
	c.flags(cmd)
	cmd.Flags().IntVar(&shards, "shards", 0, "number of shards afterwards")
	_ = cmd.MarkFlagRequired("shards")
	return cmd
}

func reshardStatus() *cobra.Command {
	var c client
	var wait bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show the newest job", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			conn, err := c.connect(ctx, nil)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			if wait {
				return c.wait(ctx, conn, cmd.OutOrStdout())
			}
			return c.table(ctx, conn, cmd.OutOrStdout(), lastJob)
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "show progress and return when the job has ended")
	return cmd
}

func reshardAbort() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use: "abort", Short: "Undo the running job; what has been cut over stays", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			conn, err := c.connect(ctx, nil)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			if _, err := conn.Exec(ctx, "CALL helios.reshard_abort()", pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			state, _, err := c.follow(ctx, conn, cmd.OutOrStdout())
			if err == nil && state == "done" {
				err = errors.New("the job is done: it was too late to abort it")
			}
			return err
		},
	}
	c.flags(cmd)
	return cmd
}

const lastJob = "SELECT * FROM helios.reshard_jobs ORDER BY id DESC LIMIT 1"

// wait shows the newest job until it ends. A job that did not end well is an error.
func (c *client) wait(ctx context.Context, conn *pgx.Conn, out io.Writer) error {
	state, failure, err := c.follow(ctx, conn, out)
	if err == nil && state == "aborted" {
		err = fmt.Errorf("the job was aborted: %s", failure)
	}
	return err
}

// follow shows the newest job until it ends, and gives its state and error: a bar on a
// terminal, a line for each change elsewhere, the last state as JSON with --json.
func (c *client) follow(ctx context.Context, conn *pgx.Conn, out io.Writer) (state, failure string, err error) {
	bar := !c.json && isTerminal(out)
	var last string
	for {
		var movesDone, movesAll, rows, bytes int64
		err = conn.QueryRow(ctx, `SELECT state, coalesce(error, ''), moves_done, moves_total, rows_copied, bytes_copied
			FROM helios.reshard_jobs ORDER BY id DESC LIMIT 1`, pgx.QueryExecModeSimpleProtocol).
			Scan(&state, &failure, &movesDone, &movesAll, &rows, &bytes)
		if err != nil {
			return "", "", err
		}
		line := fmt.Sprintf("%-10s %d of %d moves, %d rows, %d bytes copied", state, movesDone, movesAll, rows, bytes)
		switch {
		case bar:
			fmt.Fprintf(out, "\r%s %s\x1b[K", progressBar(movesDone, movesAll), line)
		case !c.json && line != last:
			fmt.Fprintln(out, line)
		}
		last = line
		if state == "done" || state == "aborted" {
			if bar {
				fmt.Fprintln(out)
			}
			if c.json {
				err = c.table(ctx, conn, out, lastJob)
			}
			return state, failure, err
		}
		select {
		case <-ctx.Done():
			return "", "", ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func progressBar(done, all int64) string {
	const width = 30
	n := 0
	if all > 0 {
		n = int(done * width / all)
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]"
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
