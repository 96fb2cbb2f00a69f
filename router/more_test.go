package router_test

import "testing"

func TestMore(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.copy = "1\tann\n2\tbob\n3\tcid\n"
	for _, q := range []string{
		"CREATE TABLE s (id serial PRIMARY KEY, name text)",
		"INSERT INTO s (name) VALUES ('a'), ('b') RETURNING id",
		"INSERT INTO s (name) VALUES ('c') RETURNING *",
		"SELECT currval('s_id_seq'), lastval()",
		"SELECT * FROM s ORDER BY id",
		"CREATE TABLE ref (k int PRIMARY KEY, v text) WITH (helios.strategy='reference')",
		"INSERT INTO ref VALUES (1,'x'),(2,'y')",
		"UPDATE ref SET v = 'z' WHERE k = 2",
		"SELECT s.id, ref.v FROM s JOIN ref ON ref.k = s.id ORDER BY 1",
		"DELETE FROM ref WHERE k = 1",
		"SELECT * FROM ref",
		"CREATE TABLE nopk (a int, b text)",
		"INSERT INTO nopk VALUES (1,'q'),(1,'q'),(2,'w')",
		"SELECT a, b FROM nopk ORDER BY a",
		"UPDATE nopk SET b = 'new' WHERE a = 1",
		"SELECT a, count(*) FROM nopk GROUP BY a ORDER BY a",
		"CREATE TABLE rng (k int PRIMARY KEY, v int) WITH (helios.strategy='range', helios.split_at='10,20')",
		"INSERT INTO rng SELECT g, g FROM generate_series(1, 30) g",
		"SELECT count(*), min(k), max(k) FROM rng",
		"SELECT * FROM rng WHERE k = 15",
		"EXPLAIN SELECT * FROM rng WHERE k = 15",
		"UPDATE rng SET k = 100 WHERE k = 5",
		"SELECT * FROM rng WHERE k > 29 ORDER BY k",
		"CREATE TABLE geo (region text, id int, PRIMARY KEY (region, id)) WITH (helios.strategy='geo', helios.zone_column='region', helios.zones='eu = de, fr; us = us')",
		"INSERT INTO geo VALUES ('de', 1), ('fr', 2), ('us', 3)",
		"INSERT INTO geo VALUES ('xx', 1)",
		"SELECT * FROM geo ORDER BY id",
		"SELECT * FROM geo WHERE region = 'us'",
		"EXPLAIN SELECT * FROM geo WHERE region = 'us'",
		"COPY s FROM STDIN",
		"CREATE TABLE cp (id int PRIMARY KEY, name text DEFAULT 'd')",
		"COPY cp (id, name) FROM STDIN",
		"SELECT * FROM cp ORDER BY id",
		"INSERT INTO cp VALUES (1, 'dup') ON CONFLICT DO NOTHING",
		"INSERT INTO cp VALUES (1, 'upd'), (9, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name || cp.name",
		"SELECT * FROM cp ORDER BY id",
		"BEGIN; UPDATE cp SET name = 'x'; SAVEPOINT a; DELETE FROM cp; SELECT count(*) FROM cp; ROLLBACK TO a; SELECT count(*) FROM cp; COMMIT",
		"SELECT * FROM cp ORDER BY id",
		"BEGIN; CREATE TABLE dd (id serial PRIMARY KEY, a int); INSERT INTO dd (a) VALUES (1),(2),(3); SELECT * FROM dd ORDER BY 1; COMMIT",
		"SELECT * FROM dd ORDER BY a",
		"TRUNCATE cp", "SELECT count(*) FROM cp",
		"ALTER TABLE dd ADD COLUMN c int DEFAULT 7", "SELECT * FROM dd ORDER BY a",
		"CREATE TABLE late (id int, v text)", "INSERT INTO late SELECT g, 'v' || g FROM generate_series(1,20) g",
		"ALTER TABLE late ADD PRIMARY KEY (id)", "SELECT * FROM late WHERE id = 7", "SELECT count(*) FROM late",
		"CREATE TABLE asq AS SELECT id, v FROM late WHERE id < 4", "SELECT * FROM asq ORDER BY id",
		"SELECT a.id, b.v FROM late a JOIN late b ON a.id = b.id + 1 WHERE a.id < 4 ORDER BY 1",
		"SELECT * FROM late WHERE id IN (1, 2, 19) ORDER BY id DESC",
		"SELECT avg(id), count(DISTINCT v) FROM late",
		"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM late; INSERT INTO late VALUES (100, 'n'); SELECT count(*) FROM late; COMMIT",
		"SELECT id FROM late WHERE id > 18 ORDER BY id FOR UPDATE",
		"DROP TABLE late", "SELECT * FROM late",
		"ANALYZE",
		"CREATE INDEX ON dd (c)",
		"SELECT * FROM dd WHERE c = 7 ORDER BY id LIMIT 2",
	} {
		t.Logf("%s\n%s", q, c.run(q))
	}
	t.Logf("%+v", r.Stats())
}

func TestVector(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	for _, q := range []string{
		"CREATE TABLE v (id int PRIMARY KEY, e vector(2), tag text) WITH (helios.shard_key='e')",
		"INSERT INTO v SELECT g, ARRAY[g, g % 7]::vector, 'even' FROM generate_series(1, 100) g",
		"SELECT count(*) FROM v",
		"SELECT id FROM v ORDER BY e <-> '[10,3]' LIMIT 3",
		"EXPLAIN SELECT id FROM v ORDER BY e <-> '[10,3]' LIMIT 3",
		"INSERT INTO v VALUES (5, '[1,1]')",
		"SELECT * FROM v WHERE id = 5",
		"UPDATE v SET e = '[500,500]' WHERE id = 5",
		"SELECT * FROM v WHERE id = 5",
		"UPDATE v SET tag = 'odd' WHERE id % 2 = 1",
		"SELECT tag, count(*) FROM v GROUP BY tag ORDER BY tag",
		"INSERT INTO v VALUES (5, '[1,1]', 'c'), (200, '[2,2]', 'c') ON CONFLICT (id) DO UPDATE SET tag = excluded.tag",
		"SELECT * FROM v WHERE tag = 'c' ORDER BY id",
		"DELETE FROM v WHERE id = 5",
		"INSERT INTO v VALUES (5, '[1,1]', 'back') ON CONFLICT DO NOTHING",
		"SELECT id FROM v WHERE tag = 'back' ORDER BY e <-> '[10,3]' LIMIT 3",
		"SELECT count(*) FROM v",
	} {
		t.Logf("%s\n%s", q, c.run(q))
	}
}
