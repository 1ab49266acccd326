//! The floors of the house: `lib.rs` lists the rooms, the top first. A room imports only rooms further down, and the
//! pure rooms name neither the runtime nor clocks nor locks.

use std::{
    fs,
    path::{Path, PathBuf},
};

const PURE: [&str; 5] = ["merge", "route", "plan", "copy", "sql"];
const FORBIDDEN: [&str; 10] =
    ["tokio", "async fn", ".await", "std::thread", "Instant", "SystemTime", "Mutex", "RwLock", "Atomic", "tracing::"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms in their order.
fn rooms() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).expect("lib.rs is readable");
    let module = |line: &str| Some(line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')?.to_owned());
    lib.lines().filter_map(module).collect()
}

/// Every file of a room with its code: comments are left out.
fn files(room: &str) -> Vec<(PathBuf, String)> {
    let mut waiting = vec![source().join(room), source().join(format!("{room}.rs"))];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a readable directory");
            waiting.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.exists() {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>();
            files.push((path, code.join("\n")));
        }
    }
    files
}

/// The rooms that code names: `crate::room` and the first words of `crate::{…}`.
fn named(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            names.push(word(after));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(word(std::mem::take(&mut item).trim_start())),
                _ if depth == 0 => item.push(c),
                _ => {}
            }
        }
        names.push(word(item.trim_start()));
    }
    names
}

#[test]
fn no_room_imports_one_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 10, "lib.rs lists the rooms: {rooms:?}");
    let mut climbs = Vec::new();
    for (floor, room) in rooms.iter().enumerate() {
        let files = files(room);
        assert!(!files.is_empty(), "the room {room} has no file");
        for (path, code) in files {
            let above = |name: &String| rooms[..floor].contains(name);
            climbs.extend(named(&code).into_iter().filter(above).map(|name| format!("{} → {name}", path.display())));
        }
    }
    assert!(climbs.is_empty(), "imports that climb:\n{}", climbs.join("\n"));
}

#[test]
fn pure_rooms_know_no_runtime_clock_or_lock() {
    let mut found = Vec::new();
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
    for (path, code) in PURE.iter().flat_map(|room| files(room)).filter(|(path, _)| !is_test(path)) {
        let words = FORBIDDEN.iter().filter(|word| code.contains(**word));
        found.extend(words.map(|word| format!("{}: {word}", path.display())));
    }
    assert!(found.is_empty(), "a pure room names:\n{}", found.join("\n"));
}

#[test]
fn imports_are_read_in_every_form() {
    let code = "use crate::{error::{Report, catalogue}, pool::Pool,\n sql};\nlet x = crate::metrics::error(1);";
    assert_eq!(named(code), ["error", "pool", "sql", "metrics"]);
}
