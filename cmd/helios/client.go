package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"
)

// client holds the flags that every operator's command shares.
type client struct {
	url  string
	json bool
}

func (c *client) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.url, "url", os.Getenv("HELIOS_URL"), "postgres:// URL of a router (default: HELIOS_URL)")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON, for scripts")
}

func (c *client) connect(ctx context.Context, onNotice func(string)) (*pgx.Conn, error) {
	if c.url == "" {
		return nil, errors.New("no server named: give --url postgres://USER:PASSWORD@HOST:PORT/DATABASE or set HELIOS_URL")
	}
	config, err := pgx.ParseConfig(c.url)
	if err != nil {
		return nil, err
	}
	if onNotice != nil {
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { onNotice(n.Message) }
	}
	return pgx.ConnectConfig(ctx, config)
}

// table prints the rows of a query: aligned columns, or a JSON array of objects.
func (c *client) table(ctx context.Context, conn *pgx.Conn, out io.Writer, query string, args ...any) error {
	rows, err := conn.Query(ctx, query, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for _, f := range rows.FieldDescriptions() {
		names = append(names, f.Name)
	}
	var values [][]any
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return err
		}
		values = append(values, row)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if c.json {
		return printJSON(out, names, values)
	}
	return printTable(out, names, values)
}

func printJSON(out io.Writer, names []string, rows [][]any) error {
	objects := make([]map[string]any, len(rows))
	for i, row := range rows {
		objects[i] = make(map[string]any, len(names))
		for j, name := range names {
			objects[i][name] = row[j]
		}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(objects)
}

func printTable(out io.Writer, names []string, rows [][]any) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(names, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, v := range row {
			if v != nil {
				cells[i] = fmt.Sprint(v)
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// oneLine words an error as one line that says what to do about it.
func oneLine(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		text := pg.Message
		if pg.Code == "28P01" {
			text += "; the password is the one printed at the first start, or in the --password-file"
		}
		if pg.Hint != "" {
			text += " (" + pg.Hint + ")"
		}
		return text + " [" + pg.Code + "]"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
