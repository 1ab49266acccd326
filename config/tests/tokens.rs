//! Tokens and keys: what this crate computes is what a PostgreSQL computes, on random values of each type.

mod common;

use pgring_config::{
    arcs::hash_expression,
    ids::ShardName,
    key::{KeyError, KeyType, KeyValue},
    ring::Ring,
    token,
    topology::Placement,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::HashMap;
use tokio_postgres::Client;

const VALUES: usize = 10_000;

const ODD_CHARACTERS: [char; 12] =
    ['é', 'ß', 'İ', '東', '\u{301}', '🐘', '\u{10ffff}', '\t', '\n', '\'', '\\', '\u{a0}'];

fn integers(random: &mut StdRng, bits: u32) -> Vec<String> {
    let (least, most) = (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
    let mut values: Vec<i128> = vec![least, least + 1, -1, 0, 1, most - 1, most];
    while values.len() < VALUES {
        // Of every magnitude, not only of the largest.
        let shift = random.random_range(64 - bits..64);
        values.push(i128::from(random.random::<i64>() >> shift));
    }
    let spell = |value: &i128| match value % 5 {
        0 => format!("  {value}\t"),
        1 => format!("+00{value}"),
        _ => value.to_string(),
    };
    values.iter().map(spell).collect()
}

fn texts(random: &mut StdRng) -> Vec<String> {
    (0..VALUES)
        .map(|at| {
            let length = at % 65;
            (0..length)
                .map(|_| match random.random_range(0..5) {
                    0 => ODD_CHARACTERS[random.random_range(0..ODD_CHARACTERS.len())],
                    1 => ' ',
                    _ => char::from(random.random_range(b'!'..=b'~')),
                })
                .collect()
        })
        .collect()
}

fn uuids(random: &mut StdRng) -> Vec<String> {
    (0..VALUES)
        .map(|at| {
            let uuid = uuid::Uuid::from_u128(random.random());
            match at % 5 {
                0 => uuid.simple().to_string(),
                1 => uuid.braced().to_string().to_uppercase(),
                2 => uuid
                    .simple()
                    .to_string()
                    .as_bytes()
                    .chunks(4)
                    .map(String::from_utf8_lossy)
                    .collect::<Vec<_>>()
                    .join("-"),
                _ => uuid.to_string(),
            }
        })
        .collect()
}

fn values(key_type: KeyType, random: &mut StdRng) -> Vec<String> {
    match key_type {
        KeyType::Int2 => integers(random, 16),
        KeyType::Int4 => integers(random, 32),
        KeyType::Int8 => integers(random, 64),
        KeyType::Text | KeyType::Varchar | KeyType::Bpchar => texts(random),
        KeyType::Uuid => uuids(random),
    }
}

/// The token and the canonical text that the server has for each spelling of a key.
async fn servers_answer(client: &Client, key_type: KeyType, spellings: &[String]) -> Vec<(i64, String)> {
    let hash = hash_expression(key_type.family(), "v.key");
    // char(n) keeps its blanks only with a length.
    let sql_type = if key_type == KeyType::Bpchar { "character(100)".to_owned() } else { key_type.to_string() };
    let sql = format!(
        "SELECT {hash}, v.key::text FROM unnest($1::text[]) WITH ORDINALITY AS s (spelling, n),
         LATERAL (SELECT s.spelling::{sql_type} AS key) AS v ORDER BY n"
    );
    let rows = client.query(&sql, &[&spellings]).await.expect("every spelling is a value");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn tokens_of_every_type_are_those_of_postgresql() {
    let server = common::server();
    let client = common::connect(&server.connection_string("app")).await;
    let mut random = StdRng::seed_from_u64(7);
    for key_type in
        [KeyType::Int2, KeyType::Int4, KeyType::Int8, KeyType::Text, KeyType::Varchar, KeyType::Bpchar, KeyType::Uuid]
    {
        // "+00-7" is no number.
        let spellings: Vec<String> =
            values(key_type, &mut random).into_iter().map(|spelling| spelling.replace("+00-", "-00")).collect();
        let answers = servers_answer(&client, key_type, &spellings).await;
        assert!(answers.len() >= VALUES);
        for (spelling, (token, canonical)) in spellings.iter().zip(answers) {
            let key = match key_type.parse_text(spelling) {
                Err(KeyError::Uncertain) if key_type == KeyType::Varchar && spelling.ends_with(' ') => {
                    KeyValue::Text(spelling.as_str().into())
                }
                read => read.unwrap_or_else(|error| panic!("{key_type} {spelling:?}: {error}")),
            };
            assert_eq!(key.token().0, token, "{key_type} {spelling:?}");
            assert_eq!(key.to_string(), canonical, "{key_type} {spelling:?}");
        }
    }
}

#[tokio::test]
async fn the_three_integer_types_share_their_tokens() {
    let server = common::server();
    let client = common::connect(&server.connection_string("app")).await;
    const SQL: &str = "SELECT v, hashint2extended(v, 0), hashint4extended(v, 0), hashint8extended(v, 0)
        FROM (SELECT n::int2 AS v FROM generate_series(-32768, 32767) AS n) AS all_of_them";
    for row in client.query(SQL, &[]).await.expect("the functions exist") {
        let token = token::of_integer(row.get::<_, i16>(0).into()).0;
        assert_eq!([row.get::<_, i64>(1), row.get(2), row.get(3)], [token; 3]);
    }
}

#[tokio::test]
async fn the_condition_of_an_arc_holds_for_its_rows_and_no_others() {
    let server = common::server();
    let client = common::connect(&server.connection_string("app")).await;
    let mut random = StdRng::seed_from_u64(3);
    // A few points each, so that there are few arcs, and one owner on both ends of the ring.
    let arcs = Ring::propose(&["a", "b", "c"].map(|name| (ShardName::from(name), 0.04)));
    assert!(arcs.len() > 4);
    let placement = Placement::Hash { arcs: arcs.clone(), pinned: HashMap::new() };
    for key_type in [KeyType::Int2, KeyType::Int4, KeyType::Int8, KeyType::Text, KeyType::Bpchar, KeyType::Uuid] {
        let length = if key_type == KeyType::Bpchar { "(100)" } else { "" };
        let make = format!("DROP TABLE IF EXISTS t; CREATE TABLE t (\"Key\" {key_type}{length})");
        client.batch_execute(&make).await.expect("made");
        let spellings: Vec<_> = values(key_type, &mut random).iter().map(|text| text.replace("+00-", "-00")).collect();
        let fill = format!("INSERT INTO t SELECT v::{key_type}{length} FROM unnest($1::text[]) AS v");
        client.execute(&fill, &[&spellings]).await.expect("filled");
        client.execute("INSERT INTO t VALUES (NULL)", &[]).await.expect("a key that no arc has");
        let mut seen = 0;
        for arc in &arcs {
            let condition = arc.condition(key_type.family(), "\"Key\"");
            let sql = format!("SELECT \"Key\"::text FROM t WHERE {condition}");
            for row in client.query(&sql, &[]).await.expect("the condition is SQL") {
                let key = KeyValue::from_canonical(key_type.family(), row.get(0)).expect("a key");
                assert_eq!(placement.arc_of(key.token()), Some(arc), "{key_type} {key}");
                seen += 1;
            }
        }
        assert_eq!(seen, spellings.len(), "{key_type}: every row but the NULL is in one arc");
    }
}

/// What PostgreSQL says to a spelling: its SQLSTATE, or the value as text.
async fn server_reads(client: &Client, key_type: KeyType, spelling: &str) -> Result<String, (String, String)> {
    let sql = format!("SELECT ($1::text::{key_type})::text");
    client.query_one(&sql, &[&spelling]).await.map(|row| row.get(0)).map_err(|error| {
        let reported = error.as_db_error().expect("the server reports it");
        (reported.code().code().to_owned(), reported.message().to_owned())
    })
}

#[tokio::test]
async fn what_is_no_key_gets_postgresqls_own_error() {
    let server = common::server();
    let client = common::connect(&server.connection_string("app")).await;
    let mut random = StdRng::seed_from_u64(11);
    let pieces = [
        "0",
        "7",
        "32768",
        "2147483648",
        "99999999999999999999",
        "-",
        "+",
        " ",
        "\t",
        ".",
        "e",
        "x",
        "{",
        "}",
        "a0ee",
        "",
    ];
    for key_type in [KeyType::Int2, KeyType::Int4, KeyType::Int8, KeyType::Uuid] {
        for _ in 0..1_000 {
            let spelling: String =
                (0..random.random_range(0..9)).map(|_| pieces[random.random_range(0..pieces.len())]).collect();
            let server = server_reads(&client, key_type, &spelling).await;
            match key_type.parse_text(&spelling) {
                Ok(key) => assert_eq!(Ok(key.to_string()), server, "{key_type} {spelling:?}"),
                Err(KeyError::Uncertain) => {}
                Err(error) => {
                    let ours = (error.sqlstate().unwrap_or_default().to_owned(), error.to_string());
                    assert_eq!(Err(ours), server, "{key_type} {spelling:?}");
                }
            }
        }
    }
}
