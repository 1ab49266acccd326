//! Planning: what a statement costs the router before a byte of it is sent. In: texts over a small schema. Out: times
//! for the first execution of a shape (lexer, parser, planner) and for all others (lexer, plan cache). Never: a server.

use criterion::{Criterion, criterion_group, criterion_main};
use pgring::{
    plan::{
        Plan, PlanKind,
        build::{Input, Rules, build},
        cache::{self, Context},
    },
    sql::fingerprint::{Lexed, lex},
    topology::schema::{Column, Default as ColumnDefault, Relation, RelationKind, Schema},
};
use pgring_config::{
    ids::{Epoch, GroupIndex, ShardIndex},
    key::KeyType,
    tables::{ShardedTable, Table, TableKind, TableName, TableState},
    topology::Topology,
};
use std::{collections::HashMap, hint::black_box, sync::Arc};

/// Tables sharded by `customer_id`, and their columns.
const SHARDED: &[(&str, &[&str])] = &[
    ("customers", &["customer_id", "name", "country"]),
    ("orders", &["customer_id", "id", "status", "total", "placed_at"]),
    ("items", &["customer_id", "order_id", "sku", "quantity", "price"]),
];

const STATEMENTS: &[(&str, &str)] = &[
    ("point_select", "SELECT name, country FROM customers WHERE customer_id = 4711"),
    ("prepared_point_select", "SELECT name, country FROM customers WHERE customer_id = $1"),
    ("insert", "INSERT INTO orders (customer_id, id, status, total) VALUES (4711, 12, 'open', 17.5)"),
    (
        "three_way_join_on_the_key",
        "SELECT c.name, o.id, o.total, i.sku, i.quantity * i.price AS amount FROM customers c \
         JOIN orders o ON o.customer_id = c.customer_id \
         JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id \
         WHERE c.customer_id = 4711 AND o.status = 'open' AND i.quantity > 3 ORDER BY o.id, i.sku LIMIT 50",
    ),
    (
        "three_way_join_gathered",
        "SELECT c.name, count(DISTINCT i.sku), sum(i.quantity * i.price) FROM customers c \
         JOIN orders o USING (customer_id) JOIN items i ON i.order_id = o.id \
         WHERE o.status = 'open' AND c.country = 'NO' GROUP BY c.name HAVING count(*) > 2 ORDER BY 3 DESC LIMIT 10",
    ),
];

struct World {
    schema: Schema,
    topology: Topology,
    rules: Rules,
    path: [Box<str>; 1],
}

fn world() -> World {
    let column = |name: &&str| Column {
        name: (*name).into(),
        type_oid: 20,
        type_name: "bigint".into(),
        byte_order: true,
        deterministic: true,
        not_null: true,
        default: ColumnDefault::None,
        generator: None,
        always: false,
    };
    let mut schema = Schema { schemas: vec!["public".into()], ..Schema::default() };
    let mut tables = HashMap::new();
    for (name, columns) in SHARDED {
        let name = TableName::new("public", *name);
        let relation = Relation {
            oid: 1,
            name: name.clone(),
            kind: RelationKind::Table,
            columns: columns.iter().map(column).collect(),
            unique_keys: vec![],
            reads: vec![],
            definition: None,
            triggers: vec![],
            parents: vec![],
        };
        schema.relations.insert(name.clone(), Arc::new(relation));
        let kind = TableKind::Sharded(ShardedTable {
            group: GroupIndex(0),
            key: "customer_id".into(),
            key_type: Some(KeyType::Int8),
            allow_local_unique: false,
        });
        tables.insert(name.clone(), Table { name, kind, state: TableState::Ready });
    }
    let (epoch, default_shard) = (Epoch(1), ShardIndex(0));
    let topology = Topology { epoch, tables_version: 1, shards: vec![], default_shard, groups: vec![], tables };
    World { schema, topology, rules: Rules::default(), path: ["public".into()] }
}

fn plan(world: &World, text: &str, lexed: &mut Lexed) -> Plan {
    lex(text.as_bytes(), lexed);
    build(&Input {
        text,
        lexed,
        schema: &world.schema,
        topology: &world.topology,
        search_path: &world.path,
        temp_tables: &[],
        makes_temporary: false,
        rules: &world.rules,
    })
}

fn planning(criterion: &mut Criterion) {
    let world = world();
    let context = Context { plans: 1, path: 1 };
    let mut first = criterion.benchmark_group("first");
    for (name, text) in STATEMENTS {
        let mut lexed = Lexed::default();
        assert!(matches!(plan(&world, text, &mut lexed).kind, PlanKind::Sharded(_)), "{name} is not as it should be");
        first.bench_function(*name, |bencher| bencher.iter(|| plan(&world, black_box(text), &mut lexed)));
    }
    first.finish();
    let mut seen = criterion.benchmark_group("seen_before");
    for (name, text) in STATEMENTS {
        let mut lexed = Lexed::default();
        let plan = Arc::new(plan(&world, text, &mut lexed));
        cache::put(text.as_bytes(), &mut lexed, context, &plan);
        seen.bench_function(*name, |bencher| {
            bencher.iter(|| {
                lex(black_box(text).as_bytes(), &mut lexed);
                cache::get(text.as_bytes(), &mut lexed, context)
            });
        });
    }
    seen.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
