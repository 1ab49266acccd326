// postgres.js talks with a server: everything that the library can do, step by step.
//
// In: PGRING_DSN, a postgresql:// address; TALK, a word that names of tables, roles and channels begin with.
// Out: `<step>: <what was seen, as JSON>` for each step; the word that names begin with is left out.
// Never: says by itself what is right; two servers that are alike make it print the same.

import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";

const DSN = process.env.PGRING_DSN;
const TALK = process.env.TALK ?? "talk";
const STEP_SECONDS = 30;
const steps = [];
const step = (name, run, options) => steps.push({ name, run, options });
const quiet = () => {};

/** A pool of connections of its own. */
const open = (options = {}) => postgres(DSN, { max: 2, idle_timeout: 5, connect_timeout: 10, onnotice: quiet, ...options });

/** What an error says. */
function told(error) {
  const { name, code, severity, message, detail, hint, position, where, internal_query, schema_name, table_name,
    column_name, constraint_name, file, routine } = error;
  return { name, code, severity, message, detail, hint, position, where, internal_query, schema_name, table_name,
    column_name, constraint_name, file, routine };
}

/** The error that a promise ends with; nothing if it does not. */
const refusal = (promise) => promise.then((value) => ({ "no error": value }), told);

/** Waits until something is so. */
async function until(what, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (let found = await what(); ; found = await what()) {
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await delay(20);
  }
}

/** A table for one step. */
async function withTable(sql, columns, run) {
  const name = `${TALK}_${createHash("md5").update(columns + run).digest("hex").slice(0, 8)}`;
  await sql`DROP TABLE IF EXISTS ${sql(name)}`;
  await sql.unsafe(`CREATE TABLE ${name} (${columns})`);
  try {
    return await run(sql(name), name);
  } finally {
    await sql`DROP TABLE ${sql(name)}`;
  }
}

// --- values ---------------------------------------------------------------------------------------------------------

step("the shape of a result", async (sql) => {
  const result = await sql`SELECT 1 AS one, 'two'::text AS two, NULL::int AS nothing`;
  const columns = result.columns.map(({ name, type, number }) => [name, type, number]);
  return [result, result.count, result.command, columns, result.statement.types, result.statement.string];
});

step("values by parameter and without", async (sql) => {
  const at = new Date("2026-02-03T04:05:06.789Z");
  const given = await sql`SELECT ${null} AS n, ${true} AS t, ${false} AS f, ${"häß"} AS s, ${12}::int AS i, ${at} AS at,
    ${2n ** 60n}::int8 AS big, ${"1.50"}::numeric AS num, ${Buffer.from([0, 1, 255])} AS bytes, ${1.5}::float8 AS real`;
  const plain = await sql`SELECT 9223372036854775807 AS big, 1.10 AS num, 'infinity'::float8 AS inf, 0.1::float4 AS f4,
    '\\xdeadbeef'::bytea AS bytes, date '2026-01-02' AS day, timestamptz '2026-01-02 03:04:05.678+02' AS at,
    interval '1 mon 2 days' AS span, '{"a":[1,2]}'::jsonb AS j, 'x'::char AS c, 17::oid AS oid, '(1,2)'::point AS point,
    '10.0.0.1/8'::inet AS address, 'b7cbc4c2-3c3c-4f3e-9f86-5a1d9e0a1d9e'::uuid AS id, int4range(1, 5) AS range`;
  return [given, plain];
});

step("json", async (sql) => withTable(sql, "id int, a json, b jsonb", async (table) => {
  const value = { deep: [{ x: 1 }, null, "ü"], yes: true };
  await sql`INSERT INTO ${table} VALUES (1, ${sql.json(value)}, ${sql.json(value)}), (2, ${value}::json, ${[1, 2]}::jsonb)`;
  return sql`SELECT a, b, b->'deep' AS deep FROM ${table} ORDER BY id`;
}));

step("arrays", async (sql) => [
  await sql`SELECT ${sql.array([1, 2, 3], 1007)} AS i, ${sql.array(["a", "b,c", 'd"e', "f\\g", "NULL"])} AS t,
    ${sql.array([[1, 2], [3, 4]], 1007)} AS nested, ${sql.array([], 1009)} AS empty, ${sql.array([true, false], 1000)} AS b`,
  await sql`SELECT '{{1,2},{3,4}}'::int8[] AS i, ARRAY[NULL, 'x']::text[] AS t, '{}'::date[] AS none,
    ARRAY[timestamptz '2026-01-01 00:00Z'] AS at, ARRAY['{"a":1}'::jsonb] AS j`,
]);

step("types of one's own", async () => {
  const types = { point: { to: 600, from: [600], serialize: ([x, y]) => `(${x},${y})`,
    parse: (text) => text.slice(1, -1).split(",").map(Number) }, big: postgres.BigInt };
  const sql = open({ types });
  try {
    return await withTable(sql, "p point, ps point[], n int8", async (table) => {
      await sql`INSERT INTO ${table} VALUES (${sql.types.point([1, 2])},
        ${sql.array([sql.types.point([3, 4]), sql.types.point([5, 6])])}, ${sql.typed.big(2n ** 61n)})`;
      const [row] = await sql`SELECT * FROM ${table}`;
      return { ...row, n: String(row.n) };
    });
  } finally {
    await sql.end();
  }
});

step("enums, domains and composites", async (sql) => {
  const name = `${TALK}_mood`;
  await sql.unsafe(`DROP TYPE IF EXISTS ${name} CASCADE; CREATE TYPE ${name} AS ENUM ('sad', 'happy')`);
  const fresh = open(); // reads the types of arrays when it connects
  const rows = await fresh`SELECT ${"happy"}::${sql(name)} AS one, ARRAY['sad', 'happy']::${sql.unsafe(name)}[] AS many,
    enum_range(NULL::${sql(name)})::text AS all, ROW(1, 'x')::text AS pair`;
  const wrong = await refusal(fresh`SELECT ${"angry"}::${sql(name)}`);
  await fresh.end();
  await sql.unsafe(`DROP TYPE ${name}`);
  return [rows, wrong];
});

step("without fetched types", async (sql) => sql`SELECT ARRAY[1, 2] AS known, ARRAY['a'] AS texts`, { fetch_types: false });

step("a large row and many rows", async (sql) => {
  const [{ text }] = await sql`SELECT repeat('ä', 700000) AS text`;
  const rows = await sql`SELECT n, repeat('x', 40) AS x FROM generate_series(1, 60000) AS n`;
  const [{ length }] = await sql`SELECT length(${"y".repeat(3_000_000)}) AS length`;
  return [text.length, rows.length, rows.at(-1).n, length];
});

step("many parameters", async (sql) => withTable(sql, "n int", async (table) => {
  const rows = Array.from({ length: 65_000 }, (_, n) => ({ n }));
  const { count } = await sql`INSERT INTO ${table} ${sql(rows)}`;
  const { code } = await sql`INSERT INTO ${table} ${sql([...rows, ...rows.slice(0, 534)])}`.catch((error) => error);
  return [count, code, await sql`SELECT count(*), sum(n) FROM ${table}`];
}));

// --- statements -----------------------------------------------------------------------------------------------------

step("helpers", async (sql) => withTable(sql, 'id int, a text, "B c" text', async (table) => {
  const row = { id: 1, a: "one", "B c": "x" };
  return [
    await sql`INSERT INTO ${table} ${sql(row)} RETURNING *`,
    await sql`INSERT INTO ${table} ${sql([{ ...row, id: 2 }, { ...row, id: 3 }], "id", "a")} RETURNING *`,
    await sql`UPDATE ${table} SET ${sql({ a: "two" }, "a")} WHERE id IN ${sql([2, 3])} RETURNING id, a`,
    await sql`SELECT ${sql(["id", "B c"])} FROM ${table} ORDER BY id`,
    await sql`SELECT * FROM (VALUES ${sql([["a", "b"], ["c", "d"]])}) AS v(x, y)`,
    await sql`SELECT ${sql({ x: 1, y: "z" })}`,
    await sql`SELECT 1 AS ${sql('we"ird')}`,
    (await sql`DELETE FROM ${table} WHERE ${true ? sql`id > ${1}` : sql``}`).count,
  ];
}));

step("transforms", async (sql) => withTable(sql, "first_name text, last_seen_at int", async (_, name) => {
  const rows = [];
  for (const transform of [postgres.camel, postgres.pascal, postgres.kebab, { undefined: null },
    { row: (row) => Object.values(row), value: { from: (value, { name }) => `${name}=${value}` } }]) {
    const other = open({ transform });
    const table = sql(name);
    await other`INSERT INTO ${table} VALUES (${transform.undefined === null ? undefined : "Ada"}, 7)`;
    rows.push(await other`DELETE FROM ${table} RETURNING *`);
    await other.end();
  }
  return rows;
}));

step("raw, values, forEach, describe", async (sql) => {
  const seen = [];
  await sql`SELECT n FROM generate_series(1, 3) AS n`.forEach((row, result) => seen.push([row.n, result.command]));
  const described = await sql`SELECT ${1}::int AS n, ${"x"}::text AS t`.describe();
  const [[raw]] = await sql`SELECT 'bytes'`.raw();
  return [seen, [described.types, described.columns.map(({ name, type }) => [name, type])], String(raw),
    await sql`SELECT 1 AS a, 2 AS a`.values(), await refusal(sql`SELECT nothing`.describe())];
});

step("unsafe and simple", async (sql) => withTable(sql, "x int", async (_, name) => {
  const results = await sql.unsafe(`INSERT INTO ${name} VALUES (1), (2); SELECT * FROM ${name}; UPDATE ${name} SET x = 0;
    SELECT count(*) FROM ${name} WHERE x = 0`);
  return [
    results.map((result) => [result.command, result.count, [...result]]),
    await sql.unsafe("SELECT $1::int + $2 AS sum", [1, 2]),
    await sql.unsafe("SELECT $1::int AS n", [5], { prepare: true }),
    await sql`SELECT 1 AS a; SELECT 2 AS b`.simple(),
    await refusal(sql`SELECT 1; SELECT 2`),
    await refusal(sql.unsafe(`INSERT INTO ${name} VALUES (9); SELECT 1/0; INSERT INTO ${name} VALUES (10)`)),
    await sql`SELECT count(*) FROM ${sql(name)} WHERE x > 8`,
    await sql.unsafe(""), await sql.unsafe(";"), await sql.unsafe("-- nothing"),
  ];
}));

step("prepared and not", async (sql) => {
  const seen = [];
  for (const [library, prepare] of [[sql, true], [sql, false], [open({ prepare: false }), true]]) {
    for (const n of [1, 2]) {
      const options = { prepare };
      const result = await library.unsafe("SELECT $1::int AS n, count(*) > 0 AS any FROM pg_prepared_statements", [n], options);
      seen.push([...result, result.statement.name !== ""]);
    }
    if (library !== sql) await library.end();
  }
  return seen;
});

step("a plan survives its table's changes", async (sql) => withTable(sql, "a text", async (table) => {
  const insert = () => sql`INSERT INTO ${table} VALUES (${"1"}) RETURNING *`;
  const select = () => sql`SELECT * FROM ${table} ORDER BY 1`;
  const seen = [await insert(), await select()];
  await sql`ALTER TABLE ${table} ALTER COLUMN a TYPE int USING a::int`;
  seen.push(await insert(), await select());
  await sql`ALTER TABLE ${table} ADD COLUMN b text DEFAULT 'new'`;
  return [...seen, await insert(), await select()];
}));

step("a pipeline of many", async (sql) => {
  const one = Array.from({ length: 300 }, (_, n) => sql`SELECT ${n}::int AS n, ${"x" + n} AS x`);
  const two = Array.from({ length: 200 }, (_, n) => (n % 10 === 3 ? sql`SELECT 1 / ${0}::int AS n`
    : sql.unsafe(`SELECT ${n} AS n`)).then(([row]) => row.n, (error) => error.code));
  const rows = (await Promise.all(one)).map(([row]) => row);
  return [rows.every((row, n) => row.n === n && row.x === "x" + n), await Promise.all(two)];
}, { max: 3 });

step("a pipeline that writes", async (sql) => withTable(sql, "n int PRIMARY KEY", async (table) => {
  const inserts = Array.from({ length: 120 }, (_, n) => sql`INSERT INTO ${table} VALUES (${n % 100})`.then(
    (result) => result.count, (error) => error.code));
  const codes = await Promise.all(inserts);
  return [codes.filter((code) => code === 1).length, codes.filter((code) => code === "23505").length,
    await sql`SELECT count(*), sum(n) FROM ${table}`];
}), { max: 1 });

// --- errors and notices ---------------------------------------------------------------------------------------------

step("errors", async (sql) => withTable(sql, "id int PRIMARY KEY, name varchar(3) NOT NULL CHECK (name <> 'no')", async (_, name) => {
  const table = sql(name);
  await sql`INSERT INTO ${table} VALUES (1, 'a')`;
  const error = await sql`SELEC ${1}, ${"two"}`.catch((reason) => reason);
  return [
    told(error), error.query, error.parameters, error instanceof sql.PostgresError,
    await refusal(sql`INSERT INTO ${table} VALUES (1, 'b')`),
    await refusal(sql`INSERT INTO ${table} VALUES (2, NULL)`),
    await refusal(sql`INSERT INTO ${table} VALUES (2, 'no')`),
    await refusal(sql`INSERT INTO ${table} VALUES (2, 'long')`),
    await refusal(sql`SELECT ${"x"}::int`),
    await refusal(sql`SELECT * FROM ${sql(name + "_gone")}`),
    await refusal(sql`SELECT gone(1)`),
    await refusal(sql`SELECT ${undefined}`),
    await refusal(sql.unsafe(`DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'TA001', DETAIL = 'd', HINT = 'h'; END $$`)),
    await sql`SELECT count(*) FROM ${table}`,
  ];
}));

step("notices", async () => {
  const notices = [];
  const sql = open({ max: 1, onnotice: (notice) => notices.push(told(notice)) });
  await sql.unsafe(`DROP TABLE IF EXISTS ${TALK}_never; DO $$ BEGIN RAISE NOTICE 'one %', 1; RAISE WARNING 'two'; END $$`);
  await sql`SET client_min_messages = error`;
  await sql.unsafe(`DO $$ BEGIN RAISE WARNING 'not heard'; END $$`);
  await sql.end();
  return notices;
});

// --- transactions ---------------------------------------------------------------------------------------------------

step("transactions and savepoints", async (sql) => withTable(sql, "x int", async (table) => {
  const all = async () => (await sql`SELECT x FROM ${table} ORDER BY x`).map(({ x }) => x);
  const seen = [];
  seen.push(await sql.begin(async (tx) => {
    await tx`INSERT INTO ${table} VALUES (1)`;
    const kept = await tx.savepoint("named", async (sp) => {
      await sp`INSERT INTO ${table} VALUES (2)`;
      await sp.savepoint(async (inner) => {
        await inner`INSERT INTO ${table} VALUES (3)`;
        throw new Error("back");
      }).catch(({ message }) => seen.push(message));
      return sp`INSERT INTO ${table} VALUES (4) RETURNING x`;
    });
    const failed = await tx.savepoint((sp) => sp`INSERT INTO ${table} VALUES (${"no"}::int)`).catch(told);
    return [kept, failed, await tx`SELECT count(*) FROM ${table}`];
  }));
  seen.push(await all());
  seen.push(await refusal(sql.begin(async (tx) => {
    await tx`INSERT INTO ${table} VALUES (10)`;
    await tx`SELECT 1/0`.catch(quiet);
    return tx`SELECT 1`;
  })));
  seen.push(await refusal(sql.begin((tx) => [tx`INSERT INTO ${table} VALUES (11)`, tx`SELECT gone`, tx`SELECT 1`])));
  seen.push((await sql.begin((tx) => [tx`SELECT 1 AS a`, tx`INSERT INTO ${table} VALUES (12)`])).map(({ command }) => command));
  return [...seen, await all()];
}));

step("kinds of transactions", async (sql) => withTable(sql, "x int", async (table) => [
  await sql.begin("isolation level serializable read only", (tx) => tx`SELECT current_setting('transaction_isolation') AS
    level, current_setting('transaction_read_only') AS ro`),
  await sql.begin("isolation level repeatable read", async (tx) => (await tx`SHOW transaction_isolation`)[0]),
  await refusal(sql.begin("read only", (tx) => tx`INSERT INTO ${table} VALUES (1)`)),
  await sql.begin(async (tx) => {
    await tx`SELECT set_config('talk.word', 'hidden', true), set_config('statement_timeout', '4321', true)`;
    return tx`SELECT current_setting('talk.word') AS word, current_setting('statement_timeout') AS limit`;
  }),
  await sql`SELECT coalesce(current_setting('talk.word', true), '') AS word, current_setting('statement_timeout') AS limit`,
]), { max: 1 });

step("transactions of several connections at once", async (sql) => withTable(sql, "n int PRIMARY KEY, v int", async (table) => {
  await sql`INSERT INTO ${table} SELECT n, 0 FROM generate_series(1, 5) AS n`;
  const add = (turn) => sql.begin(async (tx) => {
    const [{ v }] = await tx`SELECT v FROM ${table} WHERE n = ${1 + (turn % 5)} FOR UPDATE`;
    await tx`UPDATE ${table} SET v = ${v + 1} WHERE n = ${1 + (turn % 5)}`;
  });
  await Promise.all(Array.from({ length: 60 }, (_, turn) => add(turn)));
  return sql`SELECT * FROM ${table} ORDER BY n`;
}), { max: 8 });

step("two-phase commit", async (sql) => withTable(sql, "x int", async (table) => {
  const gid = `${TALK}_gid`;
  await sql.begin(async (tx) => {
    await tx`INSERT INTO ${table} VALUES (1)`;
    tx.prepare(gid);
  });
  const seen = [await sql`SELECT count(*) FROM ${table}`, await sql`SELECT count(*) FROM pg_prepared_xacts WHERE gid = ${gid}`];
  await sql.unsafe(`COMMIT PREPARED '${gid}'`);
  return [...seen, await sql`SELECT count(*) FROM ${table}`];
}));

step("temporary tables on a reserved connection", async (sql) => {
  const held = await sql.reserve();
  await held`CREATE TEMP TABLE mine (x int)`;
  await held`INSERT INTO mine VALUES (1), (2)`;
  const seen = [await held`SELECT sum(x) FROM mine`, await refusal(sql`SELECT * FROM mine`)];
  await held`CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT 1`;
  seen.push(await refusal(held`SELECT * FROM gone`), await held`DROP TABLE mine`);
  held.release();
  return seen;
}, { max: 3 });

step("settings on a reserved connection", async (sql) => {
  const [one, two] = [await sql.reserve(), await sql.reserve()];
  await one`SET timezone = 'Asia/Tokyo'`;
  await two`SET timezone = 'America/New_York'`;
  await one`SET search_path = pg_catalog`;
  const read = (held) => held`SELECT current_setting('timezone') AS zone, current_setting('search_path') AS path,
    timestamptz '2026-01-01 00:00Z'::text AS at`;
  const seen = [await read(one), await read(two), await read(one)];
  await one`RESET ALL`;
  seen.push(await read(one), await read(two));
  await two`DISCARD ALL`;
  seen.push(await read(two));
  [one, two].forEach((held) => held.release());
  return seen;
}, { max: 2 });

step("advisory locks and sequences", async (sql) => {
  const held = await sql.reserve();
  const key = [...TALK].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 1_000_000;
  const seen = [await held`SELECT pg_try_advisory_lock(${key}) AS got`, await sql`SELECT pg_try_advisory_lock(${key}) AS got`,
    await held`SELECT pg_advisory_unlock(${key}) AS freed`, await held`SELECT pg_advisory_unlock(${key}) AS freed`];
  await held`CREATE SEQUENCE ${sql(TALK + "_seq")}`;
  await held`BEGIN`;
  seen.push(await held`SELECT nextval(${TALK + "_seq"})`, await held`SELECT lastval(), currval(${TALK + "_seq"})`);
  await held`COMMIT`;
  await held`DROP SEQUENCE ${sql(TALK + "_seq")}`;
  held.release();
  return seen;
}, { max: 2 });

// --- cursors and COPY -----------------------------------------------------------------------------------------------

step("cursors", async (sql) => {
  const seen = [];
  await sql`SELECT n FROM generate_series(1, 20) AS n`.cursor(8, (rows) => seen.push(rows.map(({ n }) => n)));
  await sql`SELECT n FROM generate_series(1, 4) AS n WHERE n <> ${2}`.cursor(async ([row]) => {
    await delay(5);
    seen.push(row.n);
  });
  for await (const rows of sql`SELECT n FROM generate_series(1, 10) AS n`.cursor(4)) seen.push(rows.length);
  await sql`SELECT n FROM generate_series(1, 1000) AS n`.cursor(10, ([row]) => {
    seen.push(row.n);
    return sql.CLOSE;
  });
  for await (const rows of sql.unsafe("SELECT generate_series(1, 6) AS n").cursor(4)) {
    seen.push(rows.length);
    break;
  }
  seen.push(await refusal(sql`SELECT 10 / (3 - n) AS x FROM generate_series(1, 5) AS n`.cursor(1, ([row]) => seen.push(row.x))));
  seen.push(await refusal(sql`SELECT 1 AS x UNION SELECT 2`.cursor(() => { throw new Error("mine"); })));
  seen.push(await refusal(sql`wat`.cursor(quiet)), await sql`SELECT 'alive' AS is`);
  return seen;
}, { max: 1 });

step("cursors in a transaction", async (sql) => sql.begin(async (tx) => {
  const seen = [];
  for await (const [row] of tx`SELECT n FROM generate_series(1, 3) AS n`.cursor()) seen.push(row.n);
  await tx`DECLARE c SCROLL CURSOR FOR SELECT n FROM generate_series(1, 9) AS n`;
  seen.push(await tx`FETCH 3 FROM c`, await tx`FETCH BACKWARD 1 FROM c`, (await tx`MOVE LAST IN c`).command, await tx`CLOSE c`);
  return seen;
}));

const lines = (from, to) => Array.from({ length: to - from }, (_, n) => `${from + n}\tline ${from + n}\n`).join("");

/** Everything that a stream gives. */
async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

step("COPY", async (sql) => withTable(sql, "n int, t text", async (table) => {
  const copy = async (to, text, chunk = 1000) => {
    const chunks = Array.from({ length: Math.ceil(text.length / chunk) }, (_, n) => text.slice(n * chunk, n * chunk + chunk));
    await pipeline(Readable.from(chunks), await to.writable());
  };
  await copy(sql`COPY ${table} FROM STDIN`, lines(0, 20_000));
  await sql`DELETE FROM ${table} WHERE n % 40 <> 0`; // its streams stop for good when more than 16 kB come with the end
  await copy(sql`COPY ${table} FROM STDIN WITH (FORMAT csv)`, '-1,"a,b"\n-2,\n', 3);
  const out = await read(await sql`COPY (SELECT * FROM ${table} ORDER BY n) TO STDOUT`.readable());
  const binary = await read(await sql`COPY (SELECT n FROM ${table} ORDER BY n LIMIT 2) TO STDOUT (FORMAT binary)`.readable());
  const seen = [createHash("md5").update(out).digest("hex"), out.length, binary, await sql`SELECT count(*), sum(n) FROM ${table}`];
  const inside = await sql.begin(async (tx) => {
    await copy(tx`COPY ${table} FROM STDIN`, "30000\tin\n");
    await until(async () => (await tx`SELECT 1 FROM ${table} WHERE n = 30000`).length > 0);
    return tx`SELECT * FROM ${table} WHERE n = 30000`;
  });
  return [...seen, inside];
}));

step("COPY that fails", async (sql) => withTable(sql, "n int", async (table) => {
  const stream = await sql`COPY ${table} FROM STDIN`.writable();
  const broken = new Promise((resolve) => stream.on("error", ({ message }) => resolve(message)));
  stream.write("1\n");
  stream.destroy(new Error("changed my mind"));
  const seen = [await broken, await until(async () => sql`SELECT count(*) FROM ${table}`)];
  seen.push(await refusal(sql`COPY ${sql(TALK + "_gone")} FROM STDIN`.writable()));
  return [...seen, await refusal(sql`COPY ${sql(TALK + "_gone")} TO STDOUT`.readable()), await sql`SELECT 1 AS alive`];
}), { max: 1 });

step("large objects", async (sql) => {
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7919) % 256));
  const object = await sql.largeObject();
  await pipeline(Readable.from([content.subarray(0, 100_000), content.subarray(100_000)]), await object.writable());
  const seen = [await object.size(), await object.tell(), await object.seek(0)];
  const digest = createHash("md5");
  for await (const chunk of await object.readable()) digest.update(chunk);
  seen.push(digest.digest("hex") === createHash("md5").update(content).digest("hex"));
  await object.truncate(10);
  await object.seek(4);
  seen.push(await object.read(100), await object.size());
  await object.close();
  return seen;
});

// --- LISTEN and NOTIFY ----------------------------------------------------------------------------------------------

step("notifications", async (sql) => {
  const heard = [];
  const [plain, odd] = [`${TALK}_ch`, `${TALK} Weird"; -- ø`];
  const first = await sql.listen(plain, (text) => heard.push(`1 ${text}`));
  const second = await sql.listen(plain, (text) => heard.push(`2 ${text}`));
  await sql.listen(odd, (text) => heard.push(`odd ${text}`));
  await sql.notify(plain, "a");
  await sql.notify(odd, "ü");
  await until(() => heard.length === 3);
  await second.unlisten();
  await sql`NOTIFY ${sql(plain)}, 'b'`;
  await sql.begin(async (tx) => { // its own notify() would use another connection
    for (const text of ["c", "c", "d"]) await tx`SELECT pg_notify(${plain}, ${text})`;
  });
  await sql.begin(async (tx) => {
    await tx`SELECT pg_notify(${plain}, 'never')`;
    throw new Error("back");
  }).catch(quiet);
  await until(() => heard.length === 6);
  await first.unlisten();
  await sql.notify(plain, "nobody");
  await sql.notify(odd, "end");
  await until(() => heard.length === 7);
  return heard;
});

step("listening again after the connection is gone", async (sql) => {
  const heard = [];
  let listens = 0;
  const { state } = await sql.listen(`${TALK}_re`, (text) => heard.push(text), () => { listens += 1; });
  await sql.notify(`${TALK}_re`, "before");
  await until(() => heard.length === 1);
  const ended = await sql`SELECT pg_terminate_backend(${state.pid}::int) AS ended`;
  await until(() => listens === 2);
  await sql.notify(`${TALK}_re`, "after");
  await until(() => heard.length === 2);
  return [heard, ended];
});

// --- life of connections --------------------------------------------------------------------------------------------

step("cancels", async (sql) => {
  const sleeping = sql`SELECT pg_sleep(20)`;
  const waiting = sql`SELECT 1 AS waited`;
  const running = sleeping.execute();
  await until(async () => (await sql`SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)' AND state = 'active'`).length);
  running.cancel();
  const seen = [await refusal(running), await waiting];
  const never = sql`SELECT 'queued' AS never`;
  never.cancel();
  seen.push(await refusal(never));
  return [...seen, await sql`SELECT 'alive' AS is`];
}, { max: 3 });

step("time-outs of the server", async (sql) => [
  await refusal(sql`SELECT pg_sleep(20)`), await sql`SELECT current_setting('statement_timeout') AS limit`,
  await sql.begin(async (tx) => {
    await tx`SET LOCAL statement_timeout = 0`;
    return tx`SELECT 'slow' AS is FROM pg_sleep(0.3)`;
  }),
], { max: 1, connection: { statement_timeout: 200 } });

step("an idle transaction that is ended", async (sql) => {
  const { code, name } = await refusal(sql.begin(async (tx) => {
    await tx`SELECT 1`;
    await new Promise(quiet); // the end of the connection ends the transaction
  }));
  return [code, name, await sql`SELECT 'new' AS connection`];
}, { max: 1, connection: { idle_in_transaction_session_timeout: 300 } });

step("parameters of the connection", async (sql) => {
  const [row] = await sql`SELECT current_setting('application_name') AS app, current_setting('search_path') AS path,
    current_setting('some.var') AS own, current_setting('lock_timeout') AS lock, current_setting('timezone') AS zone,
    current_setting('work_mem') AS memory, current_setting('client_encoding') AS encoding`;
  const { application_name, client_encoding, TimeZone, DateStyle, IntervalStyle, integer_datetimes,
    standard_conforming_strings, is_superuser, session_authorization, server_version, server_encoding } = sql.parameters;
  await sql`RESET application_name`;
  return [row, { application_name, client_encoding, TimeZone, DateStyle, IntervalStyle, integer_datetimes,
    standard_conforming_strings, is_superuser, session_authorization, server_version, server_encoding },
  await sql`SELECT current_setting('application_name') AS app`];
}, { max: 1, connection: { application_name: "talk", search_path: "pg_catalog, public", "some.var": "yay", lock_timeout: "5s",
  timezone: "Europe/Berlin", options: "-c work_mem=5MB -c lock_timeout=1s" } });

step("parameters that are reported", async () => {
  const heard = [];
  const sql = open({ max: 1, onparameter: (name, value) => heard.push([name, value]) });
  await sql`SELECT 1`;
  const greeting = heard.length > 8;
  heard.length = 0;
  await sql`SET timezone = 'UTC'`;
  await sql`SET timezone = 'Asia/Kolkata'`;
  await sql`SET application_name = 'other'`;
  await sql`SELECT 1`;
  await sql.end();
  return [greeting, heard];
});

step("wrong parameters", async () => {
  const refused = async (options) => {
    const sql = open({ max: 1, ...options });
    const error = await refusal(sql`SELECT 1`);
    await sql.end({ timeout: 1 });
    return error;
  };
  const { name, ...database } = await refused({ database: `${TALK}_no_such` });
  return [name, database.code, database.severity, await refused({ connection: { statement_timeout: "soon" } }),
    await refused({ connection: { no_such_setting: "1" } }), (await refused({ password: "wrong" })).code,
    (await refused({ user: `${TALK}_nobody` })).code];
});

step("lifetimes and ends", async () => {
  const sql = open({ max: 1, max_lifetime: 0.05, idle_timeout: 0.05 });
  const seen = [];
  for (let turn = 0; turn < 6; turn += 1) {
    seen.push(await sql.begin(async (tx) => {
      await tx`SELECT 1`;
      await delay(80);
      return tx`SELECT ${turn}::int AS turn`;
    }));
    await delay(turn * 20);
  }
  const last = sql`SELECT 'answered' AS before`.execute();
  await sql.end();
  seen.push(await last, (await refusal(sql`SELECT 1`)).code);
  const other = open({ max: 1 });
  const cut = refusal(other`SELECT pg_sleep(20)`);
  setTimeout(() => other.end({ timeout: 0 }), 100);
  return [...seen, (await cut).code];
});

step("a connection that is killed", async (sql) => {
  const held = await sql.reserve();
  const [{ pid }] = await held`SELECT pg_backend_pid() AS pid`;
  const busy = refusal(held`SELECT pg_sleep(20)`);
  await until(async () => (await sql`SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)' AND state = 'active'`).length);
  const killed = await sql`SELECT pg_terminate_backend(${pid}) AS killed`;
  const { code, message, severity, routine } = await busy;
  return [killed, code, message, severity, routine, await sql`SELECT 'alive' AS is`];
}, { max: 2 });

step("roles", async (sql) => {
  const role = `${TALK}_role`;
  await sql.unsafe(`DROP ROLE IF EXISTS ${role}; CREATE ROLE ${role}`);
  const seen = await sql.begin(async (tx) => {
    await tx`SET LOCAL ROLE ${sql(role)}`;
    return [await tx`SELECT current_user AS me`, await tx.savepoint((sp) => sp`SELECT * FROM pg_authid`).catch(told)];
  });
  const held = await sql.reserve();
  await held`SET ROLE ${sql(role)}`;
  seen.push(await held`SELECT current_user AS me, session_user AS session`, await sql`SELECT current_user AS me`);
  await held`RESET ROLE`;
  held.release();
  await sql.unsafe(`DROP ROLE ${role}`);
  return [...seen, await sql`SELECT current_user AS me`];
});

step("a read-write server is looked for", async (sql) => sql`SELECT 'found' AS is`, { target_session_attrs: "read-write" });

const plain = (_, value) => {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
};

let failed = 0;
for (const { name, run, options } of steps.filter(({ name }) => name.includes(process.argv[2] ?? ""))) {
  const sql = open(options);
  const overdue = delay(STEP_SECONDS * 1000, null, { ref: false }).then(() => { throw new Error("took too long"); });
  const seen = await Promise.race([run(sql), overdue]).catch((error) => {
    failed += 1;
    return { FAILED: error.stack };
  });
  console.log(`${name}: ${JSON.stringify(seen, plain)}`.replaceAll(TALK, "TALK"));
  await sql.end({ timeout: 2 });
}
process.exit(failed === 0 ? 0 : 1);
