use super::{plan_of, spliced, summary};
use crate::{
    plan::{Many, PlanKind},
    sql::fingerprint::{Lexed, lex},
};

pub(super) fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, summary(text)))
        .filter(|(_, expected, found)| **expected != found)
        .map(|(text, expected, found)| format!("{text}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What every shard gets, and the merge, on one line.
fn merged(text: &str) -> String {
    let plan = plan_of(text);
    let mut lexed = Lexed::default();
    lex(text.as_bytes(), &mut lexed);
    match &plan.kind {
        PlanKind::Sharded(sharded) => match &sharded.many {
            Many::Merge { splices, merge, .. } => {
                let order: Vec<String> = merge
                    .order
                    .iter()
                    .map(|sort| {
                        let nulls = if sort.nulls_first { " nulls first" } else { "" };
                        format!("{}{}{nulls}", sort.column, if sort.descending { " desc" } else { "" })
                    })
                    .collect();
                format!(
                    "{} | {} out, by {:?}, order {order:?}",
                    spliced(text, &lexed, splices),
                    merge.output.len(),
                    merge.group_by
                )
            }
            Many::Gather(_) => "gather".into(),
            Many::Explain(_) => "explain".into(),
            Many::CopyQuery(..) => "copy".into(),
            Many::Write(_) => "write".into(),
            Many::Refuse(refusal) => format!("no {} {}", refusal.reason.number, refusal.what),
        },
        other => format!("{other:?}"),
    }
}

fn check_merged(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, merged(text)))
        .filter(|(_, expected, found)| **expected != found)
        .map(|(text, expected, found)| format!("{text}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn keys_in_where() {
    check(&[
        ("select * from orders where customer_id = 5", "5 | merge"),
        ("select * from orders where 5 = customer_id", "5 | merge"),
        ("select * from orders where customer_id = $1", "$1 | merge"),
        ("select * from orders where customer_id = -5", "-5 | merge"),
        ("select * from orders where customer_id = '5'", "'5' | merge"),
        ("select * from orders where customer_id = $1::bigint", "$1 | merge"),
        ("select * from orders where customer_id = '5'::int", "'5' | merge"),
        ("select * from orders where customer_id = cast($2 as int8)", "$2 | merge"),
        ("select * from orders where customer_id = bigint '5'", "'5' | merge"),
        ("SELECT * FROM Public.Orders WHERE ORDERS.Customer_ID = 5", "5 | merge"),
        ("select * from \"orders\" where \"customer_id\" = 5", "5 | merge"),
        ("select * from orders o where o.customer_id = 5", "5 | merge"),
        ("select * from public.orders where public.orders.customer_id = 5", "5 | merge"),
        ("select * from orders where customer_id = 5 and id = 7", "5 | merge"),
        ("select * from orders where (customer_id = 5) and (id = 7 or total > 3)", "5 | merge"),
        ("select * from orders where (customer_id, id) = (5, 7)", "5 | merge"),
        ("select * from orders where (id, customer_id) in ((1, 2), (3, 4))", "either(2 4) | merge"),
        ("select * from orders where customer_id in (1, 2, $3)", "either(1 2 $3) | merge"),
        ("select * from orders where customer_id = any($1)", "any($1) | merge"),
        ("select * from orders where customer_id = any($1::bigint[])", "any($1) | merge"),
        ("select * from orders where customer_id = any(array[1, 2])", "either(1 2) | merge"),
        ("select * from orders where customer_id = any('{1,2}')", "any('{1,2}') | merge"),
        ("select * from orders where customer_id = 1 or customer_id = 2", "either(1 2) | merge"),
        ("select * from orders where customer_id = 1 and customer_id = 2", "all(1 2) | merge"),
        ("select * from orders where customer_id in (1, 2) and customer_id = 2", "all(either(1 2) 2) | merge"),
        ("select * from events where tenant = 'a'", "'a' | merge"),
        ("select * from events where tenant = $1::text", "$1 | merge"),
        (
            "select * from things where uid = '00000000-0000-0000-0000-000000000001'::uuid",
            "'00000000-0000-0000-0000-000000000001' | merge",
        ),
        ("select * from orders where customer_id = 5 for update", "5 | merge"),
        ("select * from orders where customer_id = 5 for no key update", "5 | merge"),
        ("select * from orders where customer_id = 5 for key share", "5 | merge"),
        ("table orders", "every | gather"),
    ]);
}

#[test]
fn trap_14_mentions_route_nothing() {
    check(&[
        ("select * from orders where customer_id + 1 = 5", "every | merge"),
        ("select * from orders where not customer_id = 5", "every | merge"),
        ("select * from orders where customer_id <> 5", "every | merge"),
        ("select * from orders where customer_id > 5", "every | merge"),
        ("select * from orders where customer_id = 5 or id = 3", "every | merge"),
        ("select * from orders where (customer_id = 5) is not true", "every | merge"),
        ("select * from orders where (customer_id = 5) = false", "every | merge"),
        ("select * from orders where customer_id not in (5)", "every | merge"),
        ("select * from orders where case when customer_id = 5 then true else true end", "every | merge"),
        ("select customer_id = 5 from orders", "every | merge"),
        ("select * from orders where coalesce(customer_id = 5, true)", "every | merge"),
        ("select * from orders as o(id, customer_id) where customer_id = 5", "every | merge"),
        ("select * from orders as o(k) where k = 5", "5 | merge"),
        ("select * from (select * from orders limit 3) o where customer_id = 5", "every | gather"),
        ("with o as (select * from orders) select * from o where customer_id = 5", "5 | merge"),
        ("select customer_id as id, id as customer_id from orders where customer_id = 5", "5 | merge"),
        ("select * from orders where id = 5", "every | merge"),
        ("select * from orders having count(*) filter (where customer_id = 5) > 0", "every | gather"),
        ("select count(*) from orders having max(customer_id) = 5", "every | gather"),
        ("select * from orders o join items i on i.customer_id = 5", "same(every 5) | gather"),
        ("select * from orders o left join items i on o.customer_id = 5", "every | gather"),
        (
            "select * from items i left join orders o on i.customer_id = o.customer_id and i.customer_id = 5",
            "every | merge",
        ),
        ("select * from items where customer_id = (select 5)", "every | merge"),
        ("select * from orders where customer_id between 5 and 5", "every | merge"),
        ("select * from orders where customer_id is not distinct from 5", "every | merge"),
    ]);
}

#[test]
fn trap_15_spellings() {
    check(&[
        ("select * from orders where customer_id = 7.0", "every | merge"),
        ("select * from orders where customer_id::text = '7'", "every | merge"),
        ("select * from orders where customer_id = 7::numeric", "every | merge"),
        ("select * from orders where customer_id = '7'::text::int", "every | merge"),
        ("select * from orders where customer_id = '007'", "'007' | merge"),
        ("select * from orders where customer_id = E'7'", "every | merge"),
        ("select * from orders where customer_id = 7e0", "every | merge"),
        ("select * from events where tenant = 'abc'::varchar(2)", "every | merge"),
        ("select * from events where tenant = 'abc'::char(2)", "every | merge"),
        ("select * from events where tenant = 'a' collate \"C\"", "every | merge"),
        ("select * from events where tenant ilike 'a'", "every | merge"),
        ("select * from events where tenant = 'a' || 'b'", "every | merge"),
        ("select * from events where lower(tenant) = 'a'", "every | merge"),
    ]);
}

#[test]
fn trap_16_nulls() {
    check(&[
        ("select * from orders where customer_id = null", "nothing | merge"),
        ("select * from orders where customer_id in (5, null)", "5 | merge"),
        ("select * from orders where customer_id in (null)", "nothing | merge"),
        ("select * from orders where customer_id is null", "nothing | merge"),
        ("select * from orders where customer_id is null or customer_id = 5", "5 | merge"),
        ("insert into orders(customer_id, id) values (null, 1)", "null insert | fetch"),
        ("insert into orders(id) values (1)", "null insert | no 1003"),
        (
            "select * from items i left join orders o on i.customer_id = o.customer_id where o.customer_id is null",
            "every | merge",
        ),
    ]);
}

#[test]
fn trap_17_two_keys() {
    check(&[
        ("select * from orders a, items b where a.customer_id = 1 and b.customer_id = 2", "same(1 2) | gather"),
        ("select * from orders a, items b where a.customer_id = 1 and b.customer_id = 1", "same(1 1) | gather"),
        ("select * from orders a, items b where a.customer_id = b.customer_id and b.customer_id = 2", "2 | merge"),
        (
            "with a as (select * from orders where customer_id = 1), b as (select * from items where customer_id = 2) select * from a, b",
            "same(1 2) | gather",
        ),
        ("with a as (select * from orders where customer_id = $1) select * from a", "$1 | merge"),
        ("select * from orders, events where tenant = 'a' and customer_id = 5", "gather"),
        (
            "select * from orders where customer_id = 1 union all select * from orders where customer_id = 2",
            "either(1 2) | merge",
        ),
        ("select * from orders where customer_id = $1 union select * from orders where customer_id = $1", "$1 | merge"),
    ]);
}

#[test]
fn traps_11_and_12_joins() {
    check(&[
        ("select * from orders join items using (customer_id)", "every | merge"),
        ("select * from orders join items using (customer_id) where customer_id = 5", "5 | merge"),
        ("select * from orders natural join items where customer_id = 5", "5 | gather"),
        ("select * from orders o join items i on i.customer_id = o.customer_id where i.customer_id = 5", "5 | merge"),
        ("select * from orders o join items i on i.order_id = o.id", "every | gather"),
        ("select * from orders o join items i on i.order_id = o.id and o.customer_id = 5", "same(5 every) | gather"),
        (
            "select * from orders o left join items i on i.customer_id = o.customer_id where o.customer_id = 5",
            "5 | merge",
        ),
        ("select * from orders o left join items i on i.customer_id = o.customer_id", "every | merge"),
        ("select * from orders o right join items i on i.customer_id = o.customer_id", "every | merge"),
        ("select * from orders o full join items i on i.customer_id = o.customer_id", "every | gather"),
        ("select * from orders a join orders b on a.id = b.id", "every | gather"),
        ("select * from orders o join products p on true", "every | merge"),
        ("select * from orders o left join products p on p.sku = o.code", "every | merge"),
        ("select * from products p left join items i on i.sku = p.sku", "every | gather"),
        ("select * from products p left join items i on i.sku = p.sku and i.customer_id = 5", "5 | gather"),
        ("select * from products p right join items i on i.sku = p.sku", "every | merge"),
        ("select * from products p where not exists (select 1 from items i where i.sku = p.sku)", "every | gather"),
        ("select * from orders cross join logs", "gather"),
        ("select * from orders o join log_view v on true where o.customer_id = 5", "gather"),
        ("select * from orders o join catalogue c on c.sku = o.code where o.customer_id = 5", "5 | merge"),
        ("select * from orders, pg_class where customer_id = 5", "refuse 1007"),
        ("select * from orders, scratch where customer_id = 5", "gather"),
    ]);
}

#[test]
fn trap_10_sub_selects() {
    check(&[
        (
            "select * from orders o where exists (select 1 from items i where i.customer_id = o.customer_id)",
            "every | merge",
        ),
        (
            "select * from orders o where exists (select 1 from items i where i.customer_id = o.customer_id) and o.customer_id = 5",
            "5 | merge",
        ),
        ("select * from orders o where exists (select 1 from items i where i.order_id = o.id)", "every | gather"),
        ("select * from orders where id not in (select order_id from items)", "every | gather"),
        (
            "select * from orders where customer_id = 5 and id not in (select order_id from items)",
            "same(5 every) | gather",
        ),
        (
            "select * from orders where customer_id = 5 and id not in (select order_id from items where customer_id = 5)",
            "same(5 5) | gather",
        ),
        (
            "select * from orders where customer_id = $1 and id not in (select order_id from items where customer_id = $1)",
            "$1 | gather",
        ),
        ("select * from orders where total > all (select total from orders)", "every | gather"),
        (
            "select (select max(order_id) from items i where i.customer_id = o.customer_id) from orders o",
            "every | merge",
        ),
        ("select (select sum(o.total)) from orders o", "every | gather"),
        ("select * from orders where code in (select sku from products)", "every | merge"),
        (
            "select * from orders o, lateral (select * from items i where i.customer_id = o.customer_id) x where o.customer_id = 5",
            "5 | merge",
        ),
        ("select * from logs where id in (select id from orders where customer_id = 5)", "gather"),
        ("select exists (select 1 from orders where customer_id = 5)", "5 | gather"),
        ("select array(select id from orders where customer_id = 5)", "5 | no 1002"),
        ("select array(select id from orders where customer_id = 5 order by id)", "5 | gather"),
        ("select array(select id from orders order by id)", "every | gather"),
        ("select array(select distinct id from orders)", "every | no 1002"),
    ]);
}

#[test]
fn forms_over_many_shards() {
    check(&[
        // 2
        ("select count(distinct id) from orders", "every | gather"),
        ("select count(distinct id) from orders where customer_id = 5", "5 | gather"),
        ("select array_agg(id) from orders", "every | no 1002"),
        // 1
        ("select stddev(total) from orders", "every | gather"),
        // 3
        ("select * from orders order by note", "every | gather"),
        ("select min(note) from orders", "every | gather"),
        ("select max(code) from orders", "every | merge"),
        ("select * from orders order by note collate \"C\"", "every | merge"),
        ("select * from orders order by code", "every | merge"),
        ("select loose, count(*) from orders group by loose", "every | gather"),
        // 5
        ("select * from orders order by id fetch first 3 rows with ties", "every | gather"),
        ("select * from orders limit 3 + 4", "every | gather"),
        ("select * from orders order by id limit $1", "every | merge"),
        // 7
        ("select row_number() over (order by id) from orders", "every | gather"),
        ("select row_number() over (partition by id) from orders", "every | gather"),
        ("select row_number() over (partition by customer_id + 0) from orders", "every | gather"),
        ("select row_number() over (partition by customer_id order by id) from orders", "every | merge"),
        ("select row_number() over w from orders window w as (partition by customer_id)", "every | gather"),
        // 8
        ("select id, count(*) from orders group by id having count(*) > 1", "every | gather"),
        ("select customer_id, count(*) from orders group by customer_id having count(*) > 1", "every | merge"),
        ("select customer_id, string_agg(code, ',') from orders group by 1", "every | merge"),
        ("select id, count(*) from orders group by rollup (id)", "every | gather"),
        ("select id, count(*) from orders group by grouping sets ((id), ())", "every | gather"),
        ("select distinct id from orders", "every | gather"),
        ("select distinct customer_id, id from orders", "every | merge"),
        ("select distinct * from orders", "every | merge"),
        ("select distinct on (customer_id) * from orders", "every | gather"),
        ("select distinct count(*) from orders group by id", "every | gather"),
        ("select sum(total) / count(*) from orders", "every | gather"),
        ("select coalesce(sum(total), 0) from orders", "every | gather"),
        // 13
        ("select id from orders union all select id from items", "every | merge"),
        ("select sku from products union all select sku from items", "every | gather"),
        ("select id from orders except select order_id from items", "every | gather"),
        // 19
        ("select now(), id from orders", "every | gather"),
        ("select current_date, id from orders", "every | gather"),
        ("select random() from orders", "every | gather"),
        ("select score(id) from orders", "every | no 1002"),
        ("select score(id) from orders where customer_id = 5", "5 | no 1002"),
        ("select pure(id) from orders", "every | no 1002"),
        ("select nextval('s') from orders where customer_id = 5", "refuse 1012"),
        ("select everyone()", "refuse 1012"),
        ("select other.twice() from orders where customer_id = 5", "refuse 1012"),
        ("select pg_advisory_lock(id) from orders where customer_id = 5", "refuse 1012 pin advisory lock"),
        // others
        ("select ctid from orders", "every | no 1002"),
        ("select o from orders o", "every | gather"),
        ("select 'orders'::regclass from orders", "every | no 1002"),
        ("select * from only orders", "every | merge"),
        ("select * from orders tablesample system (10)", "every | no 1002"),
        ("select * from orders order by id using <", "every | gather"),
        ("select id from orders order by upper(code)", "every | merge"),
        ("select * from orders for share", "every | merge"),
        ("select id into x from orders", "refuse 1007"),
    ]);
}

#[test]
fn texts_for_the_shards() {
    check_merged(&[
        ("select * from orders", "select * from orders | 6 out, by None, order []"),
        (
            "select id from orders order by total desc",
            "select id, total AS pgring_order_1 from orders order by total desc | 1 out, by None, order [\"1 desc nulls first\"]",
        ),
        (
            "select id from orders order by 1 desc nulls last",
            "select id from orders order by 1 desc nulls last | 1 out, by None, order [\"0 desc\"]",
        ),
        (
            "select id as total from orders order by total",
            "select id as total from orders order by total | 1 out, by None, order [\"0\"]",
        ),
        (
            "select total::text, id from orders order by total",
            "select total::text, id from orders order by total | 2 out, by None, order [\"0\"]",
        ),
        (
            "select * from orders order by total + 1, id limit 5",
            "select *, total + 1 AS pgring_order_6 from orders order by total + 1, id limit 5 | 6 out, by None, order [\"6\", \"1\"]",
        ),
        (
            "select id from orders limit 5 offset 2",
            "select id from orders LIMIT CASE WHEN (5)::bigint < 0 THEN (5)::bigint ELSE least((5)::numeric + greatest((2)::bigint, 0), 9223372036854775807)::bigint END OFFSET least((2)::bigint, 0) | 1 out, by None, order []",
        ),
        ("select count(*) from orders", "select count(*) from orders | 1 out, by Some([]), order []"),
        (
            "select avg(total) as mean, min(id) from orders",
            "select sum(total) as mean, count(total), min(id) from orders | 2 out, by Some([]), order []",
        ),
        (
            "select avg(total) filter (where id > 3) from orders",
            "select sum(total) filter (where id > 3), count(total) filter (where id > 3) from orders | 1 out, by Some([]), order []",
        ),
        (
            "select code, sum(total) from orders group by code order by 2 desc limit 3",
            "select code, sum(total) from orders group by code  LIMIT CASE WHEN (3)::bigint < 0 THEN (3)::bigint END | 2 out, by Some([0]), order [\"1 desc nulls first\"]",
        ),
        (
            "select count(*) from orders group by code",
            "select count(*), code from orders group by code | 1 out, by Some([1]), order []",
        ),
        (
            "select id % 10 as d, count(*) from orders group by 1 order by d",
            "select id % 10 as d, count(*) from orders group by 1  | 2 out, by Some([0]), order [\"0\"]",
        ),
        (
            "select a is distinct from b from orders o, generate_series(1, 3) a, generate_series(1, 2) b",
            "select a is distinct from b from orders o, generate_series(1, 3) a, generate_series(1, 2) b | 1 out, by None, order []",
        ),
        (
            "select customer_id, count(*) from orders group by customer_id order by 2",
            "select customer_id, count(*) from orders group by customer_id order by 2 | 2 out, by None, order [\"1\"]",
        ),
    ]);
}

#[test]
fn traps_19_to_22_writes() {
    check(&[
        ("insert into orders(customer_id, id) values (5, 1)", "5 insert | fetch"),
        ("insert into orders values (5, 1, 2, 'x', 'y', 'z')", "5 insert | fetch"),
        ("insert into orders(id, customer_id) values (1, $1), (2, $2)", "either($1 $2) insert | split"),
        ("insert into orders(customer_id, id) values ('5'::int, 1) returning *", "'5' insert | fetch"),
        ("insert into orders(customer_id, id) values (5, 1) on conflict do nothing", "5 insert | fetch"),
        (
            "insert into orders(customer_id, id) values (5, 1) on conflict (id) do update set total = excluded.total",
            "5 insert | fetch",
        ),
        (
            "insert into orders(customer_id, id) values (5, 1) on conflict (id) do update set customer_id = 6",
            "same(5 6) insert | no 1008",
        ),
        ("insert into orders(customer_id, id) values (2 + 3, 1)", "every insert | fetch"),
        ("insert into orders(customer_id, id) values (default, 1)", "null insert | no 1003"),
        ("insert into orders default values", "null insert | no 1003"),
        ("insert into orders(customer_id, id, code) values (5, 1, md5(random()::text))", "5 insert | fetch"),
        ("insert into orders(customer_id, id) values (5, nextval('s'))", "refuse 1012"),
        ("insert into tickets(customer_id, body) values (5, 'x')", "refuse 1006"),
        ("insert into tickets(customer_id, body, id) values (5, 'x', default)", "refuse 1006"),
        ("insert into tickets(customer_id, body, id) values (5, 'x', 1)", "5 insert | no 1003"),
        ("insert into tickets values (5, 'x')", "refuse 1006"),
        (
            "insert into orders(customer_id, id) select 5, id from items where customer_id = 5",
            "same(5 5) insert | fetch",
        ),
        (
            "insert into orders(customer_id, id) select customer_id, order_id from items where customer_id = $1",
            "$1 | write",
        ),
        (
            "insert into orders(customer_id, id) select order_id, 1 from items where customer_id = $1",
            "same($1 apart) | fetch",
        ),
        ("insert into orders(customer_id, id) select 5, 1", "5 insert | fetch"),
        ("insert into orders(customer_id, id) select id, 1 from logs", "apart | fetch"),
        ("insert into logs select id, note from orders", "refuse 1007"),
        ("insert into products values ('a', 'b')", "reference insert products"),
        ("insert into products values ('a', 'b') on conflict do nothing", "reference insert products"),
        (
            "insert into products values ('a', 'b') on conflict (sku) do update set name = 'c'",
            "reference upsert products",
        ),
        ("update products set name = 'x'", "reference update products"),
        ("with l as (select * from logs) delete from products using l where l.msg = sku", "reference delete products"),
        ("merge into products p using logs on true when matched then delete", "reference compared products"),
        ("update only products set name = 'x'", "reference compared products"),
        ("update catalogue set sku = 'x'", "reference compared products"),
        ("do $$ begin update products set name = 'x'; end $$", "reference compared products"),
        ("do $$ begin perform name from products; end $$", "local"),
        ("do $$ begin perform everyone(); end $$", "refuse 1012"),
        ("explain update products set name = 'x'", "local"),
        ("explain analyze update products set name = 'x'", "reference compared products"),
        ("insert into products select code, note from orders", "refuse 1004"),
        ("insert into logs values (1, 'x')", "local"),
        ("insert into logs select 1, sku from products", "local"),
        ("update orders set total = 1 where customer_id = 5", "5 | write"),
        ("update orders set total = 1", "every | write"),
        ("update orders set customer_id = 6 where customer_id = 5", "same(5 6) insert | no 1008"),
        ("update orders set customer_id = $1 where id = 3 and customer_id = $1", "$1 insert | no 1008"),
        ("update orders set customer_id = 6 where id = 5", "same(every 6) insert | no 1008"),
        ("update orders set customer_id = customer_id + 1 where customer_id = 5", "refuse 1008"),
        ("update orders set customer_id = null where customer_id = 5", "refuse 1008"),
        ("update things set uid = 'x' where uid = 'x'", "refuse 1008"),
        ("update orders set (id, customer_id) = (1, 2) where customer_id = 5", "refuse 1008"),
        (
            "update orders o set total = 1 from items i where i.customer_id = o.customer_id and o.customer_id = 5",
            "5 | write",
        ),
        ("update orders o set total = 1 from products p where p.sku = o.code and o.customer_id = 5", "5 | write"),
        ("update orders o set total = 1 from items i where o.customer_id = 5", "same(5 every) | no 1003"),
        ("delete from orders where customer_id = 5 and id = 1", "5 | write"),
        (
            "delete from orders using items i where orders.customer_id = i.customer_id and i.customer_id = $1",
            "$1 | write",
        ),
        ("delete from orders", "every | write"),
        ("with x as (delete from orders where customer_id = 5 returning *) select * from x", "5 | no 1003"),
        (
            "with x as (delete from orders where customer_id = $1 returning *) insert into orders(customer_id, id) select $1, id from x",
            "$1 insert | no 1003",
        ),
        ("with x as (delete from orders returning *) select * from x", "every | no 1003"),
        ("with x as (insert into products values ('a') returning *) select * from logs", "reference compared products"),
        ("merge into orders using items on true when matched then delete", "judge"),
        ("merge into logs using logs l on true when matched then delete", "local"),
    ]);
}

#[test]
fn traps_23_and_25_everything_else() {
    check(&[
        ("select 1", "anywhere"),
        ("select now()", "anywhere"),
        ("select random()", "anywhere"),
        ("select nextval('s')", "local"),
        ("select score(1)", "local"),
        ("select something_unknown(1)", "local"),
        ("select pg_advisory_lock(1)", "local pin advisory lock"),
        ("select pg_advisory_xact_lock(1)", "local"),
        ("select set_config('a.b', 'c', false)", "anywhere sets 1"),
        ("select pg_catalog.set_config($1, $2, $3) as x, set_config('a.b', null, true), now()", "anywhere sets 2"),
        ("select set_config('a.b', upper('c'), false)", "local pin set_config"),
        ("select set_config('a.b', note, false) from logs", "local pin set_config"),
        ("select upper(set_config('a.b', 'c', false))", "local pin set_config"),
        ("select pg_backend_pid()", "builtin"),
        ("select pg_backend_pid() from logs", "local"),
        ("select pg_terminate_backend($1) as ended", "builtin"),
        ("select pg_terminate_backend(pid) from logs", "local"),
        ("select query_to_xml('select * from orders', true, true, '')", "refuse 1012"),
        ("select * from pg_class", "catalog"),
        ("select * from information_schema.tables", "catalog"),
        ("select * from logs", "local"),
        ("select * from nowhere", "local"),
        ("select * from scratch", "local"),
        ("select * from products", "reference"),
        ("select * from products for update", "local"),
        ("select * from products, logs", "local"),
        ("select * from catalogue", "reference"),
        ("select * from open_orders where customer_id = 5", "refuse 1002"),
        ("select * from log_view", "local"),
        ("values (1), (2)", "anywhere"),
        ("do $$ begin delete from orders; end $$", "refuse 1012"),
        ("select 1 union select 2 limit (select count(*) from orders)", "every | gather"),
        ("select 1 limit (select count(*) from orders)", "every | gather"),
        ("do $$delete from orders$$", "refuse 1012"),
        ("do $$ begin perform 1; end $$", "local"),
        ("select * from public.scratch, scratch", "local"),
        ("with orders as (select 1) insert into orders(customer_id, id) values (5, 1)", "5 insert | no 1003"),
        ("with orders as (select 1 as customer_id) select * from orders where customer_id = 5", "anywhere"),
        ("with recursive r as (select 1 as n union all select n + 1 from r) select * from r", "anywhere"),
        (
            "with recursive r as (select id from orders where customer_id = 5 union all select o.id from orders o, r) select * from r",
            "same(5 every) | gather",
        ),
        ("select * from orders where customer_id = 5 and note = 'a'\n'b'", "5 | merge"),
        ("select * from orders where customer_id = 0x10", "judge"),
        ("call tidy('orders')", "refuse 1012"),
        ("call tidy()", "local"),
        ("load 'auto_explain'", "local pin LOAD"),
        ("truncate orders", "ddl"),
        ("truncate logs", "local"),
        ("lock table orders", "lock"),
        ("lock table logs", "local"),
        ("select from where orders", "gather"),
        ("select * from app.public.orders", "judge"),
        ("select id from orders where now() = statement_timestamp()", "every | no 1002"),
        ("select * form orders", "gather"),
        ("select * form logs", "local"),
        ("select rank() over (order by id range 1 preceding exclude ties) from logs where 'x' <> 'orders'", "local"),
        (
            "select sum(id) over (order by id range 1 preceding exclude ties) from orders fetch first 2 rows only",
            "gather",
        ),
        ("select sum(id) over (order by id range 1 preceding exclude ties) from only orders", "judge"),
        (
            "select sum(n) over (rows 1 preceding exclude ties) from orders, unnest(tags) with ordinality u (n, o)",
            "gather",
        ),
        ("select * from app.public.orders", "judge"),
        ("select * from app.public.logs", "local"),
        ("frobnicate orders", "judge"),
        ("select U&\"d\\0061t\" from logs", "judge"),
        ("select * from orders where a @@@ b", "judge"),
        ("explain select * from orders where customer_id = 5", "5 | explain"),
        ("explain (analyze, buffers) select * from orders", "every | explain"),
        ("explain select * from logs", "local"),
        ("explain (route) select * from orders", "explain route false"),
        ("explain (route, analyze) select * from orders", "explain route true"),
        ("copy orders from stdin", "copy public.orders from"),
        ("copy orders (customer_id, id) to stdout with (format csv)", "copy public.orders to"),
        ("copy products to stdout", "reference"),
        ("copy products from stdin", "refuse 1004"),
        ("copy logs from stdin", "local"),
        ("copy orders from '/tmp/x'", "refuse 1011"),
        ("copy (select * from orders where customer_id = 5) to stdout", "5 | copy"),
        ("copy (select * from orders where customer_id = 5) to '/a/file'", "5 | no 1011"),
        ("copy (delete from orders returning *) to stdout", "every | no 1011"),
        ("copy (select * from logs) to stdout", "local"),
        ("select pgring.version()", "builtin"),
        ("select pgring.token('orders', 5), pgring.shard_of('orders', $1) as s", "builtin"),
        ("select * from pgring.show('shards')", "builtin"),
        ("call pgring.admin('show shards')", "builtin"),
        ("select pgring.version() || 'x'", "refuse 1012"),
        ("select id into temp x from logs", "local pin temporary table"),
        ("select id into x from logs", "ddl +public.x"),
        ("with w as (insert into logs values (1) returning id) select id into unlogged table s.x from w", "ddl +s.x"),
        (
            "with w as (insert into logs values (1) returning id) select id into pg_temp.x from w",
            "local pin temporary table",
        ),
        ("select id into local temporary x from logs", "local pin temporary table"),
        ("select id into countries from logs", "refuse 1009"),
        ("select id into planned from logs", "refuse 1009"),
        ("select id into x from orders where customer_id = 5", "refuse 1007"),
    ]);
}

#[test]
fn traps_18_and_21_schema() {
    check(&[
        ("create table t (id int)", "ddl +public.t"),
        ("create table if not exists other.t (id int primary key)", "ddl +other.t"),
        ("create table planned (customer_id bigint, id int, primary key (customer_id, id))", "ddl +public.planned"),
        ("create table planned (customer_id bigint, id int primary key)", "refuse 1016"),
        ("create table planned (id int)", "refuse 1009"),
        ("create table t (tenant_id int, id serial primary key)", "refuse 1016"),
        ("create table t (tenant_id int, id serial, unique (id))", "refuse 1016"),
        ("create table t (tenant_id int, id serial, primary key (tenant_id, id))", "ddl +public.t"),
        ("create table t (tenant_id int references logs)", "refuse 1009"),
        ("create table t (tenant_id int, sku text references products)", "ddl +public.t"),
        ("create table t (id int references orders)", "refuse 1009"),
        ("create table t (id int, foreign key (id) references logs (id))", "ddl +public.t"),
        ("create table countries (id int references logs)", "refuse 1009"),
        ("create table planned (customer_id bigint references orders)", "ddl +public.planned"),
        ("create table planned (customer_id bigint, id int references orders)", "refuse 1009"),
        (
            "create table planned (customer_id bigint, o int, foreign key (customer_id, o) references items (customer_id, order_id))",
            "ddl +public.planned",
        ),
        (
            "create table planned (customer_id bigint, o int, foreign key (o, customer_id) references items (customer_id, order_id))",
            "refuse 1009",
        ),
        (
            "create table planned (customer_id bigint, o int, foreign key (customer_id, o) references items)",
            "refuse 1009",
        ),
        (
            "create table planned (customer_id bigint, up int, foreign key (up) references planned (customer_id))",
            "refuse 1009",
        ),
        (
            "create table planned (customer_id bigint, up int, id int, primary key (customer_id, id), \
             foreign key (customer_id, up) references planned)",
            "ddl +public.planned",
        ),
        ("alter table items add foreign key (customer_id, order_id) references orders (customer_id, id)", "ddl"),
        ("alter table items add foreign key (order_id) references orders (id)", "refuse 1009"),
        ("alter table items add column x bigint references orders (customer_id)", "refuse 1009"),
        ("create type pg_temp.mood as enum ('a')", "local pin temporary object"),
        ("create function pg_temp.f() returns int language sql as 'select 1'", "local pin temporary object"),
        ("create view pg_temp.v as select 1", "local pin temporary object"),
        ("create temp table x (id int)", "local pin temporary table"),
        ("create temp table x as select * from orders", "refuse 1007"),
        ("create table x as select * from logs", "ddl +public.x"),
        ("create table x as select * from orders", "refuse 1002"),
        ("create materialized view x as select * from logs with no data", "ddl +public.x"),
        ("create index on orders (id)", "ddl"),
        ("create index concurrently i on orders (id)", "ddl outside"),
        ("create unique index on orders (id)", "refuse 1016"),
        ("create unique index on orders (id, customer_id)", "ddl"),
        ("create unique index on logs (id)", "ddl"),
        ("alter table orders add unique (id)", "refuse 1016"),
        ("alter table orders add constraint u primary key (id, customer_id)", "ddl"),
        ("alter table orders add column x int unique", "refuse 1016"),
        ("alter table orders add column x int", "ddl"),
        ("alter table orders add x serial", "refuse 1009"),
        ("alter table orders drop column customer_id", "refuse 1009"),
        ("alter table orders drop customer_id", "refuse 1009"),
        ("alter table orders drop column id", "ddl"),
        ("alter table orders rename customer_id to x", "refuse 1009"),
        ("alter table orders rename to x", "ddl public.orders>public.x"),
        ("alter table orders set schema other", "ddl public.orders>other.orders"),
        ("alter table orders alter column customer_id type int", "refuse 1009"),
        ("alter table orders alter customer_id set not null", "ddl"),
        ("alter table orders add foreign key (id) references logs (id)", "refuse 1009"),
        ("alter table logs add foreign key (id) references orders (id)", "refuse 1009"),
        ("alter table orders inherit logs", "refuse 1009"),
        ("alter table products add column x timestamptz default now()", "refuse 1009"),
        ("drop table orders, logs", "ddl -public.orders -public.logs"),
        ("drop table if exists scratch", "local"),
        ("drop table scratch, logs", "refuse 1007"),
        ("drop view scratch", "local"),
        ("drop function f(scratch)", "ddl"),
        ("drop index concurrently i", "ddl outside"),
        ("create schema s", "ddl"),
        ("create type mood as enum ('a')", "ddl"),
        ("create view v as select * from orders", "ddl"),
        ("create or replace function f() returns int language sql as $$ select count(*) from orders $$", "ddl"),
        ("create rule r as on insert to orders do nothing", "refuse 1009"),
        ("create extension pgcrypto", "ddl"),
        ("create role x login", "ddl"),
        ("create database x", "ddl default outside"),
        ("alter system set x = 1", "ddl default outside"),
        ("grant select on orders to public", "ddl"),
        ("comment on table orders is 'x'", "ddl"),
        ("vacuum orders", "ddl outside"),
        ("analyze", "ddl"),
        ("reindex table orders", "ddl"),
        ("refresh materialized view x", "ddl default"),
        ("refresh materialized view log_totals", "ddl default"),
        ("refresh materialized view order_totals", "refuse 1002"),
        ("refresh materialized view concurrently public.order_totals", "refuse 1002"),
        ("refresh materialized view order_totals with no data", "ddl default"),
        ("comment on large object 7 is 'x'", "ddl default"),
        ("grant select on large object 7 to public", "ddl default"),
        ("alter large object 7 owner to bob", "ddl default"),
        ("comment on table large is 'large object'", "ddl"),
    ]);
}

#[test]
fn literals_that_shape_a_plan_are_fixed() {
    assert_eq!(plan_of("select id, total from orders where id = 7 order by 2").fixed_slots, vec![1]);
    assert_eq!(plan_of("select id % 3, count(*) from orders group by id % 3").fixed_slots, vec![0, 1]);
    assert!(plan_of("select * from orders where customer_id = 5 limit 9").fixed_slots.is_empty());
}

#[test]
fn only_what_surely_reads_is_called_a_read() {
    let reads = |text| plan_of(text).reads_only;
    assert!(reads("select * from orders where customer_id = 5"));
    assert!(reads("select count(*) from products"));
    assert!(!reads("select * from orders where customer_id = 5 for update"));
    assert!(!reads("select score(1)"));
    assert!(!reads("select random()"));
    assert!(!reads("with x as (delete from orders where customer_id = 5 returning 1) select 1"));
    assert!(!reads("insert into logs values (1, 'x')"));
    assert!(!reads("select something_unknown()"));
}
