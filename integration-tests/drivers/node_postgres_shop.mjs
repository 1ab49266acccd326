// node-postgres through pgring: a shop's day, step by step.
//
// In: PGRING_DSN, a postgresql:// address of an empty sharded database whose user is an admin user.
// Out: `ok <step>` for each step that went right, `FAILED <step>: <why>` for each other; exit code 1 after any failure.
// Never: accepts what PostgreSQL itself would answer differently.

import assert from "node:assert/strict";
import pg from "pg";

const DSN = process.env.PGRING_DSN;
const STEP_SECONDS = 30;
const CUSTOMERS = Array.from({ length: 40 }, (_, number) => number + 1);
const CROWD = 16;
const steps = [];
const step = (name, run) => steps.push([name, run]);

const two = (number) => String(number).padStart(2, "0");
const customerName = (customer) => `customer ${two(customer)}`;
/** What order `number` of a customer costs; no two orders of the shop cost the same. */
const total = (customer, number) => ((customer * 100 + number) / 100).toFixed(2);

/** Runs with a connection of its own. */
async function connected(run, options = {}) {
  const client = new pg.Client({ connectionString: DSN, connectionTimeoutMillis: 10_000, ...options });
  client.on("error", () => {}); // a lost connection fails the query that needs it
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

/** The error that a query must end with. */
async function refused(code, query) {
  const error = await query.then(() => null, (reason) => reason);
  assert.ok(error, `no error, ${code} was expected`);
  assert.equal(error.code, code, `SQLSTATE of '${error.message}'`);
  return error;
}

async function rows(client, text, values) {
  const result = await client.query({ text, values, rowMode: "array" });
  return result.rows;
}

/** Two customers that live on different shards. */
async function twoShards(client) {
  const homes = [];
  for (const customer of CUSTOMERS) {
    homes.push((await rows(client, "SELECT pgring.shard_of('npg_orders', $1::bigint)", [customer]))[0][0]);
  }
  return [1, CUSTOMERS[homes.findIndex((home) => home !== homes[0])]];
}

step("tables", () => connected(async (client) => {
  for (const command of ["SHARD TABLE npg_customers BY (customer_id)", "SHARD TABLE npg_orders BY (customer_id)",
    "SHARD TABLE npg_things BY (id)"]) {
    const first = await client.query(`CALL pgring.admin('${command}')`);
    assert.deepEqual(first.fields.map((field) => field.name), ["operation_id", "status", "hint"]);
    assert.equal(first.command, "CALL");
    const again = await client.query("CALL pgring.admin($1)", [command]);
    assert.equal(again.rows[0].status, "unchanged");
  }
  await client.query("CREATE TABLE npg_customers (customer_id bigint PRIMARY KEY, name text NOT NULL, note text)");
  await client.query(`CREATE TABLE npg_orders (customer_id bigint REFERENCES npg_customers, order_id integer,
    total numeric(10,2) NOT NULL, PRIMARY KEY (customer_id, order_id))`);
  await client.query(`CREATE TABLE npg_things (id bigint PRIMARY KEY, n numeric, at timestamptz, u uuid, j jsonb,
    a integer[], t text[], b bytea, yes boolean, f double precision, words text)`);
  await client.query("CREATE TABLE npg_notes (id integer PRIMARY KEY, body text)");
}));

step("insert by key", () => connected(async (client) => {
  for (const customer of CUSTOMERS) {
    const text = "INSERT INTO npg_customers (customer_id, name) VALUES ($1, $2) RETURNING customer_id";
    const result = await client.query(text, [customer, customerName(customer)]);
    assert.deepEqual([result.command, result.rowCount, result.rows], ["INSERT", 1, [{ customer_id: String(customer) }]]);
    const orders = [1, 2, 3, 4].map((number) => `(${customer}, ${number}, ${total(customer, number)})`);
    const several = await client.query(`INSERT INTO npg_orders VALUES ${orders.join(", ")}`);
    assert.equal(several.rowCount, 4);
  }
}));

step("select by key", () => connected(async (client) => {
  for (const customer of CUSTOMERS) {
    const found = await rows(client, "SELECT name, note FROM npg_customers WHERE customer_id = $1", [customer]);
    assert.deepEqual(found, [[customerName(customer), null]]);
  }
  assert.deepEqual(await rows(client, "SELECT name FROM npg_customers WHERE customer_id = 5"), [["customer 05"]]);
  const big = await rows(client, "SELECT name FROM npg_customers WHERE customer_id = $1", [6n]);
  assert.deepEqual(big, [["customer 06"]]);
  assert.deepEqual(await rows(client, "SELECT 1 FROM npg_customers WHERE customer_id = $1", [null]), []);
  for (const binary of [false, true]) {
    const query = { text: "SELECT customer_id, order_id FROM npg_orders WHERE customer_id = $1 ORDER BY 2", values: [9], binary };
    const found = (await client.query(query)).rows.map((row) => [Number(row.customer_id), row.order_id]);
    assert.deepEqual(found, [[9, 1], [9, 2], [9, 3], [9, 4]]);
  }
}));

step("select over shards", () => connected(async (client) => {
  const some = [3, 11, 19, 27, 35];
  const names = some.map((customer) => [customerName(customer)]);
  const listed = await rows(client, "SELECT name FROM npg_customers WHERE customer_id IN ($1, $2, $3, $4, $5)", some);
  assert.deepEqual(listed.sort(), names);
  const any = await rows(client, "SELECT name FROM npg_customers WHERE customer_id = ANY($1)", [some]);
  assert.deepEqual(any.sort(), names);
  const cents = CUSTOMERS.flatMap((customer) => [1, 2, 3, 4].map((number) => customer * 100 + number));
  const sum = (cents.reduce((left, right) => left + right) / 100).toFixed(2);
  assert.deepEqual(await rows(client, "SELECT count(*), sum(total), min(total), max(total) FROM npg_orders"),
    [["160", sum, "1.01", "40.04"]]);
  const groups = await rows(client, "SELECT order_id, count(*) FROM npg_orders GROUP BY order_id ORDER BY order_id");
  assert.deepEqual(groups, [[1, "40"], [2, "40"], [3, "40"], [4, "40"]]);
  const best = await rows(client, "SELECT customer_id, order_id FROM npg_orders ORDER BY total DESC LIMIT $1 OFFSET $2", [3, 2]);
  assert.deepEqual(best, [["40", 2], ["40", 1], ["39", 4]]);
}));

step("transactions", () => connected(async (client) => {
  const note = async () => (await rows(client, "SELECT note FROM npg_customers WHERE customer_id = $1", [3]))[0][0];
  await client.query("BEGIN");
  await client.query("UPDATE npg_customers SET note = $2 WHERE customer_id = $1", [3, "kept"]);
  assert.equal((await client.query("COMMIT")).command, "COMMIT");
  await client.query("BEGIN");
  await client.query("UPDATE npg_customers SET note = $2 WHERE customer_id = $1", [3, "lost"]);
  assert.equal(await note(), "lost");
  await client.query("ROLLBACK");
  assert.equal(await note(), "kept");
  await client.query("BEGIN");
  await client.query("SAVEPOINT before");
  await refused("23505", client.query("INSERT INTO npg_orders VALUES ($1, 1, 1)", [3]));
  await refused("25P02", client.query("SELECT 1"));
  await client.query("ROLLBACK TO before");
  await client.query("UPDATE npg_customers SET note = 'kept twice' WHERE customer_id = $1", [3]);
  await client.query("COMMIT");
  assert.equal(await note(), "kept twice");
}));

step("writes on several shards are whole or nothing", () => connected(async (client) => {
  const [here, there] = await twoShards(client);
  const half = "UPDATE npg_customers SET note = 'half' WHERE customer_id = $1";
  await client.query("BEGIN");
  await client.query(half, [here]);
  await client.query(half, [there]);
  await client.query("ROLLBACK");
  assert.deepEqual(await rows(client, "SELECT count(*) FROM npg_customers WHERE note = 'half'"), [["0"]]);
  const both = [here + 1000, there + 1000];
  assert.equal((await client.query("INSERT INTO npg_customers VALUES ($1, 'a'), ($2, 'b')", both)).rowCount, 2);
  assert.equal((await client.query("DELETE FROM npg_customers WHERE customer_id IN ($1, $2)", both)).rowCount, 2);
  assert.deepEqual(await rows(client, "SELECT count(*) FROM npg_customers"), [["40"]]);
}));

step("prepared statements", () => connected(async (client) => {
  for (let round = 0; round < 2; round += 1) {
    for (const customer of CUSTOMERS) {
      const byKey = { name: "by-key", text: "SELECT name FROM npg_customers WHERE customer_id = $1", values: [customer] };
      assert.deepEqual((await client.query(byKey)).rows, [{ name: customerName(customer) }]);
      const counted = { name: "counted", text: "SELECT count(*) AS n FROM npg_orders" };
      assert.deepEqual((await client.query(counted)).rows, [{ n: "160" }]);
      assert.deepEqual((await client.query("SELECT $1::text AS said", ["between"])).rows, [{ said: "between" }]);
    }
  }
  // portions of two rows: Execute with a limit, then more from the same portal
  const portions = { name: "portions", text: "SELECT order_id FROM npg_orders WHERE customer_id = $1 ORDER BY 1", values: [12], rows: 2, rowMode: "array" };
  assert.deepEqual((await client.query(portions)).rows, [[1], [2], [3], [4]]);
  const duplicate = { name: "add", text: "INSERT INTO npg_orders VALUES ($1, $2, 1)", values: [12, 1] };
  await refused("23505", client.query(duplicate));
  await refused("23505", client.query(duplicate));
  await client.query("PREPARE mine (bigint) AS SELECT name FROM npg_customers WHERE customer_id = $1");
  assert.deepEqual(await rows(client, "EXECUTE mine(7)"), [["customer 07"]]);
  await client.query("DEALLOCATE mine");
  await refused("26000", client.query("EXECUTE mine(7)"));
}));

step("values round trip", () => connected(async (client) => {
  const things = {
    n: "12345678901234567890.000000000000000001", at: new Date("2026-02-28T23:59:59.123Z"),
    u: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", j: { "naïve": [1, null, "ü\u2028", { a: true }] },
    a: [1, null, -2147483648], t: ["", "NULL", null, 'a"b\\c,{}', "日本"],
    b: Buffer.from(Array.from({ length: 10240 }, (_, number) => number % 256)), yes: false, f: 0.1 + 0.2,
    words: "Grüße, 日本, 😀, ' \" \\ %s $1 \t\n; --",
  };
  const names = Object.keys(things).join(", ");
  const marks = Object.keys(things).map((_, number) => `$${number + 2}`).join(", ");
  await client.query(`INSERT INTO npg_things (id, ${names}) VALUES ($1, ${marks})`, [1, ...Object.values(things)]);
  const nulls = Object.keys(things).map(() => null);
  await client.query(`INSERT INTO npg_things (id, ${names}) VALUES ($1, ${marks})`, [2, ...nulls]);
  assert.deepEqual((await client.query(`SELECT ${names} FROM npg_things WHERE id = $1`, [1])).rows, [things]);
  assert.deepEqual(await rows(client, `SELECT ${names} FROM npg_things WHERE id = $1`, [2]), [nulls]);
  assert.deepEqual((await client.query(`SELECT ${names} FROM npg_things WHERE yes IS NOT NULL`)).rows, [things]);
}));

step("errors have their codes", () => connected(async (client) => {
  const duplicate = await refused("23505", client.query("INSERT INTO npg_customers VALUES ($1, 'again')", [1]));
  assert.equal(duplicate.constraint, "npg_customers_pkey");
  await refused("23503", client.query("INSERT INTO npg_orders VALUES ($1, 1, 1)", [999]));
  await refused("22P02", client.query("SELECT 1 FROM npg_customers WHERE customer_id = $1", ["x"]));
  const missing = await refused("42P01", client.query("SELECT * FROM npg_nothing WHERE id = $1", [1]));
  assert.equal(missing.position, "15");
  await refused("42703", client.query("SELECT nothing FROM npg_customers WHERE customer_id = 1"));
  await refused("22012", client.query("SELECT 1 / (customer_id - customer_id) FROM npg_customers WHERE customer_id = $1", [1]));
  await refused("42601", client.query("SELEC 1"));
  assert.deepEqual(await rows(client, "SELECT count(*) FROM npg_customers"), [["40"]]);
}));

step("several statements in one query", () => connected(async (client) => {
  const results = await client.query(`SELECT name FROM npg_customers WHERE customer_id = 3; SELECT 2 AS two;
    UPDATE npg_customers SET note = 'again' WHERE customer_id = 3`);
  assert.deepEqual(results.map((result) => [result.command, result.rowCount]), [["SELECT", 1], ["SELECT", 1], ["UPDATE", 1]]);
}));

step("listen and notify", () => connected((hears) => connected(async (tells) => {
  const heard = [];
  const both = new Promise((resolve) => {
    hears.on("notification", (message) => heard.push([message.channel, message.payload]) === 2 && resolve());
  });
  await hears.query("LISTEN npg_news");
  await tells.query("NOTIFY npg_news, 'first'");
  await tells.query("SELECT pg_notify($1, $2)", ["npg_news", "zweite ü"]);
  await both;
  assert.deepEqual(heard, [["npg_news", "first"], ["npg_news", "zweite ü"]]);
})));

step("sixteen at once", async () => {
  const pool = new pg.Pool({ connectionString: DSN, max: CROWD, connectionTimeoutMillis: 10_000 });
  const work = async (number) => {
    const client = await pool.connect();
    try {
      await client.query(`SET application_name = 'crowd ${number}'`);
      for (let turn = 0; turn < 25; turn += 1) {
        const key = 1000 + number * 100 + turn;
        await client.query("BEGIN");
        await client.query("INSERT INTO npg_things (id, words, n) VALUES ($1, $2, $3)", [key, `${number}:${turn}`, number]);
        await client.query("COMMIT");
        const own = { name: "own", text: "SELECT words FROM npg_things WHERE id = $1", values: [key] };
        assert.deepEqual((await client.query(own)).rows, [{ words: `${number}:${turn}` }]);
        const counted = await rows(client, "SELECT count(*) FROM npg_things WHERE n = $1 AND id >= 1000", [number]);
        assert.deepEqual(counted, [[String(turn + 1)]]);
        await refused("22012", client.query("SELECT 1 / (id - id) FROM npg_things WHERE id = $1", [key]));
        assert.deepEqual(await rows(client, "SHOW application_name"), [[`crowd ${number}`]]);
      }
    } finally {
      client.release();
    }
  };
  try {
    await Promise.all(Array.from({ length: CROWD }, (_, number) => work(number)));
  } finally {
    await pool.end();
  }
});

/** Rejects when a step takes too long. */
function outOfTime() {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done within ${STEP_SECONDS} s`)), STEP_SECONDS * 1000).unref();
  });
}

let failed = 0;
for (const [name, run] of steps) {
  try {
    await Promise.race([run(), outOfTime()]);
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.message}`);
  }
}
process.exit(failed ? 1 : 0);
