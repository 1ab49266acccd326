use super::cases::check;

#[test]
fn sub_selects_in_from_that_keep_keys_apart_are_pushed() {
    check(&[
        ("select * from (select customer_id, id from orders) x", "every | merge"),
        ("select * from (select customer_id, id from orders order by id) x", "every | gather"),
        ("select * from (select customer_id, id from orders order by id) x order by 1", "every | merge"),
        ("select count(*) from (select customer_id, id from orders order by id) x", "every | merge"),
        ("with x as (select customer_id, id from orders order by id) select * from x", "every | gather"),
        ("select * from (select customer_id, id from orders) x where x.customer_id = 5", "5 | merge"),
        ("select * from (select customer_id as k from orders) x where k = 5", "5 | merge"),
        ("select * from (select customer_id, id from orders) x (a, b) where a = $1", "$1 | merge"),
        ("select * from (select customer_id, id from orders) x (a, b) where b = $1", "every | merge"),
        ("select * from (select * from orders) x where customer_id in (1, 2)", "either(1 2) | merge"),
        (
            "select * from (select customer_id, count(*) n from orders group by customer_id) x where n > 3",
            "every | merge",
        ),
        (
            "select customer_id from (select customer_id, count(*) n from orders group by 1) x where customer_id = 5",
            "5 | merge",
        ),
        ("select * from (select customer_id c, count(*) n from orders group by c) x where x.c = 5", "5 | merge"),
        ("select * from (select distinct customer_id, sku from items) x where customer_id = 5", "5 | merge"),
        ("select * from (select distinct on (customer_id) * from items order by customer_id, sku) x", "every | gather"),
        (
            "select * from (select customer_id, rank() over (partition by customer_id order by id) r from orders) x where r = 1",
            "every | merge",
        ),
        (
            "select count(*), sum(n) from (select customer_id, count(*) n from orders group by customer_id) x",
            "every | merge",
        ),
        (
            "select n, count(*) from (select customer_id, count(*) n from items group by customer_id) x group by n",
            "every | merge",
        ),
        ("select t, count(*) from (select customer_id, loose as t from orders) x group by t", "every | gather"),
    ]);
}

#[test]
fn sub_selects_in_from_where_rows_of_two_shards_meet_are_not() {
    check(&[
        ("select * from (select count(*) n from orders) x", "every | gather"),
        ("select * from (select id, count(*) from orders group by id) x", "every | gather"),
        (
            "select * from (select id, customer_id, count(*) from orders group by rollup (id, customer_id)) x",
            "every | gather",
        ),
        ("select * from (select distinct id from orders) x", "every | gather"),
        ("select * from (select distinct on (id) * from orders) x", "every | gather"),
        ("select * from (select customer_id, id from orders limit 3) x", "every | gather"),
        (
            "select * from (select customer_id, id from orders order by id limit 3) x where customer_id = 5",
            "every | gather",
        ),
        ("select * from (select customer_id, id from orders offset 3) x", "every | gather"),
        ("select * from (select customer_id, row_number() over (order by id) from orders) x", "every | gather"),
        (
            "select * from (select customer_id, row_number() over w r from orders window w as (partition by customer_id)) x",
            "every | gather",
        ),
        ("select * from (select o.customer_id from orders o, items i) x", "every | gather"),
        (
            "select * from (select o.customer_id from orders o left join items i on i.order_id = o.id) x",
            "every | gather",
        ),
        (
            "select * from (select i.customer_id from orders o left join items i using (customer_id)) x where customer_id = 5",
            "every | merge",
        ),
        ("select * from (select customer_id + 1 as customer_id from orders) x where customer_id = 5", "every | merge"),
        (
            "select * from (select max(customer_id) as customer_id from orders) x where customer_id = 5",
            "every | gather",
        ),
        ("select * from (select customer_id, nextval('s') from orders) x where customer_id = 5", "refuse 1012"),
        ("select * from (select customer_id, random() r from orders) x where customer_id = 5", "every | gather"),
    ]);
}

#[test]
fn sub_selects_join_on_their_keys() {
    check(&[
        (
            "select * from orders o join (select customer_id, count(*) n from items group by customer_id) x using (customer_id)",
            "every | merge",
        ),
        (
            "select * from orders o left join (select customer_id, count(*) n from items group by 1) x on x.customer_id = o.customer_id",
            "every | merge",
        ),
        (
            "select * from orders o join (select customer_id, count(*) n from items group by 1) x on x.customer_id = o.customer_id where o.customer_id = 5",
            "5 | merge",
        ),
        (
            "select * from (select customer_id from orders) a join (select customer_id from items) b using (customer_id)",
            "every | merge",
        ),
        ("select * from (select customer_id from orders) a, (select customer_id from items) b", "every | gather"),
        (
            "select * from (select customer_id, id from orders) a join (select customer_id, order_id from items) b on a.id = b.order_id",
            "every | gather",
        ),
        ("select * from (select customer_id from orders) a full join items b using (customer_id)", "every | gather"),
        ("select * from products p left join (select customer_id, sku from items) x using (sku)", "every | gather"),
        ("select * from (select customer_id, sku from items) x left join products p using (sku)", "every | merge"),
        ("select * from orders o, (select sku from products limit 1) p", "every | gather"),
        ("select * from orders o, (select sku, row_number() over () from products) p", "every | gather"),
        ("select * from orders o, (select distinct on (sku) * from products) p", "every | gather"),
        ("select * from orders o, (select max(sku) from products) p", "every | merge"),
        (
            "select * from orders o, lateral (select * from items i where i.customer_id = o.customer_id limit 3) x",
            "every | merge",
        ),
        (
            "select * from orders o, lateral (select count(*) from items i where i.customer_id = o.customer_id) x",
            "every | merge",
        ),
        ("select * from orders o, lateral (select count(*) from items i where i.order_id = o.id) x", "every | gather"),
        (
            "select * from orders o, lateral (select * from items i join tickets t using (customer_id) where t.customer_id = o.customer_id limit 3) x",
            "every | merge",
        ),
    ]);
}

#[test]
fn common_table_expressions_are_looked_through_where_they_stand() {
    check(&[
        (
            "with x as (select customer_id, count(*) n from orders group by customer_id) select * from x where n > 1",
            "every | merge",
        ),
        (
            "with x as (select customer_id, id from orders) select * from x a join x b using (customer_id)",
            "every | merge",
        ),
        ("with x as (select customer_id, id from orders) select * from x a, x b", "every | gather"),
        (
            "with x as (select customer_id, id from orders) select * from x a, x b where a.customer_id = 1 and b.customer_id = 1",
            "same(1 1) | gather",
        ),
        (
            "with x as (select customer_id, id from orders) select * from x a, x b where a.customer_id = 1",
            "same(1 every) | gather",
        ),
        ("with x (k) as (select customer_id from orders) select * from x where k = 5", "5 | merge"),
        ("with x as (select * from orders), y as (select * from x where customer_id = 5) select * from y", "5 | merge"),
        ("with orders as (select * from orders) select * from orders where customer_id = 5", "5 | merge"),
        ("with x as (select * from products) select * from x join orders on true", "every | merge"),
        ("with x as (select max(id) from orders) select * from items, x", "every | gather"),
        ("with x as (select 1) select * from orders where customer_id = 5", "5 | merge"),
        ("with x as (select * from items) select * from orders where customer_id = 5", "5 | merge"),
        (
            "with recursive x as (select 1 as n union all select n + 1 from x where n < 3) select n, id from x, orders",
            "every | merge",
        ),
        (
            "with recursive x as (select customer_id from orders union all select customer_id from x) select * from x",
            "every | gather",
        ),
        (
            "select (with x as (select o.customer_id k) select max(i.sku) from items i, x where i.customer_id = x.k) from orders o",
            "every | gather",
        ),
    ]);
}

#[test]
fn set_operations_on_the_key_are_pushed() {
    check(&[
        ("select customer_id from orders union select customer_id from items", "every | merge"),
        ("select customer_id from orders intersect select customer_id from items", "every | merge"),
        ("select customer_id, id from orders except all select customer_id, order_id from items", "every | merge"),
        ("select id, customer_id from orders except select customer_id, order_id from items", "every | gather"),
        ("select id from orders union select order_id from items", "every | gather"),
        ("select id from orders union all select order_id from items order by 1 limit 3", "every | merge"),
        ("select id from orders union all select 1", "every | gather"),
        ("select sku from products union all select sku from items", "every | gather"),
        ("select customer_id from orders except select 1", "every | merge"),
        ("select 1 except select customer_id from orders", "every | gather"),
        ("select 1 intersect select customer_id from orders", "every | merge"),
        (
            "select customer_id from orders where customer_id = 1 union select customer_id from items where customer_id = 1",
            "either(1 1) | merge",
        ),
        ("(select customer_id from orders limit 1) union all select customer_id from items", "every | gather"),
        (
            "select customer_id, sku from items union all select customer_id, code from orders order by sku",
            "every | merge",
        ),
        (
            "select customer_id from orders union all select customer_id from items union all select customer_id from tickets",
            "every | merge",
        ),
        ("select customer_id from orders union all select tenant::bigint from events", "gather"),
        (
            "select * from (select customer_id from orders union select customer_id from items) x where customer_id = 5",
            "5 | merge",
        ),
        ("select count(*) from (select id from orders union all select order_id from items) x", "every | merge"),
        (
            "select * from (select customer_id from orders union all select customer_id from items) x join tickets t using (customer_id)",
            "every | merge",
        ),
        ("select * from (select id from orders union all select order_id from items) x, tickets t", "every | gather"),
    ]);
}

#[test]
fn sub_selects_in_expressions_that_look_at_one_key() {
    check(&[
        ("select * from orders o where customer_id in (select customer_id from items)", "every | merge"),
        ("select * from orders o where customer_id not in (select customer_id from items)", "every | merge"),
        (
            "select * from orders o where customer_id = any (select customer_id from items where sku = 'x')",
            "every | merge",
        ),
        (
            "select * from orders o where (customer_id, id) in (select customer_id, order_id from items)",
            "every | merge",
        ),
        (
            "select * from orders o where customer_id in (select customer_id from items group by customer_id having count(*) > 2)",
            "every | merge",
        ),
        ("select * from orders o where id in (select order_id from items)", "every | gather"),
        ("select * from orders o where customer_id in (select order_id from items)", "every | gather"),
        ("select * from orders o where customer_id in (select customer_id from items limit 3)", "every | gather"),
        (
            "select * from orders o left join items i using (customer_id) where i.customer_id not in (select customer_id from tickets)",
            "every | gather",
        ),
        (
            "select * from orders o where customer_id in (select customer_id from items) and customer_id = 5",
            "5 | merge",
        ),
        (
            "select * from orders o where exists (select 1 from items i where i.customer_id = o.customer_id limit 1)",
            "every | merge",
        ),
        ("select *, (select count(*) from items i where i.customer_id = o.customer_id) from orders o", "every | merge"),
        ("select *, (select count(*) from items i where i.order_id = o.id) from orders o", "every | gather"),
        ("select *, (select count(*) from items) from orders o", "every | gather"),
        ("select (select sum(o.total)) from orders o", "every | gather"),
        (
            "select (select sum(o.total) from items i where i.customer_id = o.customer_id) from orders o",
            "every | gather",
        ),
        ("select * from orders o where exists (select 1 from products p where p.sku = o.code)", "every | merge"),
        ("select * from products p where exists (select 1 from items i where i.sku = p.sku)", "every | gather"),
        (
            "select * from orders o where exists (select 1 from items i where i.customer_id = o.customer_id union select 1 from tickets t where t.customer_id = o.customer_id)",
            "every | merge",
        ),
        (
            "select * from orders o where total > (select avg(total) from orders x where x.customer_id = o.customer_id)",
            "every | merge",
        ),
    ]);
}
