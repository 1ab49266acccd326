//! Random orders of messages, from a seed: what no one thought of.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{Step, bind, close, describe, execute, flush, parse, play, query, sync};

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

async fn log_in(port: u16) -> Raw {
    Raw::log_in(port, "postgres", "postgres", DATABASE).await
}

/// Shows a message so that a failing script can be written down.
fn shown(message: &[u8]) -> String {
    format!("{} {}", char::from(message[0]), message[5..].escape_ascii())
}

#[tokio::test]
async fn random_orders_of_messages_are_answered_alike() {
    prepare().await;
    let rounds: u64 = std::env::var("ABUSE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    let mut differing = Vec::new();
    let (mut oracle, mut router) = (log_in(ORACLE.port()).await, log_in(CLUSTER.router().port()).await);
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let messages: Vec<Vec<u8>> = (0..3 + dice.throw(10)).map(|_| one(&mut dice)).collect();
        let ends = [sync(), query("ROLLBACK"), query("DISCARD ALL"), query("SELECT 7 AS the_end")].concat();
        let script = [Step::Send([messages.concat(), ends].concat()), Step::Until(b'T', 1)];
        let (expected, answered) = (all(&mut oracle, &script).await, all(&mut router, &script).await);
        if expected != answered {
            let script: Vec<String> = messages.iter().map(|message| shown(message)).collect();
            differing.push(difference(&format!("seed {seed}: {}", script.join(" | ")), &expected, &answered));
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
