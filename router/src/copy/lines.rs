//! Lines: which line of the client's data a line of a shard's data is. In: records as they are handed out; a CONTEXT that
//! a server reports. Out: the CONTEXT with the client's line. Never: more than the last records.

use std::collections::VecDeque;

/// So many records can be told of: more than a server has taken in and not looked at.
const MOST: usize = 512 * 1024;

/// The lines of one shard.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Lines that it has got.
    here: u64,
    /// The last records: where each ends, here and at the client (the lower halves of the numbers).
    ends: VecDeque<(u32, u32)>,
}

impl Lines {
    /// It has got a record of so many lines, which ends at this line of the client's.
    pub fn add(&mut self, lines: u64, client: u64) {
        self.here += lines;
        if self.ends.len() == MOST {
            self.ends.pop_front();
        }
        self.ends.push_back((self.here as u32, client as u32));
    }

    /// It has got lines.
    pub fn has_some(&self) -> bool {
        self.here > 0
    }

    /// The client's line for one of these; `client`: the last of the client's.
    pub fn of_client(&self, line: u64, client: u64) -> Option<u64> {
        if line > self.here {
            return Some(client + (line - self.here));
        }
        let back = u32::try_from(self.here - line).ok()?;
        // How far from the end; it grows towards the front.
        let behind = |end: &(u32, u32)| (self.here as u32).wrapping_sub(end.0);
        let at = self.ends.partition_point(|end| behind(end) > back);
        let end = self.ends.get(at)?;
        if at == 0 && behind(end) != back && self.ends.len() == MOST {
            return None;
        }
        let record = client - u64::from((client as u32).wrapping_sub(end.1));
        record.checked_sub(u64::from(back - behind(end)))
    }
}

/// A CONTEXT with the line of COPY of this table changed; the line before and after. None: it names none.
pub fn changed(context: &str, table: &str, change: impl Fn(u64) -> Option<u64>) -> Option<(String, u64)> {
    let mut shown = 0;
    let mut found = None;
    let texts: Vec<String> = context
        .split('\n')
        .map(|text| match found.is_none().then(|| number_in(text, table)).flatten() {
            Some((from, to, line)) => {
                found = Some(());
                let (before, after) = (text.get(..from).unwrap_or_default(), text.get(to..).unwrap_or_default());
                match change(line) {
                    Some(line) => {
                        shown = line;
                        format!("{before}{line}{after}")
                    }
                    None => format!("{}{after}", before.rsplit_once(',').map_or("", |(before, _)| before)),
                }
            }
            None => text.to_owned(),
        })
        .collect();
    found.map(|()| (texts.join("\n"), shown))
}

/// The number in `COPY table, line 7, column c: "…"`, whatever language it is in.
fn number_in(text: &str, table: &str) -> Option<(usize, usize, u64)> {
    let start = "COPY ".len() + table.len();
    let is_of_copy = text.starts_with("COPY ") && text.get("COPY ".len()..start) == Some(table);
    let rest = text.get(start..).filter(|rest| is_of_copy && rest.starts_with(','))?;
    let from = rest.find(|c: char| c.is_ascii_digit())?;
    // What stands before it is one word.
    if rest.get(..from)?.contains([':', '"']) || rest.get(1..from)?.contains(',') {
        return None;
    }
    let digits = rest.get(from..)?;
    let len = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let line = digits.get(..len)?.parse().ok()?;
    Some((start + from, start + from + len, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shards_line_is_a_line_of_the_client() {
        let mut lines = Lines::default();
        for client in [2, 5, 9] {
            lines.add(1, client);
        }
        lines.add(3, 14);
        for (here, client) in [(1, 2), (2, 5), (3, 9), (4, 12), (5, 13), (6, 14), (7, 21)] {
            assert_eq!(lines.of_client(here, 20), Some(client), "{here}");
        }
    }

    #[test]
    fn what_was_long_ago_is_not_told_wrongly() {
        let mut lines = Lines::default();
        for client in 0..MOST as u64 + 10 {
            lines.add(1, 2 * (client + 1));
        }
        let last = 2 * (MOST as u64 + 10);
        assert_eq!(lines.of_client(5, last), None);
        assert_eq!(lines.of_client(11, last), Some(22));
        assert_eq!(lines.of_client(MOST as u64 + 10, last), Some(last));
    }

    #[test]
    fn numbers_beyond_32_bits() {
        let start = u64::from(u32::MAX) - 1;
        let mut lines = Lines { here: start, ends: VecDeque::new() };
        for nth in 1..=4 {
            lines.add(1, start + 10 * nth);
        }
        for nth in 1..=4 {
            assert_eq!(lines.of_client(start + nth, start + 40), Some(start + 10 * nth));
        }
    }

    #[test]
    fn contexts_keep_all_but_the_line() {
        let change = |line| Some(line + 100);
        let of = |text: &str| changed(text, "t, line 1", change);
        assert_eq!(
            changed("COPY t, line 3, column a: \"x\"", "t", change).unwrap().0,
            "COPY t, line 103, column a: \"x\""
        );
        assert_eq!(changed("COPY t, Zeile 3", "t", change), Some(("COPY t, Zeile 103".to_owned(), 103)));
        assert_eq!(of("COPY t, line 1, line 2: \"9\"").unwrap().0, "COPY t, line 1, line 102: \"9\"");
        let trigger = "PL/pgSQL function f() line 3 at RAISE\nCOPY t, line 7: \"7\"";
        assert_eq!(
            changed(trigger, "t", change).unwrap().0,
            "PL/pgSQL function f() line 3 at RAISE\nCOPY t, line 107: \"7\""
        );
        assert_eq!(changed("COPY other, line 3", "t", change), None);
        assert_eq!(changed("SQL statement \"COPY t, line 3\"", "t", change), None);
        assert_eq!(changed("COPY t, line 3: \"x\"", "t", |_| None), Some(("COPY t: \"x\"".to_owned(), 0)));
    }
}
