use super::*;
use proptest::prelude::*;

fn key_of(field: usize, fields: usize, key_type: KeyType) -> Key {
    Key { field: Some(field), fields, key_type, utf8: true, csv_marker: true }
}

fn splitter(options: &str, key: Key) -> Splitter {
    let text = format!("COPY t FROM STDIN {options}");
    Splitter::new(&options::read(&text, "k").expect("options"), key)
}

/// What a splitter gives for data that come in pieces which end at these places.
fn split(mut splitter: Splitter, data: &[u8], ends: &[usize]) -> Vec<(Step, Vec<u8>)> {
    let mut steps = vec![];
    let (mut from, mut nth) = (0, 0);
    loop {
        let to = ends.get(nth).copied().unwrap_or(data.len()).clamp(from, data.len());
        let at_end = nth >= ends.len();
        let step = if at_end && from == data.len() { Step::More } else { splitter.next(&data[from..to], at_end) };
        let len = match &step {
            Step::More if at_end => return steps,
            Step::More => {
                nth += 1;
                continue;
            }
            Step::Head(len, _) | Step::Lead(len) => *len,
            Step::Record(record) => record.len,
            Step::End | Step::Broken => {
                steps.push((step, vec![]));
                return steps;
            }
        };
        steps.push((step, data[from..from + len].to_vec()));
        from += len;
    }
}

fn keys(splitter: Splitter, data: &[u8]) -> Vec<String> {
    let shown = |step: &Step| match step {
        Step::Record(Record { key: Found::Key(key), .. }) => key.to_string(),
        Step::Record(Record { key: Found::Null, .. }) => "NULL".to_owned(),
        Step::Record(_) => "doubt".to_owned(),
        Step::Head(..) => "head".to_owned(),
        Step::Lead(2) => "trailer".to_owned(),
        Step::Lead(_) => "head".to_owned(),
        Step::End => "end".to_owned(),
        Step::Broken => "broken".to_owned(),
        Step::More => "more".to_owned(),
    };
    split(splitter, data, &[]).iter().map(|(step, _)| shown(step)).collect()
}

#[test]
fn text_is_read_as_postgresql_reads_it() {
    let int = |data: &str| keys(splitter("", key_of(1, 2, KeyType::Int4)), data.as_bytes());
    let text = |data: &str| keys(splitter("", key_of(1, 2, KeyType::Text)), data.as_bytes());
    assert_eq!(int("a\t1\nb\t -2 \nc\t\\N\nd\\\te\t3\nf\\\n\t4\n"), ["1", "-2", "NULL", "3", "4"]);
    assert_eq!(int("a\tx\nb\t99999999999\nc\n\na\t1"), ["doubt", "doubt", "doubt", "doubt", "1"]);
    assert_eq!(int("a\t\\x31\nb\t\\062\n"), ["1", "2"]);
    assert_eq!(text("a\t\\\\N\tc\nb\t\\tx\\q\\101\\x4a\\Y\ne\tna\u{ef}ve\n"), ["\\N", "\txqAJY", "na\u{ef}ve"]);
    assert_eq!(text("a\t\\xff\n"), ["doubt"]);
    assert_eq!(text("a\t1\n\\.\nb\t2\n"), ["1", "end"]);
    assert_eq!(text("a\t1\\.\nb\t2\n"), ["broken"]);
    assert_eq!(text("\\.x\n"), ["broken"]);
    assert_eq!(text("\\."), ["broken"]);
    assert_eq!(text("a\t1\r\nb\t2\r\n\\.\r\n"), ["1", "2", "end"]);
    assert_eq!(text("a\t1\r\nb\t2\n"), ["1", "broken"]);
    assert_eq!(text("a\t1\nb\t2\r\n"), ["1", "broken"]);
    assert_eq!(text("a\t1\rb\t2\rc\t3"), ["1", "2", "3"]);
    assert_eq!(text("a\t1\rb\t2\n"), ["1", "broken"]);
    assert_eq!(text(""), Vec::<String>::new());
    let without = Key { field: None, ..key_of(0, 1, KeyType::Int4) };
    assert_eq!(keys(splitter("", without), b"1\n"), ["NULL"]);
    assert_eq!(keys(splitter("CSV", without), b"1\n"), ["NULL"]);
    let header = splitter("(HEADER, DELIMITER '|', NULL 'x\\y')", key_of(0, 2, KeyType::Int8));
    assert_eq!(keys(header, b"k|v\n1|a\nx\\y|b\n"), ["head", "1", "NULL"]);
}

#[test]
fn csv_is_read_as_postgresql_reads_it() {
    let of = |options: &str, data: &str| {
        keys(splitter(&format!("(FORMAT csv{options})"), key_of(1, 3, KeyType::Text)), data.as_bytes())
    };
    assert_eq!(of("", "a,b,c\n\"x,\n\"\"y\",\"k\"\"1\n\",z\n1,,2\n1,\"\",2\n"), ["b", "k\"1\n", "NULL", ""]);
    assert_eq!(of("", "a,x\"y\"z,c\n1,2\\.,3\n\\.,4,5\n"), ["xyz", "2\\.", "4"]);
    assert_eq!(of("", "1,2,3\n\\.\n4,5,6\n"), ["2", "end"]);
    assert_eq!(of("", "1,2,3\r\n4,\"5\n\",6\r\n"), ["2", "5\n"]);
    assert_eq!(of("", "1,2,3\r\n4,5,6\n"), ["2", "broken"]);
    assert_eq!(of("", "1,\"2,3\n4,5,6\n"), ["doubt"]);
    assert_eq!(of(", NULL 'nil', FORCE_NULL (k)", "1,nil,3\n1,\"nil\",3\n"), ["NULL", "NULL"]);
    assert_eq!(of(", NULL 'nil', FORCE_NOT_NULL (k)", "1,nil,3\n1,\"nil\",3\n"), ["nil", "nil"]);
    assert_eq!(
        of(", ESCAPE '\\', HEADER", "a,k,c\n\"\\\\\",\"x\\\"\\y\",2\n\"\\\"\n\",w,2\n"),
        ["head", "x\"\\y", "w"]
    );
    assert_eq!(of(", QUOTE '''', DELIMITER ';'", "a;'b;''c';d\n"), ["b;'c"]);
    assert_eq!(of("", "one\n\n"), ["doubt", "doubt"]);
    let counted = split(splitter("(FORMAT csv)", key_of(0, 2, KeyType::Int4)), b"1,\"\n\r\n\"\n", &[]);
    assert!(matches!(&counted[0].0, Step::Record(record) if record.breaks == Breaks { feeds: 2, returns: 1 }));
    let no_marker = Splitter::new(
        &options::read("COPY t FROM STDIN (FORMAT csv)", "k").unwrap(),
        Key { csv_marker: false, ..key_of(0, 1, KeyType::Text) },
    );
    assert_eq!(keys(no_marker, b"\\.\na\n"), ["\\.", "a"]);
}

fn binary(rows: &[&[Option<&[u8]>]], trailer: bool) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x02xx".to_vec();
    for row in rows {
        data.extend((row.len() as i16).to_be_bytes());
        for value in *row {
            data.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            data.extend_from_slice(value.unwrap_or_default());
        }
    }
    if trailer {
        data.extend((-1_i16).to_be_bytes());
    }
    data
}

#[test]
fn binary_is_read_as_postgresql_reads_it() {
    let of = |data: &[u8]| keys(splitter("(FORMAT binary)", key_of(1, 2, KeyType::Int4)), data);
    let rows: [&[Option<&[u8]>]; 3] = [&[Some(b"ab"), Some(&[0, 0, 0, 7])], &[None, None], &[Some(b""), Some(&[0; 8])]];
    assert_eq!(of(&binary(&rows, true)), ["head", "7", "NULL", "doubt", "trailer"]);
    assert_eq!(of(&binary(&rows, false)), ["head", "7", "NULL", "doubt"]);
    assert_eq!(of(&[binary(&rows[..1], true), vec![1]].concat()), ["head", "7", "trailer", "broken"]);
    assert_eq!(of(&binary(&[&[None]], true)), ["head", "broken"]);
    assert_eq!(of(b"PGCOPY\n\xff\r\nx"), ["broken"]);
    assert_eq!(of(b"PGCOPY"), ["broken"]);
    assert_eq!(of(&binary(&rows, true)[..30]), ["head", "broken"]);
}

proptest! {
    /// However the data are cut, the records are the same; and they are the data.
    #[test]
    fn pieces_do_not_matter(
        data in proptest::collection::vec(proptest::sample::select(b"ab12,,\"\"\\\\.N\n\n\r\t\t'".to_vec()), 0..60),
        way in 0..5_usize,
        ends in proptest::collection::vec(0..60_usize, 0..8),
    ) {
        let options = ["", "(FORMAT csv)", "(FORMAT csv, ESCAPE '\\', HEADER)", "(DELIMITER ',', HEADER)", "(FORMAT csv, QUOTE '''')"][way];
        let made = splitter(options, key_of(1, 2, KeyType::Text));
        let whole = split(made.clone(), &data, &[]);
        let mut ends = ends;
        ends.sort_unstable();
        prop_assert_eq!(&whole, &split(made.clone(), &data, &ends));
        let every: Vec<usize> = (0..=data.len()).collect();
        prop_assert_eq!(&whole, &split(made, &data, &every));
        let told: Vec<u8> = whole.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        prop_assert!(data.starts_with(&told));
        if !whole.iter().any(|(step, _)| matches!(step, Step::End | Step::Broken)) {
            prop_assert_eq!(told, data);
        }
    }

    #[test]
    fn binary_pieces_do_not_matter(
        rows in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..6)), 0..12),
        cut in 0..200_usize,
        ends in proptest::collection::vec(0..200_usize, 0..8),
    ) {
        let rows: Vec<Vec<Option<&[u8]>>> = rows.chunks_exact(2).map(|pair| pair.iter().map(|value| value.as_deref()).collect()).collect();
        let mut data = binary(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), true);
        data.truncate(cut.max(1));
        let made = splitter("(FORMAT binary)", key_of(1, 2, KeyType::Int4));
        let whole = split(made.clone(), &data, &[]);
        let mut ends = ends;
        ends.sort_unstable();
        prop_assert_eq!(&whole, &split(made.clone(), &data, &ends));
        let every: Vec<usize> = (0..=data.len()).collect();
        prop_assert_eq!(&whole, &split(made, &data, &every));
    }
}
