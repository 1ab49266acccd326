//! Scripts: what a client sends and waits for, and the answer as text that can be compared.
//! In: messages, well-formed or not. Out: a transcript. Never: decides what is right; one server is compared with another.

use std::time::Duration;

use crate::client::{Frame, Raw};

/// How long nothing may come before the transcript says so.
const SILENCE: Duration = Duration::from_secs(6);

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Reads up to the n-th message of this kind, or the end of the connection.
    Until(u8, usize),
    /// Reads one bare byte.
    Byte,
    /// Ends the sending half.
    Shut,
    /// Reads to the end of the connection.
    End,
}

/// A message: its kind, its length and its body.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A string with its NUL.
pub fn cstr(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &cstr(sql))
}

/// Parse.
pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let count = u16::try_from(types.len()).expect("few types").to_be_bytes();
    let types: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    message(b'P', &[&cstr(name)[..], &cstr(sql), &count, &types].concat())
}

/// Bind with formats of parameters, values (None is NULL) and formats of results.
pub fn bind_as(portal: &str, statement: &str, formats: &[i16], values: &[Option<&[u8]>], results: &[i16]) -> Vec<u8> {
    let words = |words: &[i16]| -> Vec<u8> {
        let count = u16::try_from(words.len()).expect("few formats").to_be_bytes();
        count.into_iter().chain(words.iter().flat_map(|word| word.to_be_bytes())).collect()
    };
    let mut body = [cstr(portal), cstr(statement), words(formats)].concat();
    body.extend(u16::try_from(values.len()).expect("at most 65,535 values").to_be_bytes());
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                body.extend(u32::try_from(bytes.len()).expect("a short value").to_be_bytes());
                body.extend_from_slice(bytes);
            }
        }
    }
    body.extend(words(results));
    message(b'B', &body)
}

/// Bind with values and results in text.
pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_bytes())).collect();
    bind_as(portal, statement, &[], &values, &[])
}

/// Describe of a statement (`b'S'`) or portal (`b'P'`).
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind][..], &cstr(name)].concat())
}

/// Close of a statement (`b'S'`) or portal (`b'P'`).
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind][..], &cstr(name)].concat())
}

/// Execute; 0 rows is no limit.
pub fn execute(portal: &str, rows: i32) -> Vec<u8> {
    message(b'E', &[&cstr(portal)[..], &rows.to_be_bytes()].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// CopyData.
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    message(b'd', data)
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

/// CopyFail.
pub fn copy_fail(why: &str) -> Vec<u8> {
    message(b'f', &cstr(why))
}

/// A packet of the start-up: its length and its content.
pub fn packet(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).expect("a short packet");
    [&length.to_be_bytes()[..], content].concat()
}

/// A StartupMessage of a version, with its closing NUL.
pub fn startup(major: u16, minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut content = [major.to_be_bytes(), minor.to_be_bytes()].concat();
    for (name, value) in parameters {
        content.extend([cstr(name), cstr(value)].concat());
    }
    content.push(0);
    packet(&content)
}

/// Plays a script; returns what was answered.
pub async fn play(raw: &mut Raw, steps: &[Step]) -> Vec<String> {
    let mut answers = Vec::new();
    for step in steps {
        match step {
            // Who has closed its side is found out by reading.
            Step::Send(bytes) => drop(raw.send(bytes).await),
            Step::Until(kind, count) => read_until(raw, Some((*kind, *count)), &mut answers).await,
            Step::Byte => answers.push(format!("byte {:?}", raw.read_byte().await.map(char::from))),
            Step::Shut => raw.shut().await,
            Step::End => read_until(raw, None, &mut answers).await,
        }
    }
    answers
}

async fn read_until(raw: &mut Raw, mut until: Option<(u8, usize)>, answers: &mut Vec<String>) {
    loop {
        match raw.read_within(SILENCE).await {
            Err(_) => return answers.push("silence".to_owned()),
            Ok(None) => return answers.push("closed".to_owned()),
            Ok(Some(frame)) => {
                answers.push(brief(&frame));
                if let Some((kind, count)) = &mut until
                    && *kind == frame.tag
                {
                    *count -= 1;
                    if *count == 0 {
                        return;
                    }
                }
            }
        }
    }
}

/// A message in brief: everything that PostgreSQL and a router before it must agree on.
pub fn brief(frame: &Frame) -> String {
    let kind = char::from(frame.tag);
    match frame.tag {
        b'E' | b'N' => {
            let fields = frame.fields();
            let field = |code: u8| fields.get(&code).map_or("-", String::as_str);
            let position = fields.get(&b'P').map(|position| format!(" at {position}")).unwrap_or_default();
            format!("{kind} {} {} {} {}{position}", field(b'S'), field(b'V'), field(b'C'), field(b'M'))
        }
        // The sender's process id is each server's own.
        b'A' => format!("A {}", frame.body.get(4..).unwrap_or_default().escape_ascii()),
        b'C' | b'Z' => format!("{kind} {}", frame.text()),
        b'T' => format!("T {}", columns(&frame.body)),
        // A new connection's key is its own.
        b'K' => format!("K of {} bytes", frame.body.len()),
        _ if frame.body.len() > 200 => format!("{kind} of {} bytes", frame.body.len()),
        _ if frame.body.is_empty() => kind.to_string(),
        _ => format!("{kind} {}", frame.body.escape_ascii()),
    }
}

/// Columns as `name type size modifier format`; the OIDs of tables are each server's own.
fn columns(body: &[u8]) -> String {
    let mut shown = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let (name, behind) = rest.split_at(end);
        let Some((facts, after)) = behind.get(1..).and_then(|behind| behind.split_at_checked(18)) else { break };
        let facts: Vec<String> = facts.get(6..).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        shown.push(format!("{} {}", name.escape_ascii(), facts.concat()));
        rest = after;
    }
    shown.join(", ")
}
