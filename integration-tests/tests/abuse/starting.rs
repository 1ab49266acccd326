//! Before there is a session: start-up packets, requests for encryption, passwords.

use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{Step, cstr, message, packet, play, query, startup};

use pgring_integration_tests::client::Raw;

use super::{CLUSTER, Case, GUEST, prepare, same};

fn raw(name: &str, steps: Vec<Step>) -> Case {
    Case { name: name.to_owned(), steps, before_log_in: true }
}

/// Bytes, and what comes until the connection is closed.
fn refused(name: &str, bytes: Vec<u8>) -> Case {
    raw(name, vec![Step::Send(bytes), Step::End])
}

/// Bytes, an empty end from the client's side, and what comes until the connection is closed.
fn ended(name: &str, bytes: Vec<u8>) -> Case {
    raw(name, vec![Step::Send(bytes), Step::Shut, Step::End])
}

const ME: &[(&str, &str)] = &[("user", "postgres"), ("database", DATABASE)];

fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [ME, more].concat()
}

/// Starts up, is let in, asks once and leaves.
fn let_in(name: &str, start: Vec<u8>, sql: &str) -> Case {
    let ask = [query(sql), message(b'X', &[])].concat();
    raw(name, vec![Step::Send(start), Step::Until(b'Z', 1), Step::Send(ask), Step::End])
}

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

fn request(code: u32) -> Vec<u8> {
    packet(&code.to_be_bytes())
}

#[tokio::test]
async fn packets_that_are_none_end_the_connection() {
    let cases = vec![
        refused("TLS hello on the plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        refused("HTTP on the plain port", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        refused("10,001 bytes announced", 10_005_u32.to_be_bytes().to_vec()),
        refused("length 2^31", vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        refused("negative length", vec![0xff; 8]),
        refused("length 0", vec![0; 8]),
        refused("length 4", vec![0, 0, 0, 4, 0, 3, 0, 0]),
        refused("length 7", vec![0, 0, 0, 7, 0, 3, 0]),
        ended("nothing at all", vec![]),
        ended("one byte", vec![0]),
        ended("half a length", vec![0, 0]),
        ended("a length alone", vec![0, 0, 0, 20]),
        ended("half a packet", vec![0, 0, 0, 20, 0, 3, 0, 0, b'u', b's']),
        refused("a cancel request that is too short", packet(&[&80_877_102_u32.to_be_bytes()[..], &[0; 4]].concat())),
        refused(
            "a cancel request for nobody",
            packet(&[&80_877_102_u32.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 2]].concat()),
        ),
    ];
    same(cases).await;
}

/// The text names the versions that a server speaks, so it is its own.
#[tokio::test]
async fn versions_that_are_not_spoken_are_refused_and_the_connection_is_closed() {
    prepare().await;
    for (major, minor) in [(2, 0), (1, 0), (4, 0), (0, 0), (255, 255), (1234, 1)] {
        let mut raw = Raw::connect(CLUSTER.router().port()).await;
        let answer = play(&mut raw, &[Step::Send(startup(major, minor, ME)), Step::End]).await;
        let begin =
            format!("E FATAL FATAL 0A000 unsupported frontend protocol {major}.{minor}: server supports 3.0 to");
        assert!(answer[0].starts_with(&begin), "{answer:?}");
        assert_eq!(answer[1..], ["closed"]);
    }
}

#[tokio::test]
async fn newer_minor_versions_and_unknown_options_are_negotiated() {
    prepare().await;
    let start = |minor: u16, more: &[(&'static str, &'static str)]| startup(3, minor, &with(more));
    for (name, packet, negotiated, key) in [
        ("3.0", start(0, &[]), None, 8),
        ("3.1", start(1, &[]), Some("v \\x00\\x03\\x00\\x00\\x00\\x00\\x00\\x00"), 8),
        ("3.2", start(2, &[]), None, 36),
        ("3.99", start(99, &[]), Some("v \\x00\\x03\\x00\\x02\\x00\\x00\\x00\\x00"), 36),
        (
            "an option",
            start(0, &[("_pq_.command_tags", "1")]),
            Some("v \\x00\\x03\\x00\\x00\\x00\\x00\\x00\\x01_pq_.command_tags\\x00"),
            8,
        ),
    ] {
        let mut raw = Raw::connect(CLUSTER.router().port()).await;
        let answer = play(&mut raw, &[Step::Send(packet), Step::Until(b'Z', 1)]).await;
        let first = answer.first().filter(|first| first.starts_with('v')).map(String::as_str);
        assert_eq!(first, negotiated, "{name}: {answer:?}");
        assert!(answer.contains(&format!("K of {key} bytes")), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn start_up_packets_that_say_too_little_or_the_wrong_thing_are_refused_alike() {
    let body = |parameters: &[&str]| {
        let mut content = vec![0, 3, 0, 0];
        parameters.iter().for_each(|text| content.extend(cstr(text)));
        content
    };
    same(vec![
        refused("no user", startup(3, 0, &[("database", DATABASE)])),
        refused("no parameter at all", startup(3, 0, &[])),
        refused("an empty user", startup(3, 0, &[("user", ""), ("database", DATABASE)])),
        refused("no closing NUL", packet(&body(&["user", "postgres", "database", DATABASE]))),
        refused("a name without value", packet(&[&body(&["user", "postgres", "database"])[..], &[0]].concat())),
        refused("bytes behind the closing NUL", packet(&[&body(&["user", "postgres"])[..], b"\0x"].concat())),
        refused("a value without NUL", packet(&[&body(&["user"])[..], b"postgres"].concat())),
        refused("only a version", packet(&[0, 3, 0, 0])),
        refused("replication without database", startup(3, 0, &with(&[("replication", "maybe")]))),
        refused("an unknown database", startup(3, 0, &[("user", "postgres"), ("database", "no_such_database")])),
        refused(
            "an unknown database of the user's name",
            startup(3, 0, &[("user", "postgres"), ("database", "Postgres")]),
        ),
        refused("an unknown setting", startup(3, 0, &with(&[("no_such_setting", "1")]))),
        refused("a setting out of range", startup(3, 0, &with(&[("work_mem", "-5")]))),
        refused("a setting of the wrong kind", startup(3, 0, &with(&[("DateStyle", "moon")]))),
        refused("an unknown encoding", startup(3, 0, &with(&[("client_encoding", "klingon")]))),
        refused("an unknown switch", startup(3, 0, &with(&[("options", "-Z")]))),
        refused("options that name no setting", startup(3, 0, &with(&[("options", "-c nothing")]))),
        refused("options with an unknown setting", startup(3, 0, &with(&[("options", "-c no_such=1")]))),
    ])
    .await;
}

#[tokio::test]
async fn sessions_start_alike() {
    let by_byte = startup(3, 0, ME).into_iter().map(|byte| Step::Send(vec![byte]));
    let by_byte: Vec<Step> = by_byte.chain([Step::Until(b'Z', 1), Step::Send(message(b'X', &[])), Step::End]).collect();
    same(vec![
        let_in("plainly", startup(3, 0, ME), "SELECT current_user, current_database()"),
        raw("byte by byte", by_byte),
        let_in(
            "a parameter given twice: the last counts",
            startup(3, 0, &with(&[("application_name", "one"), ("application_name", "two")])),
            "SHOW application_name",
        ),
        let_in(
            "the user given twice: the last counts",
            startup(3, 0, &[("user", "nobody_known"), ("user", "postgres"), ("database", DATABASE)]),
            "SELECT current_user",
        ),
        let_in(
            "a database given twice: the last counts",
            startup(3, 0, &[("user", "postgres"), ("database", "none_such"), ("database", DATABASE)]),
            "SELECT current_database()",
        ),
        let_in("a replication that is off", startup(3, 0, &with(&[("replication", "off")])), "SELECT 1"),
        let_in("a replication that is 0", startup(3, 0, &with(&[("replication", "0")])), "SELECT 1"),
        let_in("an empty search_path", startup(3, 0, &with(&[("search_path", "")])), "SHOW search_path"),
        let_in("a time-out", startup(3, 0, &with(&[("statement_timeout", "12345")])), "SHOW statement_timeout"),
        let_in("a setting of its own", startup(3, 0, &with(&[("my.setting", "x y")])), "SHOW my.setting"),
        let_in("an encoding", startup(3, 0, &with(&[("client_encoding", "'utf-8'")])), "SHOW client_encoding"),
        let_in("another encoding", startup(3, 0, &with(&[("client_encoding", "latin1")])), "SHOW client_encoding"),
        let_in("a style of dates", startup(3, 0, &with(&[("DateStyle", "german")])), "SELECT date '2020-02-01'"),
        let_in("a time zone", startup(3, 0, &with(&[("TimeZone", "Asia/Tokyo")])), "SHOW timezone"),
        let_in(
            "options",
            startup(3, 0, &with(&[("options", "-c geqo=off --work-mem=5MB -c my.text=a\\ b")])),
            "SELECT current_setting('geqo'), current_setting('work_mem'), current_setting('my.text')",
        ),
        let_in(
            "options and the same as a parameter",
            startup(3, 0, &with(&[("options", "-c work_mem=5MB"), ("work_mem", "6MB")])),
            "SHOW work_mem",
        ),
        let_in(
            "9,000 bytes",
            startup(3, 0, &with(&[("my.long", LONG.leak_str())])),
            "SELECT length(current_setting('my.long'))",
        ),
    ])
    .await;
}

/// A value that still fits a start-up packet.
struct Long(usize);
const LONG: Long = Long(9000);

impl Long {
    fn leak_str(&self) -> &'static str {
        Box::leak("x".repeat(self.0).into_boxed_str())
    }
}

#[tokio::test]
async fn requests_for_encryption_are_answered_once_and_nothing_may_stand_behind_them() {
    let me = || startup(3, 0, ME);
    let then = |request: Vec<u8>| {
        vec![
            Step::Send(request),
            Step::Byte,
            Step::Send(me()),
            Step::Until(b'Z', 1),
            Step::Send(message(b'X', &[])),
            Step::End,
        ]
    };
    let twice = |one: u32, other: u32| vec![Step::Send(request(one)), Step::Byte, Step::Send(request(other))];
    let mut both = twice(SSL, GSS);
    both.extend([Step::Byte, Step::Send(me()), Step::Until(b'Z', 1), Step::Send(message(b'X', &[])), Step::End]);
    same(vec![
        raw("SSL, then in clear", then(request(SSL))),
        raw("SSL with a packet behind it", vec![Step::Send([request(SSL), me()].concat()), Step::Byte, Step::End]),
        raw("SSL with a byte behind it", vec![Step::Send([request(SSL), vec![0]].concat()), Step::Byte, Step::End]),
        raw("SSL, and the client leaves", vec![Step::Send(request(SSL)), Step::Byte, Step::Shut, Step::End]),
        raw(
            "SSL byte by byte",
            [
                request(SSL).into_iter().map(|byte| Step::Send(vec![byte])).collect::<Vec<_>>(),
                vec![Step::Byte, Step::Send(me()), Step::Until(b'Z', 1), Step::Send(message(b'X', &[])), Step::End],
            ]
            .concat(),
        ),
    ])
    .await;
    if no_gss().await {
        same(vec![
            raw("GSS, then in clear", then(request(GSS))),
            raw("SSL and GSS", both),
            raw("GSS with a packet behind it", vec![Step::Send([request(GSS), me()].concat()), Step::Byte, Step::End]),
        ])
        .await;
    }
}

/// PostgreSQL takes the second request for a version of the protocol and names those that it speaks.
#[tokio::test]
async fn encryption_asked_for_twice_ends_the_connection() {
    prepare().await;
    for code in [SSL, GSS] {
        let mut raw = Raw::connect(CLUSTER.router().port()).await;
        let twice = [Step::Send(request(code)), Step::Byte, Step::Send(request(code)), Step::End];
        let answer = play(&mut raw, &twice).await;
        assert!(answer[1].starts_with("E FATAL FATAL 08P01 "), "{answer:?}");
        assert_eq!((answer[0].as_str(), answer[2].as_str()), ("byte Some('N')", "closed"));
    }
}

/// A PostgreSQL built with GSSAPI says G before it knows of any key; it is no measure then.
async fn no_gss() -> bool {
    super::prepare().await;
    let mut raw = pgring_integration_tests::client::Raw::connect(super::ORACLE.port()).await;
    raw.send(&request(GSS)).await;
    raw.read_byte().await == Some(b'N')
}

fn guest(more: &[Step]) -> Vec<Step> {
    let start = startup(3, 0, &[("user", GUEST.0), ("database", DATABASE)]);
    [&[Step::Send(start), Step::Until(b'R', 1)], more, &[Step::End]].concat()
}

fn password(body: &[u8]) -> Step {
    Step::Send(message(b'p', body))
}

/// A SASLInitialResponse.
fn initial(mechanism: &str, data: &str) -> Step {
    let length = i32::try_from(data.len()).unwrap().to_be_bytes();
    password(&[&cstr(mechanism)[..], &length, data.as_bytes()].concat())
}

#[tokio::test]
async fn the_password_is_asked_for_and_anything_else_ends_the_connection() {
    let first = "n,,n=,r=abcdefghijkl";
    let mut cases = vec![
        raw("a Query instead of a password", guest(&[Step::Send(query("SELECT 1"))])),
        raw("Terminate instead of a password", guest(&[Step::Send(message(b'X', &[]))])),
        raw("the client leaves", guest(&[Step::Shut])),
        raw("an unknown message", guest(&[Step::Send(message(b'?', b"x"))])),
        raw("a length of 0", guest(&[Step::Send(vec![b'p', 0, 0, 0, 0])])),
        raw("a length of 100 MB", guest(&[Step::Send(vec![b'p', 6, 0, 0, 0])])),
        raw("a negative length", guest(&[Step::Send(vec![b'p', 0xff, 0xff, 0xff, 0xff])])),
        raw("an empty body", guest(&[password(&[])])),
        raw("a password in clear", guest(&[password(&cstr("welcome"))])),
        raw("zeros", guest(&[password(&[0; 20])])),
        raw("an unknown mechanism", guest(&[initial("SCRAM-SHA-1", first)])),
        raw("no mechanism", guest(&[initial("", first)])),
        raw(
            "binding without TLS",
            guest(&[initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abcdefghijkl")]),
        ),
        raw("the wrong case of a mechanism", guest(&[initial("scram-sha-256", first)])),
        raw("a first message that is empty", guest(&[initial("SCRAM-SHA-256", "")])),
        raw(
            "a length that is too long",
            guest(&[password(&[&cstr("SCRAM-SHA-256")[..], &[0, 0, 0, 90], b"n,,"].concat())]),
        ),
        raw(
            "bytes behind the first message",
            guest(&[password(&[&cstr("SCRAM-SHA-256")[..], &[0, 0, 0, 1], b"n,,"].concat())]),
        ),
        raw("a NUL in the first message", guest(&[initial("SCRAM-SHA-256", "n,,n=,r=ab\0cd")])),
    ];
    for (nth, text) in [
        "x",
        "n",
        "n,",
        "n,,",
        "n,,n=",
        "n,,r=abc",
        "n,,n=,r=a b",
        "n,,n=,r=\u{e4}",
        "n,,n=,x=abc",
        "n,,m=ext,n=,r=abc",
        "n,a=other,n=,r=abc",
        "n,b,n=,r=abc",
        "z,,n=,r=abc",
        "p=tls-unique,,n=,r=abc",
        "p=,,n=,r=abc",
        "y,,n",
        "nx,,n=,r=abc",
    ]
    .iter()
    .enumerate()
    {
        cases.push(raw(&format!("garbage {nth}: {text:?}"), guest(&[initial("SCRAM-SHA-256", text)])));
    }
    // The challenge is another one each time: what is answered to it is what counts.
    same(cases).await;
}
