-- Reference tables: what every case file of this folder begins with.

-- case: tables
-- pgring: SHARD TABLE account BY (account_id)
-- pgring: REFERENCE TABLE country
-- pgring: REFERENCE TABLE plan
-- pgring: REFERENCE TABLE feature
-- pgring: REFERENCE TABLE noted
-- pgring: REFERENCE TABLE region
-- pgring: REFERENCE TABLE keyless
-- pgring: REFERENCE TABLE tree
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE country (code text PRIMARY KEY, title text NOT NULL, since date, UNIQUE (title));
CREATE TABLE plan (
  plan_id serial PRIMARY KEY,
  token uuid DEFAULT gen_random_uuid(),
  name text UNIQUE,
  price numeric(10,2) NOT NULL DEFAULT 1.50,
  gross numeric GENERATED ALWAYS AS (price * 2) STORED,
  made timestamptz NOT NULL DEFAULT now(),
  feeling mood,
  tags text[],
  factor double precision
);
CREATE TABLE feature (plan_id int REFERENCES plan ON DELETE CASCADE, label varchar(20), grade char(3), PRIMARY KEY (plan_id, label));
CREATE TABLE noted (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, changed int NOT NULL DEFAULT 0);
CREATE TABLE region (id int PRIMARY KEY, rank int);
CREATE TABLE keyless (a int);
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree, children int NOT NULL DEFAULT 0);
CREATE TABLE account (account_id bigint PRIMARY KEY, country text REFERENCES country, plan_id int REFERENCES plan ON DELETE SET NULL);
CREATE TABLE audit (what text);
CREATE FUNCTION count_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := OLD.changed + 1; RETURN NEW; END $$;
CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END $$;
CREATE FUNCTION count_children() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE tree SET children = children + 1 WHERE id = NEW.parent; RETURN NULL; END $$;
CREATE FUNCTION new_region(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO region VALUES (n, n * 10) RETURNING rank';
CREATE TRIGGER changes BEFORE UPDATE ON noted FOR EACH ROW EXECUTE FUNCTION count_changes();
CREATE TRIGGER writes AFTER INSERT OR UPDATE OR DELETE ON noted FOR EACH ROW EXECUTE FUNCTION write_down();
CREATE TRIGGER children AFTER INSERT ON tree FOR EACH ROW EXECUTE FUNCTION count_children();
CREATE VIEW old_country AS SELECT code, title FROM country WHERE since < '2000-01-01';
CREATE INDEX ON region (rank);
