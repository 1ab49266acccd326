//! Views on sharded tables: where they are looked into, and what of them is gathered.

use super::{column, line, plan_with, relation, schema};
use crate::{
    plan::{Gather, Many, Plan, PlanKind, ViewPart},
    topology::schema::{Default, RelationKind, Schema, ViewText},
};
use std::sync::Arc;

/// The schema of the tests with views: name, columns, what it reads, definition.
fn with_views(views: &[(&str, &[&str], &[&str], &str)]) -> Schema {
    let mut schema = schema();
    for (name, columns, reads, select) in views {
        let columns = columns.iter().map(|name| column(name, "bigint", true, Default::None)).collect();
        let (name, made) = relation(name, RelationKind::View, columns, reads);
        let mut made = Arc::unwrap_or_clone(made);
        made.definition = Some(ViewText { select: (*select).into(), barrier: false });
        schema.relations.insert(name, Arc::new(made));
    }
    schema
}

fn views() -> Schema {
    with_views(&[
        (
            "plain",
            &["who", "nr"],
            &["orders"],
            " SELECT orders.customer_id AS who,\n    orders.id AS nr\n   FROM public.orders\n  WHERE (orders.total > (5)::numeric);",
        ),
        ("fixed", &["id"], &["orders"], "SELECT orders.id FROM public.orders WHERE (orders.customer_id = 42);"),
        (
            "grouped",
            &["customer_id", "n"],
            &["orders"],
            "SELECT o.customer_id, count(*) AS n FROM public.orders o GROUP BY o.customer_id;",
        ),
        (
            "by_code",
            &["code", "n"],
            &["orders"],
            "SELECT orders.code, count(*) AS n FROM public.orders GROUP BY orders.code;",
        ),
        ("limited", &["customer_id"], &["orders"], "SELECT orders.customer_id FROM public.orders LIMIT 10;"),
        (
            "ranked",
            &["customer_id", "place"],
            &["orders"],
            "SELECT orders.customer_id, rank() OVER (ORDER BY orders.id) AS place FROM public.orders;",
        ),
        (
            "ranked_by_key",
            &["customer_id", "place"],
            &["orders"],
            "SELECT orders.customer_id, rank() OVER (PARTITION BY orders.customer_id) AS place FROM public.orders;",
        ),
        (
            "first_of",
            &["customer_id", "code"],
            &["orders"],
            "SELECT DISTINCT ON (orders.code) orders.customer_id, orders.code FROM public.orders ORDER BY orders.code;",
        ),
        (
            "both",
            &["customer_id"],
            &["orders", "items"],
            "SELECT orders.customer_id FROM public.orders UNION ALL SELECT items.customer_id FROM public.items;",
        ),
        (
            "half",
            &["customer_id"],
            &["orders", "products"],
            "SELECT orders.customer_id FROM public.orders UNION ALL SELECT 1 FROM public.products;",
        ),
        (
            "joined",
            &["k", "sku"],
            &["orders", "items"],
            "SELECT o.customer_id AS k, i.sku FROM (public.orders o LEFT JOIN public.items i ON ((i.customer_id = o.customer_id)));",
        ),
        (
            "nested",
            &["k", "n"],
            &["orders", "plain"],
            "SELECT plain.who AS k, count(*) AS n FROM public.plain GROUP BY plain.who;",
        ),
        ("round", &["k"], &["orders", "round"], "SELECT round.k FROM public.round;"),
        ("odd", &["x"], &["orders"], "SELECT (o.*)::public.orders AS x FROM public.orders o;"),
        (
            "dated",
            &["customer_id", "late"],
            &["orders"],
            "SELECT orders.customer_id, (now() > CURRENT_DATE) AS late FROM public.orders;",
        ),
        (
            "scored",
            &["customer_id"],
            &["orders"],
            "SELECT orders.customer_id FROM public.orders WHERE (public.everyone() > 5);",
        ),
    ])
}

fn check(cases: &[(&str, &str)]) {
    let schema = views();
    let found = |text: &str| line(text, &plan_with(text, &schema));
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| found(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  expected {expected}\n  found    {}", found(text)))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn gather(plan: &Plan) -> &Gather {
    match &plan.kind {
        PlanKind::Gather(gather) => gather,
        PlanKind::Sharded(sharded) => match &sharded.many {
            Many::Gather(gather) => gather,
            Many::Merge { gather: Some(gather), .. } => gather,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_views_are_routed_and_merged_as_their_tables() {
    check(&[
        ("select * from plain where who = 7", "7 | merge"),
        ("select count(*) from plain", "every | merge"),
        ("select p.a from plain p (a, b) where p.a = 7", "7 | merge"),
        ("select public.plain.nr from public.plain where public.plain.who in (1, 2)", "either(1 2) | merge"),
        ("select * from plain join items on customer_id = who where who = $1", "$1 | merge"),
        ("select * from items left join plain on who = customer_id", "every | merge"),
        ("select * from plain left join items on customer_id = who where who is null", "nothing | merge"),
        ("select * from items left join plain on who = customer_id where who is null", "every | merge"),
        ("select * from fixed", "Integer(42) | merge"),
        ("select * from joined where k = 7", "7 | merge"),
        ("select k, count(sku) from joined group by k", "every | merge"),
        ("select who, rank() over (partition by who order by nr) from plain", "every | merge"),
        ("select * from plain where nr = 7", "every | merge"),
        ("select * from (select * from items where customer_id = 3) x, plain where who = 3", "same(3 3) | gather"),
    ]);
}

#[test]
fn views_that_put_rows_together_go_to_the_shards_where_a_key_keeps_them_apart() {
    check(&[
        ("select * from grouped where customer_id = 7", "7 | merge"),
        ("select * from grouped", "every | merge"),
        ("select * from by_code where code = 7", "every | gather"),
        ("select * from limited where customer_id = 7", "every | gather"),
        ("select * from ranked where customer_id = 7", "every | gather"),
        ("select * from ranked_by_key where customer_id = 7", "7 | merge"),
        ("select * from first_of where customer_id = 7", "every | gather"),
        ("select * from both where customer_id = 7", "7 | merge"),
        ("select * from half where customer_id = 7", "every | gather"),
        ("select * from nested where k = 7", "7 | merge"),
        ("select count(*) from nested", "every | merge"),
    ]);
}

#[test]
fn what_is_not_looked_into_is_refused() {
    check(&[
        ("select * from round where k = 7", "refuse 1002"),
        ("select * from odd", "refuse 1002"),
        ("select * from scored where customer_id = 5", "refuse 1012"),
        ("update grouped set n = 1 where customer_id = 7", "refuse 1002"),
        ("delete from joined where k = 7", "refuse 1002"),
        ("insert into both values (7)", "refuse 1002"),
        ("with plain as (select 1) select * from plain", "anywhere"),
    ]);
}

#[test]
fn a_view_that_shows_one_table_is_written_through() {
    check(&[
        ("update plain set nr = 1 where who = 7", "7 | write"),
        ("update plain set nr = 1 where nr = 7", "every | write"),
        ("update plain set who = 1 where who = 7", "same(7 1) insert | no 1008"),
        ("delete from plain where who = $1", "$1 | write"),
        ("delete from fixed", "Integer(42) | write"),
        ("insert into plain values (7, 1)", "7 insert | no 1003"),
        ("insert into plain (nr, who) values (1, 7), (2, 7)", "either(7 7) insert | split"),
        ("insert into plain (nr) values (1)", "null insert | no 1003"),
        ("insert into fixed values (1)", "null insert | no 1003"),
        ("insert into plain select customer_id, order_id from items where customer_id = 3", "3 | write"),
        (
            "insert into plain (who, nr) values (7, 1) on conflict (nr) do update set who = 5",
            "same(7 5) insert | no 1008",
        ),
    ]);
}

#[test]
fn a_gather_makes_views_anew_in_order_and_copies_what_they_read() {
    let schema = views();
    let plan = plan_with("select n, s.msg from public.nested, logs s where n > 3", &schema);
    let gather = gather(&plan);
    let names: Vec<_> = gather.views.iter().map(|view| (&*view.view.name, &*view.copy)).collect();
    assert_eq!(names, [("plain", "pgring_view_0"), ("nested", "nested")]);
    let columns: Vec<_> = gather.views.iter().map(|view| view.columns.as_deref()).collect();
    assert_eq!(columns, [None, Some(&["n".into()][..])]);
    assert_eq!(gather.views[0].splices, []);
    assert_eq!(gather.views[1].splices.len(), 1);
    let inputs: Vec<_> = gather.inputs.iter().map(|input| (&*input.table.name, &*input.copy, input.in_view)).collect();
    assert_eq!(inputs, [("orders", "pgring_read_0", true), ("logs", "logs", false)]);
    let columns: Vec<_> = gather.inputs[0].columns.iter().map(|column| &*column.name).collect();
    assert_eq!(columns, ["customer_id", "id", "total"]);
    let relations: Vec<_> = gather.views[0].select.iter().filter(|part| !matches!(part, ViewPart::Text(_))).collect();
    let orders = ViewPart::Relation { name: gather.inputs[0].table.clone(), has_alias: false };
    assert_eq!(relations, [&orders]);
}

#[test]
fn a_table_that_a_view_reads_and_the_statement_names_keeps_its_name() {
    let schema = views();
    let plan = plan_with("select count(*) from grouped g join orders o on g.n = o.id", &schema);
    let inputs: Vec<_> = gather(&plan).inputs.iter().map(|input| (&*input.copy, input.in_view)).collect();
    assert_eq!(inputs, [("orders", true)]);
}

#[test]
fn the_time_in_a_view_is_not_replaced() {
    let schema = views();
    let plan = plan_with("select count(distinct late), now() from dated", &schema);
    assert_eq!(gather(&plan).timed, crate::plan::Timed::Hidden);
}

#[test]
fn a_statement_that_is_not_read_gets_its_views_whole() {
    let schema = views();
    let plan = plan_with("select top from (select max(n) as top from nested) x, plain", &schema);
    let gather = gather(&plan);
    let mut names: Vec<_> =
        gather.views.iter().map(|view| (&*view.copy, view.columns.as_ref().map(Vec::len))).collect();
    names.sort_unstable();
    assert_eq!(names, [("nested", Some(2)), ("plain", Some(2))]);
    assert_eq!(gather.inputs[0].columns.len(), 6);
}
