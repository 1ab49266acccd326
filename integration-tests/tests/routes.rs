//! What runs how: docs/sql.md is printed from this table. Each statement is asked for its way, run on four shards, and compared
//! with one PostgreSQL; what is refused gives a hint.
//!
//! `PGRING_UPDATE_DOCS=1 cargo test -p pgring-integration-tests --test routes` rewrites the page.

use std::fmt::Write as _;

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::oracle::{Answer, Compare, Statement, Way, way};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, Postgres, shards};

/// The tables, as the page shows them.
const TABLES: &[&str] = &[
    "CREATE TABLE customer (customer_id bigint PRIMARY KEY, name text, city text COLLATE \"C\", country text, joined date)",
    "CREATE TABLE orders (customer_id bigint, order_id int, total numeric(10,2), status text, placed timestamptz, \
     PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE product (sku text COLLATE \"C\" PRIMARY KEY, label text, price numeric(8,2), maker bigint)",
    "CREATE TABLE country (code text PRIMARY KEY, title text)",
    "CREATE TABLE setting (name text PRIMARY KEY, value int)",
    "CREATE VIEW big_order AS SELECT customer_id, order_id, total FROM orders WHERE total > 50",
];

/// What makes them sharded.
const PLACES: &[&str] = &[
    "SHARD TABLE customer BY (customer_id)",
    "SHARD TABLE orders BY (customer_id) COLOCATE WITH customer",
    "SHARD TABLE product BY (sku)",
    "REFERENCE TABLE country",
];

/// A part of the page.
struct Section {
    title: &'static str,
    /// What the reader should know.
    text: &'static str,
    statements: &'static [&'static str],
}

const SECTIONS: &[Section] = &[
    Section {
        title: "Conditions on the key",
        text: "A condition that must hold for each row of the answer limits the shards: `=`, `IN`, `= ANY`, joins on the key, \
               in any spelling that PostgreSQL takes for the key's type, as a literal or a parameter. A mere mention does not.",
        statements: &[
            "SELECT * FROM customer WHERE customer_id = 7",
            "SELECT * FROM customer WHERE customer_id = '007'",
            "SELECT * FROM customer WHERE customer_id IN (7)",
            "SELECT * FROM customer WHERE customer_id IN (1, 2, 3)",
            "SELECT * FROM customer WHERE customer_id = ANY ('{1,2,3}')",
            "SELECT * FROM customer WHERE customer_id = 1 OR customer_id = 2",
            "SELECT * FROM customer WHERE customer_id = 1 AND customer_id = 2",
            "SELECT * FROM customer WHERE customer_id = NULL",
            "SELECT * FROM customer WHERE customer_id = 7 OR city = 'Bonn'",
            "SELECT * FROM customer WHERE customer_id BETWEEN 1 AND 3",
            "SELECT * FROM customer WHERE customer_id + 0 = 7",
            "SELECT * FROM customer JOIN orders USING (customer_id) WHERE customer_id = 7",
            "SELECT * FROM product WHERE sku = 'p1'",
            "SELECT name, (SELECT max(total) FROM orders o WHERE o.customer_id = c.customer_id) FROM customer c \
             WHERE c.customer_id = 7",
            "WITH o AS (SELECT * FROM orders WHERE customer_id = 7) SELECT status, count(*) FROM o GROUP BY status",
            "SELECT total, rank() OVER (ORDER BY total DESC) FROM orders WHERE customer_id = 7",
        ],
    },
    Section {
        title: "Rows of all shards",
        text: "Rows that are found apart on each shard are sent on as they come.",
        statements: &[
            "SELECT * FROM customer",
            "SELECT upper(name) FROM customer WHERE joined > '2024-01-10'",
            "TABLE customer",
            "SELECT * FROM customer ORDER BY customer_id",
            "SELECT name FROM customer ORDER BY joined DESC NULLS LAST, customer_id LIMIT 5 OFFSET 2",
            "SELECT city FROM customer ORDER BY lower(city), customer_id",
            "SELECT name FROM customer ORDER BY name, customer_id",
            "SELECT total FROM orders ORDER BY total FETCH FIRST 3 ROWS WITH TIES",
            "SELECT DISTINCT city FROM customer",
            "SELECT DISTINCT customer_id FROM orders",
            "SELECT DISTINCT ON (city) city, name FROM customer ORDER BY city, customer_id",
        ],
    },
    Section {
        title: "Groups and aggregates",
        text: "Groups that hold the key are whole on their shard. Others are combined where the parts combine exactly; else \
               their rows are gathered.",
        statements: &[
            "SELECT count(*) FROM customer",
            "SELECT customer_id, count(*), sum(total) FROM orders GROUP BY customer_id",
            "SELECT status, count(*), sum(total), avg(total), min(placed), max(placed) FROM orders GROUP BY status",
            "SELECT status, count(*) FROM orders GROUP BY status HAVING count(*) > 2 ORDER BY 2 DESC, 1",
            "SELECT bool_and(total > 1), bit_or(order_id) FROM orders",
            "SELECT count(*) FILTER (WHERE total > 50) FROM orders",
            "SELECT stddev(total), variance(order_id) FROM orders",
            "SELECT count(DISTINCT status) FROM orders",
            "SELECT string_agg(name, ',' ORDER BY customer_id) FROM customer",
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
            "SELECT min(name) FROM customer",
            "SELECT status, customer_id, sum(total) FROM orders GROUP BY ROLLUP (status, customer_id)",
            "SELECT array_agg(name) FROM customer",
        ],
    },
    Section {
        title: "Joins",
        text: "Tables of one colocation group, joined on their keys, and reference tables are joined on the shards. Other joins \
               are gathered.",
        statements: &[
            "SELECT c.name, o.total FROM customer c JOIN orders o ON o.customer_id = c.customer_id",
            "SELECT c.name, o.total FROM customer c LEFT JOIN orders o USING (customer_id)",
            "SELECT c.name, o.order_id FROM customer c FULL JOIN orders o USING (customer_id)",
            "SELECT c.name, t.title FROM customer c JOIN country t ON t.code = c.country",
            "SELECT c.name, t.title FROM customer c LEFT JOIN country t ON t.code = c.country",
            "SELECT t.title, c.name FROM country t LEFT JOIN customer c ON t.code = c.country",
            "SELECT t.title, count(*) FROM customer c JOIN orders o USING (customer_id) JOIN country t ON t.code = c.country \
             GROUP BY t.title",
            "SELECT p.label, c.name FROM product p JOIN customer c ON c.customer_id = p.maker",
            "SELECT a.name, b.name FROM customer a JOIN customer b ON a.city = b.city AND a.customer_id < b.customer_id",
            "SELECT c.name, s.value FROM customer c JOIN setting s ON s.name = c.city",
            "SELECT c.name, o.total FROM customer c, LATERAL (SELECT total FROM orders o WHERE o.customer_id = c.customer_id \
             ORDER BY total DESC, order_id LIMIT 1) o",
        ],
    },
    Section {
        title: "Sub-selects",
        text: "A sub-select runs on the shards if it looks at the rows of the outer row's key only, or at reference tables.",
        statements: &[
            "SELECT name FROM customer c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id)",
            "SELECT name FROM customer WHERE customer_id IN (SELECT customer_id FROM orders WHERE total > 50)",
            "SELECT name FROM customer WHERE customer_id NOT IN (SELECT maker FROM product)",
            "SELECT name FROM customer WHERE country IN (SELECT code FROM country)",
            "SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) FROM customer c",
            "SELECT order_id FROM orders WHERE total = (SELECT max(total) FROM orders)",
            "SELECT order_id FROM orders o WHERE total > ALL (SELECT price FROM product)",
            "SELECT q.n, count(*) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) q GROUP BY q.n",
            "SELECT * FROM (SELECT customer_id, total FROM orders ORDER BY total DESC, customer_id, order_id LIMIT 5) q",
            "SELECT ARRAY(SELECT name FROM customer ORDER BY customer_id)",
        ],
    },
    Section {
        title: "WITH and set operations",
        text: "",
        statements: &[
            "WITH big AS (SELECT customer_id, total FROM orders WHERE total > 50) SELECT * FROM big",
            "WITH sums AS (SELECT customer_id, sum(total) AS s FROM orders GROUP BY customer_id) \
             SELECT c.name, s FROM sums JOIN customer c USING (customer_id)",
            "WITH sums AS (SELECT status, sum(total) AS s FROM orders GROUP BY status) SELECT max(s) FROM sums",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) \
             SELECT n, c.name FROM r JOIN customer c ON c.customer_id = n",
            "SELECT customer_id FROM customer UNION ALL SELECT customer_id FROM orders",
            "SELECT customer_id FROM customer UNION SELECT customer_id FROM orders",
            "SELECT customer_id FROM customer EXCEPT SELECT customer_id FROM orders",
            "SELECT city FROM customer INTERSECT SELECT status FROM orders",
            "SELECT city FROM customer UNION ALL SELECT title FROM country",
        ],
    },
    Section {
        title: "Window functions",
        text: "A window runs on the shards if it is partitioned by the key.",
        statements: &[
            "SELECT customer_id, order_id, sum(total) OVER (PARTITION BY customer_id ORDER BY order_id) FROM orders",
            "SELECT customer_id, order_id, rank() OVER (ORDER BY total) FROM orders",
            "SELECT status, sum(sum(total)) OVER (ORDER BY status) FROM orders GROUP BY status",
            "SELECT * FROM (SELECT customer_id, order_id, row_number() OVER (PARTITION BY status ORDER BY total, customer_id, \
             order_id) AS n FROM orders) q WHERE n = 1",
        ],
    },
    Section {
        title: "Other tables, functions, the session",
        text: "Functions of the transaction's time and of the session have one value for all shards. A statement that reaches \
               no sharded table is PostgreSQL's alone.",
        statements: &[
            "SELECT count(*) FROM customer WHERE joined < now()",
            "SELECT count(*) FROM customer WHERE statement_timestamp() > joined",
            "SELECT current_user, count(*) FROM customer GROUP BY 1",
            "SELECT count(*) FROM customer WHERE random() < 2",
            "SELECT * FROM country",
            "SELECT * FROM setting",
            "SELECT 1",
            "SELECT count(*) > 0 FROM pg_class",
        ],
    },
    Section {
        title: "Views on sharded tables",
        text: "A view is read as a sub-select with its definition. In a gather its tables are copied with the client's rights, \
               not its owner's: where they could differ, it is refused.",
        statements: &[
            "SELECT * FROM big_order WHERE customer_id = 7",
            "SELECT * FROM big_order",
            "SELECT count(*), sum(total) FROM big_order",
            "SELECT count(DISTINCT total) FROM big_order",
            "SELECT b FROM big_order b",
        ],
    },
    Section {
        title: "Forms that hang on where rows are",
        text: "",
        statements: &[
            "SELECT * FROM orders WHERE customer_id = 7 FOR UPDATE",
            "SELECT * FROM orders FOR UPDATE",
            "SELECT * FROM ONLY orders",
            "SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100)",
            "SELECT ctid FROM orders",
            "SELECT o FROM orders o",
            "SELECT count(*) FROM orders o JOIN pg_class c ON c.relname = o.status",
        ],
    },
    Section {
        title: "Writes",
        text: "A write over several shards runs in one transaction on all of them (two-phase commit). It goes to the shards if what \
               it looks at of sharded tables is on the shard of the row that it writes; the rows of VALUES go each to the shard of \
               their key. Tags add up, the rows of RETURNING come in the order of VALUES; `now()` has one value, in defaults of \
               columns too. These are asked for their way only.",
        statements: &[
            "INSERT INTO customer VALUES (70, 'Zoe', 'Bonn', 'de', NULL)",
            "INSERT INTO customer VALUES (71, 'Yan', NULL, 'fr', NULL), (72, 'Xenia', NULL, 'fr', NULL)",
            "UPDATE orders SET status = 'paid' WHERE customer_id = 7",
            "UPDATE orders SET status = 'paid'",
            "UPDATE orders SET status = 'old', placed = now() WHERE total < 20 RETURNING customer_id, order_id",
            "DELETE FROM orders WHERE customer_id IN (1, 2, 3)",
            "INSERT INTO orders VALUES (1, 91, 1.50, 'open', now()), (2, 91, 2.50, 'open', now()), (3, 91, 3.50, 'open', now()) \
             ON CONFLICT (customer_id, order_id) DO UPDATE SET total = excluded.total RETURNING *",
            "INSERT INTO orders SELECT customer_id, order_id + 100, total, status, placed FROM orders",
            "INSERT INTO orders (customer_id, order_id) SELECT maker, 92 FROM product",
            "UPDATE orders SET status = c.city FROM customer c WHERE c.customer_id = orders.customer_id",
            "UPDATE customer SET city = t.title FROM country t WHERE t.code = customer.country",
            "UPDATE orders SET total = p.price FROM product p WHERE p.maker = orders.customer_id",
            "UPDATE orders SET total = (SELECT max(total) FROM orders)",
            "DELETE FROM customer c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id)",
            "WITH gone AS (DELETE FROM orders WHERE total < 5 RETURNING *) SELECT count(*) FROM gone",
            "UPDATE customer SET customer_id = 8 WHERE customer_id = 7",
            "INSERT INTO setting VALUES ('limit', 3)",
        ],
    },
    Section {
        title: "Writes to reference tables",
        text: "The statement runs on the default shard, which answers; the rows that it wrote there, not the statement, are then \
               written on every other shard by their primary key, so that random values, times and identifiers are the same \
               everywhere. All of it is one transaction. What hides its rows (a CTE that writes, MERGE, functions, code, a new \
               primary key) is followed by a comparison of the table with its copies, while nobody else writes it. Triggers run \
               on the default shard only, for which the role needs the right to set `session_replication_role`; foreign keys \
               hold and act on every shard. A table without primary key is not written, nor is one from sharded rows. \
               `VERIFY TABLE` compares the copies.",
        statements: &[
            "INSERT INTO country VALUES ('it', 'Italia')",
            "INSERT INTO country VALUES ('it', 'Italy') ON CONFLICT (code) DO UPDATE SET title = excluded.title RETURNING *",
            "UPDATE country SET title = title || '!' WHERE code IN ('it', 'no') RETURNING code",
            "WITH gone AS (DELETE FROM country WHERE code = 'no' RETURNING *) SELECT title FROM gone",
            "DELETE FROM country WHERE code = 'it'",
            "INSERT INTO country SELECT DISTINCT country, 'none' FROM customer",
        ],
    },
];

/// Rows for all tables: each statement has one key.
fn rows() -> Vec<String> {
    let mut writes = vec!["INSERT INTO setting VALUES ('Bonn', 1), ('Lyon', 2)".to_owned()];
    for customer in 1..=24 {
        let city = ["Bonn", "Lyon", "bonn", "Oslo"][customer % 4];
        let country = ["'de'", "'fr'", "NULL", "'xx'"][customer % 4];
        writes.push(format!(
            "INSERT INTO customer VALUES ({customer}, 'name {}', '{city}', {country}, date '2024-01-01' + {})",
            customer % 7,
            customer % 20
        ));
        for order in 1..=customer % 5 {
            let (total, status) = ((customer * 37 + order * 11) % 97, ["open", "paid", "late"][(customer + order) % 3]);
            writes.push(format!(
                "INSERT INTO orders VALUES ({customer}, {order}, {total}.50, '{status}', '2024-02-0{order} 10:00+00')"
            ));
        }
    }
    writes.extend((1..=9).map(|at| format!("INSERT INTO product VALUES ('p{at}', 'label {at}', {at}.25, {})", at * 3)));
    writes
}

async fn set_up(raw: &mut Raw, writes: &[String]) {
    for sql in writes {
        let answer = Answer::of(&raw.query(sql).await);
        assert!(answer.error.is_none(), "{sql}: {answer:?}");
    }
}

fn is_write(section: &Section) -> bool {
    section.title == "Writes"
}

/// The answer to a statement; types of users have other numbers on each server.
async fn told(raw: &mut Raw, sql: &str) -> Answer {
    const FIRST_OF_USERS: u32 = 16_384;
    let mut answer = Answer::of(&raw.query(sql).await);
    answer.columns.iter_mut().for_each(|(_, oid)| *oid = (*oid).min(FIRST_OF_USERS));
    answer
}

/// What is wrong with the answer of a statement that goes this way.
async fn fault(oracle: &mut Raw, routed: &mut Raw, sql: &str, way: Way) -> Option<String> {
    let answer = told(routed, sql).await;
    if way == Way::Refused {
        let refused = answer.is_refusal() && answer.hint.is_some();
        return (!refused).then(|| format!("{sql}\n    is refused by EXPLAIN (ROUTE), but answered {answer:?}"));
    }
    let statement = Statement::plain(sql);
    let truth = told(oracle, sql).await;
    assert!(truth.error.is_none(), "{sql}: {truth:?}");
    let difference = answer.difference_by(&truth, &Compare { rows: statement.rows().clone(), floats: false });
    difference.map(|what| format!("{sql}\n    {what}: {truth:?}\n    {answer:?}"))
}

/// The head of the page.
fn head() -> String {
    let mut page = "<!-- Printed from integration-tests/tests/routes.rs; `PGRING_UPDATE_DOCS=1 cargo test -p \
        pgring-integration-tests --test routes` rewrites it. -->\n\n\
        # What runs how\n\n\
        Each SELECT over sharded tables is answered as one PostgreSQL would answer it, in the cheapest of these ways, or refused \
        with SQLSTATE `0A000` and a hint before anything ran. `EXPLAIN (ROUTE) …` tells the way of any statement.\n\n\
        | way | what happens |\n|---|---|\n\
        | one server | no sharded table is reached: the statement goes to a server as it is |\n\
        | one shard | the key leads to one shard, which answers; the bytes pass through |\n\
        | pushed down | the shards that can hold rows answer the statement whole; their rows come one after another |\n\
        | merged | the shards answer parts, and pgring brings rows in order, cuts them, or combines groups, while they stream |\n\
        | gathered | the columns and rows that can matter are copied to one server, where PostgreSQL runs the statement |\n\
        | refused | `0A000` with a hint |\n\n\
        The examples, each of which a test compares with one PostgreSQL on four shards, read these tables:\n\n```sql\n"
        .to_owned();
    TABLES.iter().for_each(|sql| page += &format!("{};\n", sql.split_whitespace().collect::<Vec<_>>().join(" ")));
    page += "-- in the admin database\n";
    PLACES.iter().for_each(|sql| page += &format!("{sql};\n"));
    page + "```\n\n`setting` stays local. Values may be parameters wherever a literal stands.\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_how_each_statement_runs_and_each_is_answered_as_by_one_postgresql() {
    let (postgres, cluster) = tokio::join!(Postgres::start(), Cluster::start(shards(4)));
    for place in PLACES {
        cluster.admin(place).await;
    }
    let (mut oracle, mut routed) =
        (Raw::log_in(postgres.server().port(), "postgres", "postgres", DATABASE).await, cluster.raw().await);
    let writes: Vec<String> = TABLES.iter().map(|sql| (*sql).to_owned()).chain(rows()).collect();
    tokio::join!(set_up(&mut oracle, &writes), set_up(&mut routed, &writes));
    let countries = "INSERT INTO country VALUES ('de', 'Deutschland'), ('fr', 'France'), ('no', 'Norge')";
    set_up(&mut oracle, &[countries.to_owned()]).await;
    cluster.on_every_shard(countries).await;

    let (mut page, mut faults) = (head(), Vec::new());
    for section in SECTIONS {
        write!(page, "\n## {}\n\n", section.title).expect("a text grows");
        if !section.text.is_empty() {
            write!(page, "{}\n\n", section.text).expect("a text grows");
        }
        page += "| statement | way |\n|---|---|\n";
        for sql in section.statements {
            let way = way(&mut routed, sql, &[]).await;
            writeln!(page, "| `{}` | {way} |", sql.replace('|', "\\|")).expect("a text grows");
            if !is_write(section) {
                faults.extend(fault(&mut oracle, &mut routed, sql, way).await);
            }
            faults.extend((way == Way::Failed).then(|| format!("{sql} has no way")));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n\n{}", faults.len(), faults.join("\n\n"));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    if std::env::var_os("PGRING_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (found, printed)) in found.lines().zip(page.lines()).enumerate() {
        assert_eq!(found, printed, "docs/sql.md:{}: PGRING_UPDATE_DOCS=1 rewrites it", number + 1);
    }
    assert!(found == page, "docs/sql.md differs from what was seen: PGRING_UPDATE_DOCS=1 rewrites it");
}
