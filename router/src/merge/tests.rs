//! Tests of the whole merge. The `.tsv` tables hold PostgreSQL 15's own answers.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{numeric::Numeric, *};

const EXACT: TextStyle = TextStyle { dates_iso: true, floats_exact: true };
const ALL: Bounds = Bounds { limit: None, offset: 0, max_bytes: 1 << 20 };

fn column(name: &str, type_oid: u32, format: i16) -> Column {
    Column { name: name.to_owned(), table_oid: 0, column_number: 0, type_oid, type_size: -1, type_modifier: -1, format }
}

fn aggregate(function: Aggregate, input: usize) -> Output {
    Output::Aggregate { function, input, name: "a".to_owned() }
}

fn merge(output: Vec<Output>, group_by: Option<Vec<usize>>, order: Vec<OrderBy>) -> Merge {
    Merge { output, group_by, order, limit: None, offset: None, byte_ordered: Vec::new() }
}

fn ascending(column: usize) -> OrderBy {
    OrderBy { column, descending: false, nulls_first: false }
}

fn row<T: AsRef<[u8]>>(values: &[Option<T>]) -> Bytes {
    let mut frame = BytesMut::new();
    row::write(values.iter().map(|value| value.as_ref().map(AsRef::as_ref)), &mut frame);
    frame.freeze().slice(5..)
}

/// The rows of whole DataRow frames, as text; NULL is `~`.
fn rows(mut frames: &[u8]) -> Vec<String> {
    let mut rows = Vec::new();
    while let [b'D', a, b, c, d, rest @ ..] = frames {
        let (body, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4);
        let shown = |value: Option<&[u8]>| value.map_or("~".to_owned(), |v| String::from_utf8_lossy(v).into_owned());
        rows.push(row::values(body).unwrap().map(|value| shown(value.unwrap())).collect::<Vec<_>>().join("|"));
        frames = rest;
    }
    assert!(frames.is_empty());
    rows
}

fn grouped(merge: &Merge, input: &[Column], bounds: Bounds, parts: &[Bytes]) -> Result<Vec<String>, MergeError> {
    let mut merger = Merger::new(merge, input, EXACT, bounds)?;
    for part in parts {
        merger.push(part)?;
    }
    let mut out = BytesMut::new();
    let count = merger.finish(&mut out)?;
    let rows = rows(&out);
    assert_eq!(rows.len() as u64, count);
    Ok(rows)
}

fn sorted(merger: Merger, streams: &[Vec<Bytes>]) -> Vec<Bytes> {
    let mut sorted = Sorted::new(merger, streams.len());
    let mut at = vec![0; streams.len()];
    let mut out = Vec::new();
    loop {
        match sorted.next() {
            Step::Row(row) => out.push(row),
            Step::Done => return out,
            Step::NeedMore(stream) => match streams[stream].get(at[stream]) {
                Some(row) => {
                    sorted.offer(stream, row.clone()).unwrap();
                    at[stream] += 1;
                }
                None => sorted.finish_stream(stream),
            },
        }
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each line: type of the partial sum; `sum binary avg binary` of all; then `sum binary count` of each part.
#[test]
fn sums_and_averages_have_the_digits_of_postgresql() {
    let mut cases = 0;
    for line in include_str!("tests/sums.tsv").lines() {
        let fields: Vec<Vec<&str>> = line.split('\t').map(|field| field.split(' ').collect()).collect();
        let [kind, whole, parts @ ..] = fields.as_slice() else { panic!("{line}") };
        let oid = if kind[0] == "int8" { 20 } else { 1700 };
        let merge =
            merge(vec![aggregate(Aggregate::Sum, 0), aggregate(Aggregate::Avg, 0)], Some(Vec::new()), Vec::new());
        for format in [0, 1] {
            let input = [column("s", oid, format), column("c", 20, format)];
            let value = |field: &[&str]| match (field[0], format) {
                ("NULL", _) => None,
                (text, 0) => Some(text.as_bytes().to_vec()),
                _ => Some(unhex(field[1])),
            };
            let count = |text: &str| match format {
                0 => text.as_bytes().to_vec(),
                _ => text.parse::<i64>().unwrap().to_be_bytes().to_vec(),
            };
            let mut merger = Merger::new(&merge, &input, EXACT, ALL).unwrap();
            for part in parts {
                merger.push(&row(&[value(part), Some(count(part[2]))])).unwrap();
            }
            let mut out = BytesMut::new();
            assert_eq!(merger.finish(&mut out), Ok(1));
            let expected = row(&[value(&whole[..2]), value(&whole[2..])]);
            assert_eq!(hex(&out[5..]), hex(&expected), "{line}");
        }
        cases += 1;
    }
    assert!(cases >= 60);
}

/// Each line: the float's bytes, its text.
#[test]
fn floats_are_printed_as_postgresql_prints_them() {
    for line in include_str!("tests/float8.tsv").lines() {
        let (bytes, text) = line.split_once('\t').unwrap();
        let number = f64::from_be_bytes(unhex(bytes).try_into().unwrap());
        assert_eq!(float::float8(number), text);
    }
    for line in include_str!("tests/float4.tsv").lines() {
        let (bytes, text) = line.split_once('\t').unwrap();
        let number = f32::from_be_bytes(unhex(bytes).try_into().unwrap());
        assert_eq!(float::float4(number), text);
    }
}

/// Values in PostgreSQL's order, lesser first; `=` before a value: equal to the one before it.
const ORDERS: &[(u32, &[&str])] = &[
    (16, &["f", "t"]),
    (17, &[r"\x", r"\x00", r"\x0000", r"\x0001", r"\x01", r"\x01ff", r"\xff"]),
    (20, &["-9223372036854775808", "-10", "-9", "0", "9", "10", "9223372036854775807"]),
    (21, &["-32768", "-1", "0", "32767"]),
    (25, &["", "A", "B", "a", "a b", "aa", "b", "é"]),
    (26, &["0", "9", "10", "4294967295"]),
    (700, &["-Infinity", "-1.5", "-1e-45", "-0", "=0", "1e-45", "3.4028235e+38", "Infinity", "NaN"]),
    (
        701,
        &["-Infinity", "-1e+300", "-10", "-9", "-5e-324", "0", "=-0", "5e-324", "9", "10", "Infinity", "NaN", "=NaN"],
    ),
    (1042, &["", "=   ", "a", "=a  ", "a b", "aa"]),
    (
        1082,
        &[
            "-infinity",
            "4713-01-01 BC",
            "0001-12-31 BC",
            "0001-01-01",
            "1999-12-31",
            "2000-02-29",
            "2000-03-01",
            "10000-01-01",
            "infinity",
        ],
    ),
    (1083, &["00:00:00", "00:00:00.000001", "00:00:00.1", "09:00:00", "10:00:00", "24:00:00"]),
    (
        1114,
        &[
            "-infinity",
            "0044-03-15 12:00:00 BC",
            "1999-12-31 23:59:59.999999",
            "2000-01-01 00:00:00",
            "2000-01-01 00:00:00.5",
            "infinity",
        ],
    ),
    (
        1184,
        &[
            "-infinity",
            "2024-01-01 12:00:00+02",
            "2024-01-01 10:30:00+00",
            "=2024-01-01 16:00:00+05:30",
            "2024-01-01 08:00:00-04",
            "infinity",
        ],
    ),
    (
        1700,
        &[
            "-Infinity",
            "-100",
            "-20",
            "-3.01",
            "-3.001",
            "-3",
            "=-3.00",
            "-0.5",
            "-0.05",
            "0",
            "=0.000",
            "0.0001",
            "0.001",
            "0.01",
            "0.010001",
            "3",
            "=3.0",
            "3.001",
            "10",
            "10000",
            "10000.0001",
            "99999",
            "100000",
            "Infinity",
            "NaN",
        ],
    ),
    (
        2950,
        &[
            "00000000-0000-0000-0000-000000000000",
            "0fffffff-ffff-ffff-ffff-ffffffffffff",
            "a0000000-0000-0000-0000-000000000000",
        ],
    ),
];

#[test]
fn values_are_ordered_as_in_postgresql() {
    for (oid, values) in ORDERS {
        for descending in [false, true] {
            let order = OrderBy { column: 0, descending, nulls_first: false };
            let mut merge = merge(vec![Output::Column(0)], None, vec![order]);
            merge.byte_ordered.push(0);
            let merger = Merger::new(&merge, &[column("c", *oid, 0)], EXACT, ALL).unwrap();
            for pair in values.windows(2) {
                let equal = pair[1].starts_with('=');
                let [a, b] = [pair[0], pair[1]].map(|value| row(&[Some(value.trim_start_matches('='))]));
                let expected = match (equal, descending) {
                    (true, _) => Ordering::Equal,
                    (_, false) => Ordering::Less,
                    (_, true) => Ordering::Greater,
                };
                assert_eq!(merger.compare(&a, &b), Ok(expected), "{oid}: {pair:?}");
                assert_eq!(merger.compare(&b, &a), Ok(expected.reverse()), "{oid}: {pair:?}");
                let null = row::<&str>(&[None]);
                assert_eq!(merger.compare(&a, &null), Ok(Ordering::Less));
            }
        }
    }
}

#[test]
fn nulls_stand_where_the_order_says() {
    for (descending, nulls_first, expected) in [
        (false, false, ["1", "2", "~"]),
        (false, true, ["~", "1", "2"]),
        (true, false, ["2", "1", "~"]),
        (true, true, ["~", "2", "1"]),
    ] {
        let order = OrderBy { column: 0, descending, nulls_first };
        let merge = merge(vec![Output::Column(0)], None, vec![order]);
        let merger = Merger::new(&merge, &[column("c", 23, 0)], EXACT, ALL).unwrap();
        let streams = [vec![row(&[Some("1")])], vec![row::<&str>(&[None])], vec![row(&[Some("2")])]];
        let mut out = BytesMut::new();
        let writer = Merger::new(&merge, &[column("c", 23, 0)], EXACT, ALL).unwrap();
        sorted(merger, &streams).iter().for_each(|row| writer.write_row(row, &mut out).unwrap());
        assert_eq!(rows(&out), expected);
    }
}

#[test]
fn binary_dates_and_text_dates_are_the_same_numbers() {
    for (text, days) in [
        ("2000-01-01", 0),
        ("1999-12-31", -1),
        ("2000-03-01", 60),
        ("4713-11-24 BC", -2_451_179),
        ("5874897-12-31", 2_145_031_948),
        ("0044-03-15 BC", -746_117),
        ("1900-02-28", -36_466),
        ("0001-12-31 BC", -730_120),
    ] {
        assert_eq!(calendar::date(text.as_bytes()), Ok(days), "{text}");
    }
    assert_eq!(calendar::timestamp_with_zone(b"2000-01-01 01:00:00.25+01"), Ok(250_000));
    assert_eq!(calendar::timestamp(b"294276-12-31 23:59:59.999999"), Ok(9_223_371_331_199_999_999));
    assert_eq!(calendar::timestamp(b"2000-01-02 00:00:00"), Ok(86_400_000_000));
    assert_eq!(calendar::timestamp(b"01/02/2000 00:00:00"), Err(MergeError::Malformed));
}

#[test]
fn what_cannot_be_exact_is_refused() {
    let coarse = TextStyle { dates_iso: false, floats_exact: false };
    let order = |oid, format, style| {
        let merge = merge(vec![Output::Column(0)], None, vec![ascending(0)]);
        Merger::new(&merge, &[column("c", oid, format)], style, ALL).map(|_| ())
    };
    for oid in [25, 1042, 1043, 19, 114, 3802, 1186, 790, 1266, 18, 1007, 16384] {
        assert_eq!(order(oid, 0, EXACT), Err(MergeError::Unorderable { column: "c".into(), type_oid: oid }));
    }
    for oid in [700, 701, 1082, 1114, 1184] {
        assert!(order(oid, 0, coarse).is_err());
        assert_eq!(order(oid, 1, coarse), Ok(()));
        assert_eq!(order(oid, 0, EXACT), Ok(()));
    }
    let total = |function, oid, style| {
        let merge = merge(vec![aggregate(function, 0)], Some(Vec::new()), Vec::new());
        Merger::new(&merge, &[column("c", oid, 0), column("n", 20, 0)], style, ALL).is_ok()
    };
    for (function, oid, style, fine) in [
        (Aggregate::Sum, 20, coarse, true),
        (Aggregate::Sum, 790, EXACT, false),
        (Aggregate::Sum, 1186, EXACT, false),
        (Aggregate::Sum, 700, EXACT, true),
        (Aggregate::Avg, 700, EXACT, false),
        (Aggregate::Avg, 701, EXACT, true),
        (Aggregate::Avg, 701, coarse, false),
        (Aggregate::Avg, 1186, EXACT, false),
        (Aggregate::Count, 20, EXACT, true),
        (Aggregate::Count, 1700, EXACT, false),
        (Aggregate::Max, 25, EXACT, false),
        (Aggregate::Min, 1082, EXACT, true),
    ] {
        assert_eq!(total(function, oid, style), fine, "{function:?} {oid}");
    }
}

#[test]
fn nothing_at_all_is_one_row_where_nothing_is_grouped_by() {
    let output = [Aggregate::Count, Aggregate::Sum, Aggregate::Min, Aggregate::Max, Aggregate::Avg];
    let all = merge(output.map(|function| aggregate(function, 0)).to_vec(), Some(Vec::new()), Vec::new());
    let input = [column("x", 20, 0), column("n", 20, 0)];
    assert_eq!(grouped(&all, &input, ALL, &[]), Ok(vec!["0|~|~|~|~".to_owned()]));
    let nulls = [row(&[None, Some("0")]), row(&[None, Some("0")])];
    assert_eq!(grouped(&all, &input, ALL, &nulls), Ok(vec!["0|~|~|~|~".to_owned()]));
    assert_eq!(grouped(&all, &input, Bounds { limit: Some(0), ..ALL }, &[]), Ok(Vec::new()));
    assert_eq!(grouped(&all, &input, Bounds { offset: 1, ..ALL }, &[]), Ok(Vec::new()));
    let by_key = merge(vec![Output::Column(0)], Some(vec![0]), Vec::new());
    assert_eq!(grouped(&by_key, &input, ALL, &[]), Ok(Vec::new()));
}

#[test]
fn groups_meet_across_shards_and_come_in_order() {
    let output = vec![Output::Column(0), aggregate(Aggregate::Sum, 1), aggregate(Aggregate::Max, 2)];
    let order = OrderBy { column: 1, descending: true, nulls_first: false };
    let merge = merge(output, Some(vec![0]), vec![order]);
    let input = [column("k", 25, 0), column("s", 20, 0), column("m", 1700, 0)];
    let parts = [
        row(&[Some("a"), Some("1"), Some("9")]),
        row(&[Some("b"), Some("10"), None]),
        row(&[None, Some("2"), Some("NaN")]),
        row(&[Some("a"), Some("4"), Some("10")]),
        row(&[None, Some("4"), Some("Infinity")]),
        row(&[Some(""), None, None]),
    ];
    let expected = ["b|10|~", "~|6|NaN", "a|5|10", "|~|~"];
    assert_eq!(grouped(&merge, &input, ALL, &parts).unwrap(), expected);
    let page = Bounds { limit: Some(2), offset: 1, ..ALL };
    assert_eq!(grouped(&merge, &input, page, &parts).unwrap(), expected[1..3]);
}

#[test]
fn equal_keys_are_one_group_and_spellings_of_a_shown_numeric_are_refused() {
    let output = |shown: bool| if shown { vec![Output::Column(0)] } else { vec![aggregate(Aggregate::Count, 1)] };
    let count = |oid, shown, a: &str, b: &str| {
        let merge = merge(output(shown), Some(vec![0]), Vec::new());
        let input = [column("k", oid, 0), column("n", 20, 0)];
        grouped(&merge, &input, ALL, &[row(&[Some(a), Some("1")]), row(&[Some(b), Some("2")])])
    };
    assert_eq!(count(701, true, "-0", "0").unwrap(), ["-0"]);
    assert_eq!(count(701, true, "NaN", "NaN").unwrap(), ["NaN"]);
    assert_eq!(count(1184, true, "2024-01-01 00:00:00+00", "2024-01-01 01:00:00+01").unwrap().len(), 1);
    assert_eq!(count(1700, true, "1.0", "1.0").unwrap(), ["1.0"]);
    assert_eq!(count(1700, true, "1.0", "1.00"), Err(MergeError::AmbiguousKey { column: "k".into() }));
    assert_eq!(count(1700, false, "1.0", "1.00").unwrap(), ["3"]);
    assert_eq!(count(25, true, "a", "a ").unwrap(), ["a", "a "]);
}

#[test]
fn sums_that_do_not_fit_are_errors() {
    let sum = |oid, a: &str, b: &str| {
        let merge = merge(vec![aggregate(Aggregate::Sum, 0)], Some(Vec::new()), Vec::new());
        grouped(&merge, &[column("s", oid, 0)], ALL, &[row(&[Some(a)]), row(&[Some(b)])])
    };
    let float = Err(MergeError::OutOfRange("value out of range: overflow"));
    assert_eq!(sum(20, "9223372036854775807", "1"), Err(MergeError::OutOfRange("bigint out of range")));
    assert_eq!(sum(20, "9223372036854775807", "-1").unwrap(), ["9223372036854775806"]);
    assert_eq!(sum(701, "1e308", "1e308"), float);
    assert_eq!(sum(700, "3e38", "3e38"), float);
    assert_eq!(sum(701, "Infinity", "1e308").unwrap(), ["Infinity"]);
    assert_eq!(sum(701, "Infinity", "-Infinity").unwrap(), ["NaN"]);
    assert_eq!(sum(700, "0.1", "0.2").unwrap(), ["0.3"]);
    let nines = "9".repeat(131_072);
    assert_eq!(sum(1700, &nines, "1"), Err(MergeError::OutOfRange("value overflows numeric format")));
}

#[test]
fn groups_stay_within_their_bound() {
    let merge = merge(vec![Output::Column(0)], Some(vec![0]), Vec::new());
    let mut merger = Merger::new(&merge, &[column("k", 23, 0)], EXACT, Bounds { max_bytes: 10_000, ..ALL }).unwrap();
    let error = (0..1000).find_map(|key| merger.push(&row(&[Some(key.to_string())])).err());
    assert_eq!(error, Some(MergeError::TooLarge { max_bytes: 10_000 }));
    let mut same = Merger::new(&merge, &[column("k", 23, 0)], EXACT, Bounds { max_bytes: 10_000, ..ALL }).unwrap();
    assert!((0..10_000).all(|_| same.push(&row(&[Some("7")])).is_ok()));
}

#[test]
fn hidden_columns_are_dropped_and_the_rest_is_verbatim() {
    let input = [column("a", 23, 0), column("b", 25, 0)];
    let body = row(&[Some("1"), None]);
    for (output, expected) in [(vec![1, 0], "~|1"), (vec![0], "1"), (vec![0, 1], "1|~"), (vec![0, 0], "1|1")] {
        let merge = merge(output.iter().map(|column| Output::Column(*column)).collect(), None, Vec::new());
        let merger = Merger::new(&merge, &input, EXACT, ALL).unwrap();
        let mut out = BytesMut::new();
        merger.write_row(&body, &mut out).unwrap();
        assert_eq!(rows(&out), [expected]);
        assert_eq!(merger.output().len(), output.len());
    }
}

#[test]
fn a_plan_that_does_not_fit_is_an_error() {
    let input = [column("a", 20, 0)];
    for merge in [
        merge(vec![Output::Column(1)], None, Vec::new()),
        merge(vec![aggregate(Aggregate::Count, 0)], None, Vec::new()),
        merge(vec![Output::Column(0)], None, vec![ascending(1)]),
        merge(vec![Output::Column(0)], Some(vec![1]), Vec::new()),
        merge(vec![aggregate(Aggregate::Avg, 0)], Some(Vec::new()), Vec::new()),
        merge(vec![aggregate(Aggregate::Sum, 3)], Some(Vec::new()), Vec::new()),
    ] {
        assert_eq!(Merger::new(&merge, &input, EXACT, ALL).err(), Some(MergeError::Misfit { columns: 1 }));
    }
}

#[test]
fn rows_without_order_pass_as_they_come_within_the_limit() {
    let merge = merge(vec![Output::Column(0)], None, Vec::new());
    let bounds = Bounds { limit: Some(2), offset: 1, ..ALL };
    let merger = Merger::new(&merge, &[column("a", 114, 0)], EXACT, bounds).unwrap();
    let mut sorted = Sorted::new(merger, 2);
    assert_eq!(sorted.next(), Step::NeedMore(0));
    for value in ["x", "y", "z", "w"] {
        sorted.offer(1, row(&[Some(value)])).unwrap();
    }
    assert_eq!(sorted.next(), Step::Row(row(&[Some("y")])));
    assert_eq!(sorted.next(), Step::Row(row(&[Some("z")])));
    assert_eq!(sorted.next(), Step::Done);
}

fn numeric_text() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => "-?[0-9]{1,30}(\\.[0-9]{1,30})?",
        1 => prop::sample::select(vec!["NaN", "Infinity", "-Infinity", "0", "0.000"]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn streams_merge_to_one_sorted_list(
        mut streams in prop::collection::vec(prop::collection::vec((prop::option::of(-5i32..5), "[ab]{0,2}"), 0..20), 0..6),
        descending: bool, nulls_first: bool, limit in prop::option::of(0u64..40), offset in 0u64..10,
    ) {
        let order = vec![OrderBy { column: 0, descending, nulls_first }, ascending(1)];
        let mut merge = merge(vec![Output::Column(0)], None, order);
        merge.byte_ordered.push(1);
        let model = |(number, text): &(Option<i32>, String)| {
            let number = number.map(|number| if descending { -number } else { number });
            (number.is_none() != nulls_first, number, text.clone())
        };
        streams.iter_mut().for_each(|rows| rows.sort_by_key(model));
        let body = |(number, text): &(Option<i32>, String)| row(&[number.map(|n| n.to_string()), Some(text.clone())]);
        let mut all: Vec<_> = streams.iter().flatten().cloned().collect();
        all.sort_by_key(model);
        let expected: Vec<Bytes> =
            all.iter().skip(offset as usize).take(limit.map_or(usize::MAX, |limit| limit as usize)).map(body).collect();
        let input = [column("n", 23, 0), column("t", 25, 0)];
        let merger = Merger::new(&merge, &input, EXACT, Bounds { limit, offset, ..ALL }).unwrap();
        let streams: Vec<Vec<Bytes>> = streams.iter().map(|rows| rows.iter().map(body).collect()).collect();
        prop_assert_eq!(sorted(merger, &streams), expected);
    }

    #[test]
    fn splitting_numerics_over_shards_changes_no_digit(
        numbers in prop::collection::vec((numeric_text(), 0usize..4), 1..20), binary: bool,
    ) {
        let total = |numbers: &mut dyn Iterator<Item = &str>| {
            numbers.map(|text| Numeric::read(text.as_bytes(), false).unwrap()).reduce(Numeric::add)
        };
        let whole = total(&mut numbers.iter().map(|(text, _)| text.as_str())).unwrap();
        let format = i16::from(binary);
        let input = [column("s", 1700, format), column("c", 20, 0)];
        let merge = merge(vec![aggregate(Aggregate::Sum, 0), aggregate(Aggregate::Avg, 0)], Some(Vec::new()), Vec::new());
        let mut merger = Merger::new(&merge, &input, EXACT, ALL).unwrap();
        for shard in 0..4 {
            let part: Vec<&str> = numbers.iter().filter(|(_, at)| *at == shard).map(|(text, _)| text.as_str()).collect();
            let sum = total(&mut part.iter().copied()).map(|sum| sum.write(binary).unwrap());
            merger.push(&row(&[sum, Some(part.len().to_string().into_bytes())])).unwrap();
        }
        let mut out = BytesMut::new();
        merger.finish(&mut out).unwrap();
        let average = whole.clone().divide(numbers.len() as u128);
        let expected = row(&[Some(whole.write(binary).unwrap()), Some(average.write(binary).unwrap())]);
        prop_assert_eq!(&out[5..], &expected[..]);
    }

    #[test]
    fn numerics_survive_both_formats(text in numeric_text()) {
        let number = Numeric::read(text.as_bytes(), false).unwrap();
        let binary = number.write(true).unwrap();
        prop_assert_eq!(&Numeric::read(&binary, true).unwrap(), &number);
        let again = Numeric::read(&number.write(false).unwrap(), false).unwrap();
        prop_assert_eq!(again, number);
        let key = |bytes: &[u8], format| {
            let merge = merge(vec![Output::Column(0)], None, vec![ascending(0)]);
            let merger = Merger::new(&merge, &[column("c", 1700, format)], EXACT, ALL).unwrap();
            merger.key(&row(&[Some(bytes)])).unwrap()
        };
        prop_assert_eq!(key(text.as_bytes(), 0), key(&binary, 1));
    }

    #[test]
    fn floats_survive_their_text(bits: u64) {
        let (wide, narrow) = (f64::from_bits(bits), f32::from_bits(bits as u32));
        let (wide_back, narrow_back) = (float::float8(wide).parse::<f64>().unwrap(), float::float4(narrow).parse::<f32>().unwrap());
        prop_assert!(wide_back.to_bits() == wide.to_bits() || wide.is_nan());
        prop_assert!(narrow_back.to_bits() == narrow.to_bits() || narrow.is_nan());
    }

    #[test]
    fn no_row_makes_it_panic(
        body in prop::collection::vec(any::<u8>(), 0..60), value in prop::collection::vec(any::<u8>(), 0..20), format in 0i16..2,
    ) {
        for (oid, _) in ORDERS {
            let input = [column("a", *oid, format), column("b", 20, format)];
            let mut plain = merge(vec![Output::Column(1)], None, vec![ascending(0)]);
            plain.byte_ordered.push(0);
            let passing = Merger::new(&plain, &input, EXACT, ALL).unwrap();
            let mut group = merge(vec![aggregate(Aggregate::Max, 0), aggregate(Aggregate::Count, 1)], Some(vec![0]), vec![ascending(0)]);
            group.byte_ordered.push(0);
            let mut collecting = Merger::new(&group, &input, EXACT, ALL).unwrap();
            let mut out = BytesMut::new();
            for row in [Bytes::from(body.clone()), row(&[Some(&value), None]), row(&[None, Some(&value)])] {
                let _ = (passing.key(&row), passing.write_row(&row, &mut out), collecting.push(&row));
            }
            let _ = collecting.finish(&mut out);
            for function in [Aggregate::Sum, Aggregate::Avg] {
                let sum = merge(vec![aggregate(function, 0)], Some(Vec::new()), Vec::new());
                if let Ok(mut summing) = Merger::new(&sum, &input, EXACT, ALL) {
                    let _ = (summing.push(&row(&[Some(&value), Some(&value)])), summing.finish(&mut out));
                }
            }
        }
    }
}

/// Each line: type, a value's text, its bytes in binary format; within a type as PostgreSQL's ORDER BY has them.
#[test]
fn both_formats_are_ordered_as_postgresql_orders_them() {
    let key = |oid: u32, format: i16, value: &[u8]| {
        let mut merge = merge(vec![Output::Column(0)], None, vec![ascending(0)]);
        merge.byte_ordered.push(0);
        let merger = Merger::new(&merge, &[column("c", oid, format)], EXACT, ALL).unwrap();
        merger.key(&row(&[Some(value)])).unwrap()
    };
    let mut before: Option<(u32, SortKey)> = None;
    for line in include_str!("tests/orders.tsv").lines() {
        let [oid, text, binary] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let oid = oid.parse().unwrap();
        let from_text = key(oid, 0, text.as_bytes());
        assert_eq!(from_text, key(oid, 1, &unhex(binary)), "{line}");
        if let Some((previous, lesser)) = before.replace((oid, from_text.clone())) {
            assert!(previous != oid || lesser <= from_text, "{line}");
        }
    }
}
