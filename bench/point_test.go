package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// accounts is how many rows the point benchmarks read and write.
const accounts = 100_000

func loadAccounts(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	freshTable(b, pool, "bench_accounts", "(id bigint PRIMARY KEY, balance bigint NOT NULL, filler text NOT NULL)")
	_, err := pool.CopyFrom(b.Context(), pgx.Identifier{"bench_accounts"}, []string{"id", "balance", "filler"},
		pgx.CopyFromSlice(accounts, func(i int) ([]any, error) {
			return []any{int64(i), int64(0), "a filler of about eighty bytes, as pgbench has one in each of its account rows"}, nil
		}))
	if err != nil {
		b.Fatal(err)
	}
}

// someAccount is the same account for the same n in every run.
func someAccount(n int) int64 { return rand.New(rand.NewPCG(1, uint64(n))).Int64N(accounts) }

func BenchmarkPointRead(b *testing.B) {
	for _, shards := range []int{1, 3} {
		for _, clients := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("shards=%d/clients=%d", shards, clients), func(b *testing.B) {
				pool := cluster(b, shape{shards: shards}, clients)
				loadAccounts(b, pool)
				measure(b, clients, func(ctx context.Context, n int) error {
					var balance int64
					return pool.QueryRow(ctx, "SELECT balance FROM bench_accounts WHERE id = $1", someAccount(n)).Scan(&balance)
				})
			})
		}
	}
}

func BenchmarkPointWrite(b *testing.B) {
	for _, mode := range []string{"async", "semi-sync", "sync"} {
		for _, clients := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("shards=1/sync=%s/clients=%d", mode, clients), func(b *testing.B) {
				pool := cluster(b, shape{shards: 1, sync: mode}, clients)
				loadAccounts(b, pool)
				measure(b, clients, func(ctx context.Context, n int) error {
					tag, err := pool.Exec(ctx, "UPDATE bench_accounts SET balance = balance + 1 WHERE id = $1", someAccount(n))
					if err == nil && tag.RowsAffected() != 1 {
						err = fmt.Errorf("%d rows updated", tag.RowsAffected())
					}
					return err
				})
			})
		}
	}
}

// BenchmarkTransfer moves money between two accounts, which are mostly on two shards, and
// checks at the end that none was made or lost.
func BenchmarkTransfer(b *testing.B) {
	for _, shards := range []int{1, 3} {
		b.Run(fmt.Sprintf("shards=%d/clients=8", shards), func(b *testing.B) {
			pool := cluster(b, shape{shards: shards}, 8)
			loadAccounts(b, pool)
			measure(b, 8, func(ctx context.Context, n int) error {
				from, to := someAccount(2*n), someAccount(2*n+1)
				if from == to {
					return nil
				}
				low, high, sign := min(from, to), max(from, to), int64(1)
				if from > to {
					sign = -1
				}
				return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
					// in the order of ids, so that no two transfers wait for one another
					if _, err := tx.Exec(ctx, "UPDATE bench_accounts SET balance = balance - $2 WHERE id = $1", low, sign); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, "UPDATE bench_accounts SET balance = balance + $2 WHERE id = $1", high, sign)
					return err
				})
			})
			var sum int64
			if err := pool.QueryRow(b.Context(), "SELECT sum(balance)::bigint FROM bench_accounts").Scan(&sum); err != nil || sum != 0 {
				b.Fatalf("the balances add up to %d, want 0 (%v)", sum, err)
			}
		})
	}
}

func BenchmarkFanOut(b *testing.B) {
	for _, shards := range []int{1, 3} {
		b.Run(fmt.Sprintf("shards=%d/clients=1", shards), func(b *testing.B) {
			pool := cluster(b, shape{shards: shards}, 1)
			loadAccounts(b, pool)
			measure(b, 1, func(ctx context.Context, _ int) error {
				var n int64
				err := pool.QueryRow(ctx, "SELECT count(*) FROM bench_accounts WHERE balance = 0").Scan(&n)
				if err == nil && n != accounts {
					err = fmt.Errorf("%d rows counted, want %d", n, accounts)
				}
				return err
			})
		})
	}
}
