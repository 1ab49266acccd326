//! Random orders of messages, from a seed: what no one thought of.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{
    Step, bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, message, parse, play, query, sync,
};

use super::{CLUSTER, ORACLE, difference, prepare};

/// A small generator whose every run is the same (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((value ^ (value >> 31)) % below as u64).unwrap()
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.throw(choices.len())]
    }
}

const NAMES: &[&str] = &["", "a", "b"];
const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT $1::int",
    "SELECT generate_series(1, 4)",
    "SELECT 1/0",
    "",
    "SELECT v FROM plain WHERE id = $1",
    "SELECT v FROM sharded WHERE id = $1",
    "INSERT INTO sharded (id, v) VALUES (1, 'again')",
    "UPDATE plain SET v = v WHERE id = $1",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "SHOW work_mem",
];
const QUERIES: &[&str] =
    &["SELECT 5", "BEGIN", "COMMIT", "ROLLBACK", "SELECT 1/0", "SELEC", "", "SELECT v FROM sharded WHERE id = 2"];

fn one(dice: &mut Dice) -> Vec<u8> {
    let (name, other) = (dice.of(NAMES), dice.of(NAMES));
    match dice.throw(20) {
        0..5 => parse(name, dice.of(TEXTS), &[]),
        5..9 => {
            let values: &[&str] = if dice.throw(3) == 0 { &["3"] } else { &[] };
            bind(name, other, values)
        }
        9..13 => execute(name, [0, 0, 1, 2][dice.throw(4)]),
        13 => describe(b'S', name),
        14 => describe(b'P', name),
        15 => close(b"SP"[dice.throw(2)], name),
        16 => flush(),
        17 => query(dice.of(QUERIES)),
        _ => sync(),
    }
}

const WIDE_NAMES: &[&str] = &["", "", "a", "b", "c"];
/// The row 2 of the sharded table lies on the default shard, so that all of them may be in one transaction.
const WIDE_TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT $1::int",
    "SELECT generate_series(1, 4)",
    "SELECT 1/0",
    "SELEC",
    "",
    ";",
    "SELECT 1; SELECT 2",
    "SELECT v FROM mixed WHERE id = $1",
    "SELECT v FROM sharded WHERE id = $1",
    "SELECT v FROM sharded WHERE id = 2",
    "INSERT INTO mixed VALUES (7001, 'x') RETURNING id",
    "INSERT INTO sharded (id, v) VALUES (2, 'again')",
    "UPDATE mixed SET v = v WHERE id = $1",
    "UPDATE sharded SET v = v WHERE id = 2",
    "BEGIN",
    "START TRANSACTION READ ONLY",
    "COMMIT",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE a",
    "SHOW work_mem",
    "SET work_mem = '5MB'",
    "SET LOCAL work_mem = '6MB'",
    "RESET work_mem",
    "DECLARE a CURSOR FOR SELECT generate_series(1, 5)",
    "FETCH 2 FROM a",
    "CLOSE a",
    "PREPARE a AS SELECT 4",
    "EXECUTE a",
    "DEALLOCATE a",
    "LOCK TABLE mixed",
    "COPY mixed TO STDOUT",
    "COPY mixed FROM STDIN",
    "VACUUM mixed",
    "DISCARD ALL",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "NOTIFY chan",
    "DO 'BEGIN RAISE NOTICE ''x''; END'",
    "EXPLAIN (COSTS OFF) SELECT 1",
];
const WIDE_QUERIES: &[&str] = &[
    "SELECT 5",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SELECT 1/0",
    "SELEC",
    "",
    ";;",
    "SELECT v FROM sharded WHERE id = 2",
    "SELECT 1; SELECT 2",
    "SELECT 1; BEGIN; SELECT 2",
    "SELECT 1; COMMIT; SELECT 1/0",
    "BEGIN; SELECT 1; COMMIT",
    "INSERT INTO mixed VALUES (7001, 'x'); ROLLBACK; SELECT 1",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "DECLARE b CURSOR FOR SELECT generate_series(1, 5)",
    "FETCH 1 FROM b",
    "FETCH 2 FROM a",
    "CLOSE ALL",
    "EXECUTE a",
    "EXECUTE b (1)",
    "PREPARE b (int) AS SELECT $1",
    "DEALLOCATE ALL",
    "COPY mixed FROM STDIN",
    "COPY mixed TO STDOUT",
    "SET work_mem = '7MB'; SHOW work_mem",
];

fn one_of_all(dice: &mut Dice) -> Vec<u8> {
    let (name, other) = (dice.of(WIDE_NAMES), dice.of(WIDE_NAMES));
    if dice.throw(2) == 0 {
        let text = dice.of(WIDE_TEXTS);
        let values: &[&str] = if text.contains("$1") { &["2"] } else { &[] };
        let end = match dice.throw(3) {
            0 => sync(),
            1 => query(dice.of(WIDE_QUERIES)),
            _ => Vec::new(),
        };
        return [parse("", text, &[]), bind("", "", values), execute("", 0), end].concat();
    }
    match dice.throw(29) {
        0..6 => parse(name, dice.of(WIDE_TEXTS), &[]),
        6..12 => {
            let values: &[&str] = if dice.throw(3) == 0 { &["2"] } else { &[] };
            bind(name, other, values)
        }
        12..18 => execute(name, [0, 0, 0, 1, 2][dice.throw(5)]),
        18 => describe(b'S', name),
        19 => describe(b'P', name),
        20 => close(b"SP"[dice.throw(2)], name),
        21 => flush(),
        22..24 => query(dice.of(WIDE_QUERIES)),
        24 => match dice.throw(6) {
            0 => copy_data(b"7002\tx\n"),
            1 => copy_done(),
            2 => copy_fail("no"),
            3 => message(b'F', &[0; 10]),
            4 => message(b'D', b"Xa\0"),
            _ => message(b'S', b"x"),
        },
        _ => sync(),
    }
}

async fn log_in(port: u16) -> Raw {
    Raw::log_in(port, "postgres", "postgres", DATABASE).await
}

/// Shows a message so that a failing script can be written down.
fn shown(messages: &[u8]) -> String {
    let mut shown = Vec::new();
    let mut rest = messages;
    while let [kind, a, b, c, d, ..] = rest {
        let end = 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        shown.push(format!("{} {}", char::from(*kind), rest[5..end].escape_ascii()));
        rest = &rest[end..];
    }
    shown.join(" | ")
}

#[tokio::test]
async fn random_orders_of_messages_are_answered_alike() {
    are_answered_alike(one, 10, 300, &[]).await;
}

#[tokio::test]
async fn random_orders_of_all_kinds_of_statements_are_answered_alike() {
    are_answered_alike(one_of_all, 14, 300, &clean()).await;
}

/// Takes away the rows that scripts may have left.
fn clean() -> Vec<u8> {
    query("DELETE FROM mixed WHERE id IN (7001, 7002)")
}

async fn are_answered_alike(one: fn(&mut Dice) -> Vec<u8>, most: usize, rounds: u64, clean: &[u8]) {
    prepare().await;
    let rounds: u64 = std::env::var("ABUSE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(rounds);
    let mut differing = Vec::new();
    let (mut oracle, mut router) = (log_in(ORACLE.port()).await, log_in(CLUSTER.router().port()).await);
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let messages: Vec<Vec<u8>> = (0..3 + dice.throw(most)).map(|_| one(&mut dice)).collect();
        let ends =
            [sync(), query("ROLLBACK"), query("DISCARD ALL"), clean.to_vec(), query("SELECT 7 AS the_end")].concat();
        let script = [Step::Send([messages.concat(), ends].concat()), Step::Until(b'T', 1)];
        let (expected, answered) = (all(&mut oracle, &script).await, all(&mut router, &script).await);
        if expected != answered {
            let script: Vec<String> = messages.iter().map(|message| shown(message)).collect();
            differing.push(difference(&format!("seed {seed}: {}", script.join(" | ")), &expected, &answered));
        }
        let is_over = expected.iter().any(|answer| answer == "closed" || answer == "silence");
        if expected != answered || is_over {
            (oracle, router) = (log_in(ORACLE.port()).await, log_in(CLUSTER.router().port()).await);
        }
    }
    assert!(differing.is_empty(), "{} of {rounds} differ\n{}", differing.len(), differing.join("\n"));
}

async fn all(raw: &mut Raw, script: &[Step]) -> Vec<String> {
    let mut answers = play(raw, script).await;
    while !answers.iter().any(|answer| answer.starts_with("T the_end") || answer == "closed" || answer == "silence") {
        answers.extend(play(raw, &[Step::Until(b'T', 1)]).await);
    }
    answers.extend(play(raw, &[Step::Until(b'Z', 1)]).await);
    answers.into_iter().map(without_name).collect()
}

/// The server's text of a Bind with a wrong number of parameters names the statement as it is called there.
fn without_name(answer: String) -> String {
    let parts = answer.split_once("prepared statement \"").and_then(|(before, behind)| {
        let (_, after) = behind.split_once("\" requires")?;
        Some(format!("{before}prepared statement \"…\" requires{after}"))
    });
    parts.unwrap_or(answer)
}
