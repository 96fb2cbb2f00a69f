\set VERBOSITY verbose
\set HIDE_TABLEAM on
CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, balance numeric(12,2) DEFAULT 0, opened date, tag varchar(10), place vector(3));
INSERT INTO people VALUES (1,'ann',10.50,'2026-01-02','x','[1,2,3]'),(2,'bob',20,'2026-01-03',NULL,'[1,2,4]'),(3,'cy',30,NULL,'z',NULL) RETURNING id, balance;
CREATE TABLE orders (id serial PRIMARY KEY, person bigint, paid boolean DEFAULT false, at timestamptz DEFAULT '2026-02-03 04:05:06+00', data bytea, key uuid);
CREATE TABLE words (id bigint PRIMARY KEY, word text, embedding vector(3)) WITH (helios.strategy = 'vector', helios.shard_key = 'embedding');
CREATE TABLE countries (code text PRIMARY KEY, name text) WITH (helios.strategy = 'reference');
SELECT * FROM people ORDER BY id;
\d people
\dt
\d words
INSERT INTO countries VALUES ('fr', 'France'), ('jp', 'Japan');
INSERT INTO words SELECT i, 'word ' || i, ('[' || i || ',' || i % 7 || ',1]')::vector FROM generate_series(1, 50) i;
SELECT id, word FROM words ORDER BY embedding <-> '[10,3,1]' LIMIT 3;
SELECT count(*), sum(balance), min(name), max(opened), avg(balance)::numeric(10,4) FROM people;
SELECT id % 2 AS odd, count(*) FROM people GROUP BY 1 HAVING count(*) > 0 ORDER BY 1;
SELECT p.name, c.name FROM people p LEFT JOIN countries c ON c.code = 'fr' AND p.id = 1 ORDER BY p.id;
SELECT DISTINCT tag FROM people ORDER BY tag NULLS FIRST;
SELECT name, CASE WHEN balance > 15 THEN 'rich' ELSE 'poor' END FROM people WHERE name LIKE '%b%' OR id = 1 ORDER BY name LIMIT 2 OFFSET 0;
INSERT INTO people VALUES (1,'dup');
INSERT INTO people (id) VALUES (9);
INSERT INTO people VALUES (9, 'far too long a tag', 0, NULL, 'eleven chars');
INSERT INTO people VALUES (9, 'vector', 0, NULL, NULL, '[1,2]');
SELECT * FROM nope;
SELECT nope FROM people;
SELEC 1;
SELECT 1/0;
SELECT 'x'::int;
SET default_transaction_isolation = 'serializable'; BEGIN; SELECT count(*) FROM people; ROLLBACK; RESET default_transaction_isolation;
CREATE EXTENSION postgis;
BEGIN; UPDATE people SET balance = balance - 5 WHERE id = 1; UPDATE people SET balance = balance + 5 WHERE id = 2; SELECT sum(balance) FROM people; COMMIT;
BEGIN; DELETE FROM people; SELECT count(*) FROM people; ROLLBACK; SELECT count(*) FROM people;
BEGIN; SELECT 1/0; SELECT 1; COMMIT;
SELECT id, balance FROM people ORDER BY id;
\copy people(id, name) from stdin
10	ten
11	eleven
\.
\copy people(id, name, balance) from stdin csv
12,"twelve, or so",12.5
13,,1
\.
\copy (SELECT id, name, balance FROM people ORDER BY id) to stdout csv header
PREPARE one (bigint) AS SELECT name FROM people WHERE id = $1;
EXECUTE one(2);
INSERT INTO orders (person, data, key) VALUES (1, '\x00ff', '11111111-2222-3333-4444-555555555555'), (2, NULL, NULL);
SELECT person, paid, at, data, key FROM orders ORDER BY person;
EXPLAIN SELECT name FROM people WHERE id = 1;
SELECT shard, state, slots, nodes FROM helios.shards ORDER BY shard;
SELECT node_id, shard, role, state FROM helios.cluster_nodes ORDER BY shard, node_id;
DROP TABLE orders, words, countries;
\dt
