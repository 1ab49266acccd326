use super::plan_of;
use proptest::prelude::*;

const WORDS: &[&str] = &[
    "select",
    "from",
    "where",
    "orders",
    "items",
    "products",
    "logs",
    "customer_id",
    "id",
    "=",
    "5",
    "'x'",
    "$1",
    "(",
    ")",
    ",",
    "and",
    "or",
    "not",
    "in",
    "any",
    "join",
    "left",
    "on",
    "using",
    "group",
    "by",
    "order",
    "limit",
    "offset",
    "count(*)",
    "avg(",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "create",
    "table",
    "alter",
    "drop",
    "add",
    "unique",
    "index",
    "copy",
    "stdin",
    "explain",
    "with",
    "as",
    "null",
    "default",
    "::",
    "int",
    ".",
    "*",
    ";",
    "-",
    "\"",
    "'",
    "case",
    "when",
    "end",
    "é",
    "u&\"",
    "pgring",
    "version",
    "call",
    "truncate",
    "references",
    "primary",
    "key",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_sequence_of_words_makes_the_planner_panic(words in proptest::collection::vec(0..WORDS.len(), 0..25), blanks in any::<u32>()) {
        let mut text = String::new();
        for (at, word) in words.iter().enumerate() {
            text.push_str(WORDS[*word]);
            if blanks >> (at % 32) & 1 == 0 || at % 3 == 0 {
                text.push(' ');
            }
        }
        let _ = plan_of(&text);
    }

    #[test]
    fn no_text_makes_the_planner_panic(text in "\\PC{0,60}") {
        let _ = plan_of(&text);
    }
}

#[test]
fn a_long_chain_of_operators_is_not_walked() {
    let chain = vec!["customer_id = 1"; 50_000].join(" or ");
    let _ = plan_of(&format!("select * from orders where {chain}"));
    let deep = format!("select * from orders where {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let _ = plan_of(&deep);
}

#[test]
fn a_long_chain_fits_a_small_stack() {
    let chain = vec!["customer_id = 1"; 250].join(" or ");
    let text = format!("select * from orders where {chain}");
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let plan = thread.spawn(move || plan_of(&text)).expect("a thread").join().expect("no overflow");
    assert!(matches!(plan.kind, crate::plan::PlanKind::Sharded(_)));
}
