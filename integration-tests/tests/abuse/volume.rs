//! Large messages and long pipelines.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{Step, bind, bind_as, execute, parse, query, sync};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{CLUSTER, prepare, same, sent, steps};

#[tokio::test]
async fn large_messages_pass() {
    let megabyte = "x".repeat(1 << 20);
    let parameter = vec![b'y'; 64 << 20];
    same(vec![
        sent("a query of 1 MB", &[query(&format!("SELECT length('{megabyte}')"))]),
        sent("a comment of 1 MB", &[query(&format!("/*{megabyte}*/ SELECT 1"))]),
        sent(
            "a statement of 1 MB",
            &[parse("", &format!("SELECT length('{megabyte}')"), &[]), bind("", "", &[]), execute("", 0), sync()],
        ),
        sent(
            "a parameter of 64 MB",
            &[
                parse("", "SELECT length($1::text)", &[]),
                bind_as("", "", &[], &[Some(&parameter)], &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent("a row of 8 MB", &[query("SELECT repeat('z', 8000000)")]),
        steps("many rows", vec![Step::Send(query("SELECT generate_series(1, 20000)")), Step::Until(b'Z', 1)]),
    ])
    .await;
}

/// Sends everything while what comes is counted; returns the number of ReadyForQuery.
async fn pipelined(messages: Vec<u8>, count: usize) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", CLUSTER.router().port())).await.unwrap();
    let start = pgring_integration_tests::script::startup(3, 0, &[("user", "postgres"), ("database", DATABASE)]);
    stream.write_all(&start).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let writing = tokio::spawn(async move {
        write.write_all(&messages).await.unwrap();
        write
    });
    let (mut buffer, mut ready) = (bytes::BytesMut::new(), 0);
    while ready < count + 1 {
        assert!(read.read_buf(&mut buffer).await.unwrap() > 0, "closed after {ready} answers");
        while let Some(length) = buffer.get(1..5) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if buffer.len() <= length {
                break;
            }
            let frame = buffer.split_to(length + 1);
            assert_ne!(frame[0], b'E', "{}", frame.escape_ascii());
            ready += usize::from(frame[0] == b'Z');
        }
    }
    drop(writing.await.unwrap());
    ready - 1
}

#[tokio::test]
async fn a_hundred_thousand_queries_in_one_stream_are_all_answered() {
    prepare().await;
    assert_eq!(pipelined(query("SELECT 1").repeat(100_000), 100_000).await, 100_000);
    let named = [parse("q", "SELECT v FROM sharded WHERE id = $1", &[]), sync()].concat();
    let one = [bind("", "q", &["3"]), execute("", 0), sync()].concat();
    assert_eq!(pipelined([named, one.repeat(20_000)].concat(), 20_001).await, 20_001);
    let mut raw = Raw::log_in(CLUSTER.router().port(), "postgres", "postgres", DATABASE).await;
    assert_eq!(raw.query("SELECT 1").await.len(), 4);
}
