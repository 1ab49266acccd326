//! Writes over several shards: which are split, which go to all shards as they are, which are refused.

use super::{plan_of, plan_with, schema};
use crate::plan::{Many, ManyWrite, PlanKind, Recipe, Sharded};
use crate::topology::schema::{Relation, Trigger};
use pgring_config::tables::TableName;
use std::sync::Arc;

fn sharded(text: &str) -> Sharded {
    match plan_of(text).kind {
        PlanKind::Sharded(sharded) => sharded,
        other => panic!("{text}: {other:?}"),
    }
}

fn write(text: &str) -> (Recipe, ManyWrite) {
    match sharded(text) {
        Sharded { recipe, many: Many::Write(write), .. } => (recipe, *write),
        other => panic!("{text}: {other:?}"),
    }
}

fn refused(text: &str) -> String {
    match plan_of(text).kind {
        PlanKind::Sharded(Sharded { many: Many::Refuse(refusal), .. }) | PlanKind::Refuse(refusal) => refusal.what,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_each_shard_does_with_its_own_rows_goes_to_all_as_it_is() {
    for text in [
        "UPDATE orders SET note = 'x'",
        "UPDATE orders o SET note = upper(o.note) WHERE total > 5 RETURNING id, now()",
        "UPDATE orders SET total = i.order_id FROM items i WHERE i.customer_id = orders.customer_id",
        "UPDATE orders SET note = p.name FROM products p WHERE p.sku = orders.code",
        "UPDATE orders SET total = (SELECT count(*) FROM items i WHERE i.customer_id = orders.customer_id)",
        "UPDATE orders SET total = random()",
        "DELETE FROM orders",
        "DELETE FROM orders USING items i WHERE i.customer_id = orders.customer_id AND i.sku = 'x'",
        "DELETE FROM orders WHERE customer_id IN (SELECT customer_id FROM items)",
        "DELETE FROM orders WHERE code IN (SELECT sku FROM products)",
        "INSERT INTO items SELECT customer_id, id, code FROM orders",
        "INSERT INTO items (customer_id, order_id) SELECT customer_id, max(id) FROM orders GROUP BY customer_id",
    ] {
        let (recipe, write) = write(text);
        assert_eq!(recipe, Recipe::Every, "{text}");
        assert_eq!(write.rows, None, "{text}");
    }
}

#[test]
fn what_depends_on_rows_of_other_shards_is_refused() {
    for text in [
        "UPDATE orders SET total = i.order_id FROM items i WHERE i.order_id = orders.id",
        "UPDATE orders SET total = (SELECT max(total) FROM orders)",
        "UPDATE orders SET total = (SELECT random())",
        "UPDATE orders SET note = ctid::text",
        "UPDATE orders SET note = 'x' WHERE customer_id IN (SELECT customer_id FROM orders LIMIT 3)",
        "UPDATE orders SET total = score()::int WHERE (SELECT score() > 1)",
        "UPDATE orders SET note = statement_timestamp()::text",
        "DELETE FROM orders WHERE id IN (SELECT order_id FROM items)",
        "UPDATE orders SET note = age(now())::text",
    ] {
        assert!(!refused(text).is_empty(), "{text}");
    }
}

#[test]
fn a_write_of_known_keys_is_limited_to_their_shards() {
    let (recipe, _) = write("DELETE FROM orders WHERE customer_id IN (1, 2)");
    assert!(matches!(recipe, Recipe::Either(keys) if keys.len() == 2));
    let (recipe, _) = write(
        "UPDATE orders SET note = 'x' FROM items i WHERE i.customer_id = orders.customer_id AND i.customer_id = 5",
    );
    assert!(matches!(recipe, Recipe::One(_)));
}

#[test]
fn rows_of_values_are_split_where_they_stand() {
    let text = "INSERT INTO orders (customer_id, note) VALUES (1, 'a)('), ($2, $1) /* , (3) */ , (3, DEFAULT) \
                ON CONFLICT DO NOTHING RETURNING $3";
    let (recipe, write) = write(text);
    assert!(matches!(recipe, Recipe::Either(keys) if keys.len() == 3));
    let rows = write.rows.expect("rows");
    assert_eq!(rows.rows.iter().map(|row| row.parameters.clone()).collect::<Vec<_>>(), [vec![], vec![2, 1], vec![]]);
    assert_eq!(rows.parameters, [3]);
    assert!(write.returning);
    let mut lexed = crate::sql::fingerprint::Lexed::default();
    crate::sql::fingerprint::lex(text.as_bytes(), &mut lexed);
    let shown = rows.rows.iter().map(|row| &text[lexed.text_at(row.span.0)..lexed.text_at(row.span.1)]);
    assert_eq!(shown.collect::<Vec<_>>(), ["(1, 'a)(')", "($2, $1)", "(3, DEFAULT)"]);
}

#[test]
fn rows_of_several_lengths_are_postgresqls_to_judge() {
    assert!(!refused("INSERT INTO orders (customer_id, note) VALUES (1, 'a'), (2)").is_empty());
}

#[test]
fn triggers_that_see_more_than_their_row_are_not_fired_on_several_shards() {
    let with = |by_row, function: &str| {
        let mut schema = schema();
        let name = TableName::new("public", "orders");
        let relation = Relation::clone(&schema.relations[&name]);
        let triggers = vec![Trigger { by_row, function: ("public".into(), function.into()) }];
        schema.relations.insert(name, Arc::new(Relation { triggers, ..relation }));
        let bodies = Arc::make_mut(&mut schema.bodies);
        bodies.insert(("public".into(), "stamp".into()), "BEGIN NEW.note := upper(NEW.note); RETURN NEW; END".into());
        match plan_with("UPDATE orders SET note = 'x'", &schema).kind {
            PlanKind::Sharded(sharded) => matches!(sharded.many, Many::Write(_)),
            other => panic!("{other:?}"),
        }
    };
    assert!(!with(true, "everyone"), "its body names a sharded table");
    assert!(!with(false, "stamp"), "it fires once for a statement");
    assert!(with(true, "stamp"));
}
