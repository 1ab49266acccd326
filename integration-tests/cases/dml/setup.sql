-- Tables that are written: two of one group, one by text, one by uuid, one with defaults of every kind, a reference table,
-- a local one, a view. `rows.sql` fills them anew before each case.

-- case: tables
-- pgring: SHARD TABLE acct BY (k)
-- pgring: SHARD TABLE item BY (k) COLOCATE WITH acct
-- pgring: SHARD TABLE child BY (k) COLOCATE WITH acct
-- pgring: SHARD TABLE made BY (k) COLOCATE WITH acct
-- pgring: SHARD TABLE word BY (w)
-- pgring: SHARD TABLE thing BY (u)
-- pgring: REFERENCE TABLE kind
CREATE TABLE acct (k bigint PRIMARY KEY, s int, n numeric, t text, d date, ts timestamptz, tags text[], kind int);
CREATE TABLE item (k bigint, id int, v int CHECK (v > -100), note varchar(8), PRIMARY KEY (k, id));
CREATE TABLE child (k bigint, c int, of int, PRIMARY KEY (k, c), FOREIGN KEY (k, of) REFERENCES item (k, id) ON DELETE CASCADE);
CREATE TABLE made (k bigint PRIMARY KEY, v int DEFAULT 7, at timestamptz DEFAULT now(), day date DEFAULT current_date, who text DEFAULT current_user, up text GENERATED ALWAYS AS ('v' || v) STORED);
CREATE TABLE word (w text COLLATE "C" PRIMARY KEY, n smallint, k bigint);
CREATE TABLE thing (u uuid PRIMARY KEY, x int, j jsonb);
CREATE TABLE kind (id int PRIMARY KEY, label text);
CREATE TABLE loc (id int PRIMARY KEY, v int);
CREATE VIEW rich AS SELECT k, s, n FROM acct WHERE n > 50;
-- servers: INSERT INTO kind VALUES (1, 'one'), (2, 'two'), (3, 'three')
INSERT INTO loc VALUES (1, 10), (2, 20);
