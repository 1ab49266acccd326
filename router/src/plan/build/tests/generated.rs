//! What stands in a statement when pgring has put in the values of sequences and random keys.

use super::summary;

#[test]
fn values_are_put_where_a_column_would_be_given_one() {
    let cases = [
        ("insert into members default values", "insert into members (id) VALUES (Next(77))"),
        ("insert into members (uid) values ($1)", "insert into members (uid, id) values ($1, Next(77))"),
        (
            "insert into members values (default), (default) returning id",
            "insert into members values (Next(77)), (Next(77)) returning id",
        ),
        (
            "insert into members (id, uid) values (default, $1), (nextval('numbers') + 1, $2) on conflict do nothing;",
            "insert into members (id, uid) values (Next(77), $1), (Next(77)::bigint + 1, $2) on conflict do nothing;",
        ),
        (
            "insert into made (customer_id) values (5)",
            "insert into made (customer_id, no) OVERRIDING SYSTEM VALUE values (5, Next(77))",
        ),
        (
            "insert into public.made as m (no, customer_id) overriding system value values (default, 5)",
            "insert into public.made as m (no, customer_id) overriding system value values (Next(77), 5)",
        ),
        (
            "with w as (select 1) insert into made values (default, 5, 'it''s')",
            "with w as (select 1) insert into made OVERRIDING SYSTEM VALUE values (Next(77), 5, 'it''s')",
        ),
        ("insert into random values (1)", "insert into random (x, uid) values (1, Uuid)"),
        ("insert into random values (1, gen_random_uuid())", "insert into random values (1, Uuid)"),
        ("select nextval('numbers')", "select Next(77)::bigint AS nextval"),
        ("select currval('numbers'::regclass)::int", "select Current(77)::bigint::int AS currval"),
        ("select 1, lastval() as x", "select 1, Last::bigint as x"),
        ("select currval(pg_get_serial_sequence('made', 'no'))", "select Current(77)::bigint AS currval"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), format!("generate {expected}"), "{sql}");
    }
}

#[test]
fn what_gives_every_value_stands_as_it_is() {
    let cases = [
        ("insert into members (id) values (5)", "5 insert | no 1003"),
        (
            "insert into random values (1, '00000000-0000-0000-0000-000000000001')",
            "'00000000-0000-0000-0000-000000000001' insert | fetch",
        ),
        ("insert into made (no, customer_id) values (7, 5)", "5 insert | no 1003"),
        ("insert into made (no, customer_id) overriding user value values (7, 5)", "refuse 1012"),
        ("insert into members select 1", "1 insert | no 1003"),
        ("insert into logs values (nextval('numbers'))", "local"),
        ("select nextval('numbers') from logs", "local"),
        ("select nextval('other')", "local"),
        ("select setval('numbers', 5)", "local"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}
