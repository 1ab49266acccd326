//! Messages of the session that break the protocol: which of them end it, and which cost only themselves.

use pgring_integration_tests::script::{
    Step, bind, bind_as, close, cstr, describe, execute, flush, message, parse, query, sync, terminate,
};

use super::{Case, cut, longer, same, sent, steps, with_length};

fn run() -> Vec<u8> {
    [parse("", "SELECT 1", &[]), bind("", "", &[]), execute("", 0), sync()].concat()
}

#[tokio::test]
async fn a_malformed_body_is_an_error_and_the_session_stays_in_step() {
    let whole: [(&str, Vec<u8>); 8] = [
        ("Query", query("SELECT 1")),
        ("Parse", parse("", "SELECT 1", &[])),
        ("Parse with types", parse("s", "SELECT $1", &[23])),
        ("Bind", bind("", "", &["a"])),
        ("Describe S", describe(b'S', "")),
        ("Describe P", describe(b'P', "p")),
        ("Execute", execute("", 0)),
        ("Close", close(b'S', "x")),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (name, message) in &whole {
        cases.push(sent(&format!("{name} cut short"), &[cut(message), run()]));
        cases.push(sent(&format!("{name} with a byte more"), &[longer(message), run()]));
        cases.push(sent(&format!("{name} empty"), &[super::message(message[0], &[]), run()]));
        cases.push(sent(&format!("{name} in a transaction"), &[query("BEGIN"), cut(message), run()]));
    }
    let before = || [parse("a", "SELECT $1::int, $2::int", &[]), sync()].concat();
    let bind_body = |body: &[u8]| message(b'B', &[&cstr("")[..], &cstr("a"), body].concat());
    cases.extend([
        sent("Sync with a body", &[message(b'S', b"x"), run()]),
        sent("Flush with a body", &[message(b'H', b"x"), run()]),
        sent("Query with a second statement behind the NUL", &[message(b'Q', b"SELECT 1\0SELECT 2\0"), run()]),
        sent("Describe of kind X", &[message(b'D', b"Xname\0"), run()]),
        sent("Close of kind X", &[message(b'C', b"Xname\0"), run()]),
        sent("Describe of kind NUL", &[message(b'D', b"\0\0"), run()]),
        sent("Describe without a name", &[message(b'D', b"S"), run()]),
        sent("Execute without a limit", &[message(b'E', b"\0"), run()]),
        sent("Execute with half a limit", &[message(b'E', b"\0\0\0"), run()]),
        sent("Parse without types", &[message(b'P', b"\0SELECT 1\0"), run()]),
        sent("Parse with fewer types than announced", &[message(b'P', b"\0SELECT 1\0\0\x05\0\0\0\x17"), run()]),
        sent("Parse with -1 types", &[message(b'P', b"\0SELECT 1\0\xff\xff"), run()]),
        sent(
            "Bind of a negative length",
            &[before(), bind_body(b"\0\0\0\x02\xff\xff\xff\xfe\xff\xff\xff\xff\0\0"), run()],
        ),
        sent(
            "Bind with a huge length",
            &[before(), bind_body(b"\0\0\0\x02\x7f\xff\xff\xff\xff\xff\xff\xff\0\0"), run()],
        ),
        sent(
            "Bind with 3 formats for 2",
            &[before(), bind_body(b"\0\x03\0\0\0\0\0\0\0\x02\0\0\0\x011\0\0\0\x012\0\0"), run()],
        ),
        sent("Bind with too few values", &[before(), bind("", "a", &["1"]), execute("", 0), sync(), run()]),
        sent("Bind with too many values", &[before(), bind("", "a", &["1", "2", "3"]), execute("", 0), sync(), run()]),
        sent(
            "Bind with format 2",
            &[before(), bind_as("", "a", &[2], &[Some(b"1"), Some(b"2")], &[]), execute("", 0), sync(), run()],
        ),
        sent(
            "Bind with result format 2",
            &[before(), bind_as("", "a", &[], &[Some(b"1"), Some(b"2")], &[2]), execute("", 0), sync(), run()],
        ),
        sent(
            "Bind with 3 result formats for 2",
            &[before(), bind_as("", "a", &[], &[Some(b"1"), Some(b"2")], &[0, 1, 0]), execute("", 0), sync(), run()],
        ),
        sent(
            "Bind with result formats for none",
            &[parse("u", "SET LOCAL geqo = on", &[]), bind_as("", "u", &[], &[], &[1]), execute("", 0), sync(), run()],
        ),
        sent("Bind of a wrong value", &[before(), bind("", "a", &["1", "x"]), execute("", 0), sync(), run()]),
        sent(
            "Bind of a binary value that is too short",
            &[before(), bind_as("", "a", &[1], &[Some(b"1"), Some(b"2")], &[]), execute("", 0), sync(), run()],
        ),
        sent(
            "Bind of a binary value that is too long",
            &[
                before(),
                bind_as("", "a", &[1], &[Some(b"12345678"), Some(b"1234")], &[]),
                execute("", 0),
                sync(),
                run(),
            ],
        ),
        sent(
            "Bind of text with a NUL",
            &[
                parse("t", "SELECT $1::text", &[]),
                bind_as("", "t", &[], &[Some(b"a\0b")], &[]),
                execute("", 0),
                sync(),
                run(),
            ],
        ),
        sent(
            "Bind of text that is not UTF-8",
            &[
                parse("t", "SELECT $1::text", &[]),
                bind_as("", "t", &[], &[Some(b"\xff\xfe")], &[]),
                execute("", 0),
                sync(),
                run(),
            ],
        ),
        sent("Query that is not UTF-8", &[message(b'Q', b"SELECT '\xff\xfe'\0"), run()]),
        sent("Parse that is not UTF-8", &[message(b'P', b"\0SELECT '\xff'\0\0\0"), run()]),
        sent("a name that is not UTF-8", &[message(b'P', b"\xff\0SELECT 1\0\0\0"), sync(), run()]),
        sent("Bind of a name that is not UTF-8", &[message(b'B', b"\0a\xe2\x28\xa1\0\0\0\0\0\0\0"), sync(), run()]),
        sent("a portal's name that is not UTF-8", &[message(b'B', b"a\xc3\0\0\0\0\0\0\0\0"), sync(), run()]),
        sent("Execute of a name that is not UTF-8", &[message(b'E', b"\x80\0\0\0\0\0"), sync(), run()]),
        sent("Describe of a name that is not UTF-8", &[message(b'D', b"Sx\xf0\x9f\0"), sync(), run()]),
        sent("Close of a name that is not UTF-8", &[message(b'C', b"P\xed\xa0\x80\0"), sync(), run()]),
        sent("FunctionCall without a body", &[message(b'F', &[]), run()]),
        sent("FunctionCall of nothing", &[message(b'F', &[0; 10]), run()]),
        sent("FunctionCall cut short", &[message(b'F', &[0, 0, 4, 0]), run()]),
        sent(
            "FunctionCall in a failed transaction",
            &[query("BEGIN"), query("SELECT 1/0"), message(b'F', &[0; 10]), run()],
        ),
        sent("PasswordMessage in a session", &[message(b'p', &cstr("secret")), run()]),
        sent(
            "CopyData outside of a COPY",
            &[message(b'd', b"1\n"), message(b'c', &[]), message(b'f', &cstr("no")), run()],
        ),
        sent("CopyFail without its text outside of a COPY", &[message(b'f', &[]), run()]),
    ]);
    same(cases).await;
}

/// int4pl(2, 3) and others by the fast path.
#[tokio::test]
async fn function_calls_are_answered_alike() {
    let call = |oid: u32, arguments: &[&[u8]], result: u16| {
        let mut body = oid.to_be_bytes().to_vec();
        body.extend([0, 1, 0, 1]);
        body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
        for argument in arguments {
            body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
            body.extend_from_slice(argument);
        }
        body.extend(result.to_be_bytes());
        message(b'F', &body)
    };
    let (two, three, zero) = (&2_i32.to_be_bytes()[..], &3_i32.to_be_bytes()[..], &0_i32.to_be_bytes()[..]);
    same(vec![
        sent("int4pl", &[call(177, &[two, three], 1)]),
        sent("int4pl as text", &[call(177, &[two, three], 0)]),
        sent("int4div by zero", &[call(154, &[two, zero], 1), call(177, &[two, three], 1)]),
        sent("too few arguments", &[call(177, &[two], 1)]),
        sent("an unknown function", &[call(4_000_000, &[two], 1)]),
        sent("a set", &[call(1067, &[two, three], 1)]),
        sent("a wrong length", &[call(177, &[b"12", three], 1)]),
        sent("a wrong format", &[call(177, &[two, three], 7)]),
        sent("in a transaction", &[query("BEGIN"), call(177, &[two, three], 1), query("COMMIT")]),
        sent("an error in a transaction", &[query("BEGIN"), call(154, &[two, zero], 1), query("COMMIT")]),
        sent("after an error before Sync", &[parse("", "SELEC", &[]), call(177, &[two, three], 1), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn a_broken_length_or_an_unknown_kind_ends_the_session() {
    let mut cases = Vec::new();
    for kind in [b'Q', b'P', b'B', b'E', b'D', b'C', b'S', b'H', b'X', b'F', b'd', b'c', b'f'] {
        for length in [0_u32, 3, 0xffff_ffff, 0x8000_0000] {
            let name = format!("kind {:?} of length {length:x}", char::from(kind));
            cases.push(sent(&name, &[with_length(kind, length, b"")]));
        }
    }
    for kind in [b'!', b'?', b'R', b'T', b'Z', b'K', b'q', 0, 0xff] {
        cases.push(sent(&format!("kind {kind}"), &[message(kind, b"")]));
        cases.push(sent(&format!("kind {kind} with a body"), &[message(kind, b"body")]));
        cases.push(sent(&format!("kind {kind} in a transaction"), &[query("BEGIN"), message(kind, b"")]));
        cases.push(sent(&format!("kind {kind} after an error"), &[parse("", "SELEC", &[]), message(kind, b"")]));
    }
    for (kind, longest) in
        [(b'E', 10_000), (b'D', 10_000), (b'C', 10_000), (b'S', 10_000), (b'H', 10_000), (b'X', 10_000)]
    {
        cases.push(sent(
            &format!("kind {:?} longer than its limit", char::from(kind)),
            &[with_length(kind, longest + 5, b"")],
        ));
    }
    same(cases).await;
}

#[tokio::test]
async fn who_leaves_gets_what_was_asked_before() {
    same(vec![
        steps(
            "Query and Terminate in one piece",
            vec![Step::Send([query("SELECT 1"), terminate()].concat()), Step::End],
        ),
        steps("Query and the end of the stream", vec![Step::Send(query("SELECT 1")), Step::Shut, Step::End]),
        steps("a batch and Terminate", vec![Step::Send([run(), terminate()].concat()), Step::End]),
        steps("a batch and the end", vec![Step::Send(run()), Step::Shut, Step::End]),
        steps(
            "Terminate in the middle of a batch",
            vec![Step::Send([parse("", "SELECT 1", &[]), terminate(), sync()].concat()), Step::End],
        ),
        steps("the end in the middle of a batch", vec![Step::Send(parse("", "SELECT 1", &[])), Step::Shut, Step::End]),
        steps(
            "the end after Flush",
            vec![
                Step::Send([parse("", "SELECT 1", &[]), flush()].concat()),
                Step::Until(b'1', 1),
                Step::Shut,
                Step::End,
            ],
        ),
        steps(
            "the end in the middle of a message",
            vec![Step::Send(vec![b'Q', 0, 0, 0, 50, b'S']), Step::Shut, Step::End],
        ),
        steps("the end in the middle of a header", vec![Step::Send(vec![b'Q', 0, 0]), Step::Shut, Step::End]),
        steps(
            "Terminate with a body",
            vec![Step::Send([message(b'X', b"bye"), query("SELECT 1")].concat()), Step::End],
        ),
        steps("Terminate after an error", vec![Step::Send([parse("", "SELEC", &[]), terminate()].concat()), Step::End]),
        steps("Terminate in a transaction", vec![Step::Send([query("BEGIN"), terminate()].concat()), Step::End]),
        steps("many queries and the end", vec![Step::Send(query("SELECT 1").repeat(200)), Step::Shut, Step::End]),
        steps("rows and the end", vec![Step::Send(query("SELECT generate_series(1, 20)")), Step::Shut, Step::End]),
    ])
    .await;
}
