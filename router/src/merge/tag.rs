//! Tag: the texts of CommandComplete. In: the shards' tags. Out: one tag. Never: rows.

/// Rows that a tag counts; None if it counts none (`BEGIN`, `CREATE TABLE`).
pub fn tag_rows(tag: &str) -> Option<u64> {
    let (_, count) = tag.rsplit_once(' ')?;
    count.parse().ok()
}

/// One tag for all: the first one's words with the sum of the counts. Empty if there are no tags.
pub fn add(tags: &[&str]) -> String {
    let Some(first) = tags.first() else { return String::new() };
    match (first.rsplit_once(' '), tag_rows(first)) {
        (Some((words, _)), Some(_)) => {
            let rows = tags.iter().filter_map(|tag| tag_rows(tag)).fold(0u64, u64::saturating_add);
            format!("{words} {rows}")
        }
        _ => (*first).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        for (tags, sum) in [
            (&["INSERT 0 2", "INSERT 0 3"][..], "INSERT 0 5"),
            (&["UPDATE 1", "UPDATE 0", "UPDATE 7"], "UPDATE 8"),
            (&["DELETE 4"], "DELETE 4"),
            (&["SELECT 1", "SELECT 2"], "SELECT 3"),
            (&["COPY 10", "COPY 5"], "COPY 15"),
            (&["MOVE 1", "MOVE 1"], "MOVE 2"),
            (&["FETCH 0", "FETCH 3"], "FETCH 3"),
            (&["CREATE TABLE", "CREATE TABLE"], "CREATE TABLE"),
            (&["BEGIN"], "BEGIN"),
            (&[], ""),
        ] {
            assert_eq!(add(tags), sum);
        }
    }

    #[test]
    fn only_counting_tags_have_rows() {
        assert_eq!(tag_rows("INSERT 0 12"), Some(12));
        assert_eq!(tag_rows("SELECT 0"), Some(0));
        assert_eq!(tag_rows("DROP TABLE"), None);
        assert_eq!(tag_rows("SET"), None);
    }
}
