//! Servers that are not quite PostgreSQL: errors without SQLSTATE, odd words while a connection begins.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::router::Router;
use pgring_integration_tests::script::{brief, cstr, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::attempt;

fn fields(kind: u8, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body: Vec<u8> = fields.iter().flat_map(|(letter, value)| [&[*letter][..], &cstr(value)].concat()).collect();
    body.push(0);
    message(kind, &body)
}

/// Reads one start-up packet or message.
async fn read(stream: &mut TcpStream, has_kind: bool) -> Option<(u8, Vec<u8>)> {
    let kind = if has_kind { stream.read_u8().await.ok()? } else { 0 };
    let mut body = vec![0; stream.read_u32().await.ok()? as usize - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

/// A server whose database is named after what it does.
async fn serve(mut stream: TcpStream) -> Option<()> {
    let (_, packet) = read(&mut stream, false).await?;
    let has = |text: &str| packet.windows(text.len()).any(|window| window == text.as_bytes());
    let bare = fields(b'E', &[(b'S', "FATAL"), (b'M', "no code for you")]);
    if has("refuses_early") {
        return stream.write_all(&bare).await.ok();
    }
    let ok = message(b'R', &0_u32.to_be_bytes());
    if has("refuses_late") {
        return stream.write_all(&[ok, bare].concat()).await.ok();
    }
    let empty = fields(b'E', &[]);
    if has("refuses_dumbly") {
        return stream.write_all(&empty).await.ok();
    }
    let setting = |name: &str, value: &str| message(b'S', &[cstr(name), cstr(value)].concat());
    let mut hello = ok;
    let notices = if has("chatty") { 200 } else { 1 };
    for nth in 0..notices {
        hello.extend(fields(b'N', &[(b'S', "NOTICE"), (b'M', &format!("hello {nth}")), (b'?', "odd")]));
    }
    hello.extend([setting("client_encoding", "UTF8"), setting("server_version", "15.0")].concat());
    hello.extend([message(b'K', &[0, 0, 0, 7, 0, 0, 0, 8]), message(b'Z', b"I")].concat());
    stream.write_all(&hello).await.ok()?;
    loop {
        let (kind, body) = read(&mut stream, true).await?;
        let ready = message(b'Z', b"I");
        let answer = match kind {
            b'Q' if body.starts_with(b"SELECT") => {
                [fields(b'E', &[(b'S', "ERROR"), (b'M', "an error without a code")]), ready].concat()
            }
            b'Q' if body.starts_with(b"TABLE") => [empty.clone(), ready].concat(),
            b'Q' => [message(b'C', &cstr("SET")), ready].concat(),
            b'S' => [fields(b'E', &[(b'M', "only words")]), ready].concat(),
            b'X' => return None,
            _ => continue,
        };
        stream.write_all(&answer).await.ok()?;
    }
}

async fn router_before_a_strange_server() -> Router {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    tokio::task::spawn_blocking(move || {
        Router::start(&[], |port, http| {
            format!(
                "[general]\nlisten = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:{http}\"\n\
                 [server_tls]\nmode = \"disable\"\n[auth]\nmethods = [\"trust\"]\n\
                 [[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1 port={server} user=x\"\n"
            )
        })
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_without_sqlstate_gets_one_and_breaks_nothing() {
    let router = router_before_a_strange_server().await;
    for _ in 0..2 {
        for database in ["refuses_early", "refuses_late"] {
            let answer = attempt("ann", "").to(database).make(router.port()).await;
            assert_eq!(answer, ["R 0", "E FATAL FATAL 08006 no code for you (-)", "closed"], "{database}");
        }
        let answer = attempt("ann", "").to("refuses_dumbly").make(router.port()).await;
        assert_eq!(answer, ["R 0", "E FATAL FATAL 08006 - (-)", "closed"]);
    }
    let mut raw = Raw::connect(router.port()).await;
    raw.start_up(&[("user", "ann"), ("database", DATABASE)]).await;
    raw.authenticate("ann", "").await.unwrap();
    for _ in 0..3 {
        let answers = [
            ("an error without a code", raw.query("SELECT 1").await),
            ("", raw.query("TABLE t").await),
            ("only words", raw.extended("SELECT 1", &[], false).await),
        ];
        for (words, answer) in answers {
            let answer: Vec<String> = answer.iter().map(brief).collect();
            assert!(answer[0].starts_with('E') && answer[0].contains("XX000"), "{answer:?}");
            assert!(answer[0].contains(words) && answer[1..] == ["Z I"], "{answer:?}");
        }
    }
    assert!(!router.log().contains("panicked"), "{}", router.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_says_at_the_beginning_is_told_within_bounds() {
    let router = router_before_a_strange_server().await;
    for (database, most) in [("quiet", 1), ("chatty", 8)] {
        for _ in 0..2 {
            let answer = attempt("ann", "").to(database).make(router.port()).await;
            let notices = answer.iter().filter(|line| line.starts_with("N NOTICE - - hello ")).count();
            assert_eq!(notices, most, "{database}: {answer:?}");
        }
    }
}
