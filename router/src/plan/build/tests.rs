use super::{Input, Rules, build};
use crate::{
    plan::{Generate, Many, Part, Piece, Plan, PlanKind, Recipe, Source, Splice, Written},
    sql::fingerprint::{Lexed, lex},
    topology::schema::{Column, Default, Generator, Relation, RelationKind, Schema, Volatility},
};
use pgring_config::{
    ids::{Epoch, GroupIndex, ShardIndex},
    key::KeyType,
    tables::{ShardedTable, Table, TableKind, TableName, TableState},
    topology::Topology,
};
use std::{collections::HashMap, sync::Arc};

mod cases;
mod changes;
mod dml;
mod generated;
mod parted;
mod random;
mod views;

fn column(name: &str, type_name: &str, byte_order: bool, default: Default) -> Column {
    Column {
        name: name.into(),
        type_oid: 0,
        type_name: type_name.into(),
        byte_order,
        deterministic: name != "loose",
        not_null: name == "customer_id",
        default,
        generator: None,
        always: false,
    }
}

fn relation(name: &str, kind: RelationKind, columns: Vec<Column>, reads: &[&str]) -> (TableName, Arc<Relation>) {
    let name = TableName::new("public", name);
    let relation = Relation {
        oid: 1,
        name: name.clone(),
        kind,
        columns,
        unique_keys: vec![],
        reads: reads.iter().map(|read| TableName::new("public", *read)).collect(),
        definition: None,
        triggers: vec![],
        parents: vec![],
    };
    (name, Arc::new(relation))
}

fn schema() -> Schema {
    let plain = |names: &[(&str, &str, bool)]| -> Vec<Column> {
        names.iter().map(|(name, ty, bytes)| column(name, ty, *bytes, Default::None)).collect()
    };
    let orders = [
        ("customer_id", "bigint", true),
        ("id", "bigint", true),
        ("total", "numeric", true),
        ("note", "text", false),
        ("code", "text", true),
        ("loose", "text", false),
    ];
    let mut serial = plain(&[("customer_id", "bigint", true), ("body", "text", false)]);
    serial.push(column("id", "bigint", true, Default::Volatile));
    serial.push(column("made", "timestamp with time zone", true, Default::Stable));
    let sequence = Some(Generator::Sequence(77));
    let identity =
        |name: &str, always| Column { generator: sequence, always, ..column(name, "bigint", true, Default::Identity) };
    let mut made = vec![identity("no", true)];
    made.extend(plain(&[("customer_id", "bigint", true), ("body", "text", false)]));
    let uid = Column { generator: Some(Generator::Uuid), ..column("uid", "uuid", true, Default::Random) };
    let (numbers, counter) = relation("numbers", RelationKind::Sequence, vec![], &[]);
    let counter = Relation { oid: 77, ..Relation::clone(&counter) };
    let mut schema = Schema::default();
    schema.relations.insert(numbers, Arc::new(counter));
    schema.relations.extend([
        relation("orders", RelationKind::Table, plain(&orders), &[]),
        relation(
            "items",
            RelationKind::Table,
            plain(&[("customer_id", "bigint", true), ("order_id", "bigint", true), ("sku", "text", true)]),
            &[],
        ),
        relation("tickets", RelationKind::Table, serial, &[]),
        relation("members", RelationKind::Table, vec![identity("id", false), uid.clone()], &[]),
        relation("made", RelationKind::Table, made, &[]),
        relation("random", RelationKind::Table, vec![column("x", "integer", true, Default::None), uid], &[]),
        relation("events", RelationKind::Table, plain(&[("tenant", "text", false), ("what", "text", false)]), &[]),
        relation("things", RelationKind::Table, plain(&[("uid", "uuid", true), ("x", "integer", true)]), &[]),
        relation("products", RelationKind::Table, plain(&[("sku", "text", true), ("name", "text", false)]), &[]),
        relation("logs", RelationKind::Table, plain(&[("id", "bigint", true), ("msg", "text", false)]), &[]),
        relation("open_orders", RelationKind::View, plain(&orders), &["orders"]),
        relation("catalogue", RelationKind::View, plain(&[("sku", "text", true)]), &["products"]),
        relation("log_view", RelationKind::View, plain(&[("id", "bigint", true)]), &["logs"]),
        relation("order_totals", RelationKind::MaterializedView, plain(&[("id", "bigint", true)]), &["orders"]),
        relation("log_totals", RelationKind::MaterializedView, plain(&[("id", "bigint", true)]), &["logs"]),
    ]);
    let functions = Arc::make_mut(&mut schema.functions);
    functions.insert(("public".into(), "score".into()), Volatility::Volatile);
    functions.insert(("public".into(), "pure".into()), Volatility::Immutable);
    functions.insert(("public".into(), "everyone".into()), Volatility::Stable);
    functions.insert(("other".into(), "twice".into()), Volatility::Stable);
    let bodies = Arc::make_mut(&mut schema.bodies);
    bodies.insert(("public".into(), "everyone".into()), "SELECT count(*) FROM orders".into());
    bodies.insert(("other".into(), "twice".into()), "BEGIN RETURN 2 * everyone(); END".into());
    bodies.insert(("public".into(), "pure".into()), "SELECT count(*) FROM products, logs".into());
    Arc::make_mut(&mut schema.system_relations).insert(TableName::new("pg_catalog", "pg_class"));
    schema.schemas = vec!["public".into(), "other".into()];
    schema
}

fn topology() -> Topology {
    let mut tables = HashMap::new();
    let mut add = |name: &str, kind| {
        let name = TableName::new("public", name);
        tables.insert(name.clone(), Table { name, kind, state: TableState::Ready });
    };
    let sharded = |group, key: &str, key_type| {
        TableKind::Sharded(ShardedTable {
            group: GroupIndex(group),
            key: key.into(),
            key_type: Some(key_type),
            allow_local_unique: false,
        })
    };
    add("orders", sharded(0, "customer_id", KeyType::Int8));
    add("items", sharded(0, "customer_id", KeyType::Int8));
    add("tickets", sharded(0, "customer_id", KeyType::Int8));
    add("members", sharded(0, "id", KeyType::Int8));
    add("made", sharded(0, "customer_id", KeyType::Int8));
    add("random", sharded(2, "uid", KeyType::Uuid));
    add("events", sharded(1, "tenant", KeyType::Text));
    add("things", sharded(2, "uid", KeyType::Uuid));
    add("planned", sharded(0, "customer_id", KeyType::Int8));
    add("products", TableKind::Reference);
    Topology {
        epoch: Epoch(1),
        tables_version: 1,
        shards: vec![],
        default_shard: ShardIndex(0),
        groups: vec![],
        tables,
    }
}

/// The plan of a statement, in the session of the tests.
fn plan_of(text: &str) -> Plan {
    plan_with(text, &schema())
}

/// The plan of a statement, with another schema.
fn plan_with(text: &str, schema: &Schema) -> Plan {
    let topology = topology();
    let mut lexed = Lexed::default();
    lex(text.as_bytes(), &mut lexed);
    let rules = Rules {
        shard_by: vec!["tenant_id".into()],
        local_unique_allowed: false,
        reference_tables: vec!["countries".into()],
    };
    build(&Input {
        text,
        lexed: &lexed,
        schema,
        topology: &topology,
        search_path: &["public".into()],
        makes_temporary: false,
        temp_tables: &["scratch".into()],
        rules: &rules,
    })
}

fn source(text: &str, lexed: &Lexed, source: &Source) -> String {
    match source {
        Source::Slot { slot, negative } => {
            let slot = &lexed.slots[*slot as usize];
            format!("{}{}", if *negative { "-" } else { "" }, &text[slot.start as usize..slot.end as usize])
        }
        Source::Parameter(n) => format!("${n}"),
        Source::Key(key) => format!("{key:?}"),
    }
}

fn recipe(text: &str, lexed: &Lexed, found: &Recipe) -> String {
    let list = |all: &[Recipe]| all.iter().map(|one| recipe(text, lexed, one)).collect::<Vec<_>>().join(" ");
    match found {
        Recipe::Every => "every".into(),
        Recipe::Nothing => "nothing".into(),
        Recipe::NullKey => "null".into(),
        Recipe::Apart => "apart".into(),
        Recipe::One(one) => source(text, lexed, &one.source),
        Recipe::AnyOf(one) => format!("any({})", source(text, lexed, &one.source)),
        Recipe::All(all) => format!("all({})", list(all)),
        Recipe::Either(all) => format!("either({})", list(all)),
        Recipe::Same(all) => format!("same({})", list(all)),
    }
}

/// The text that shards get.
fn spliced(text: &str, lexed: &Lexed, splices: &[crate::plan::Splice]) -> String {
    let at = |offset: u32| lexed.text_at(offset);
    let (mut out, mut from) = (String::new(), 0);
    for splice in splices {
        out.push_str(&text[from..at(splice.start)]);
        for piece in &splice.with {
            match piece {
                crate::plan::Piece::Text(text) => out.push_str(text),
                crate::plan::Piece::Span(start, end) => out.push_str(&text[at(*start)..at(*end)]),
                crate::plan::Piece::Time => out.push_str("TIME"),
            }
        }
        from = at(splice.end);
    }
    out.push_str(&text[from..]);
    out
}

/// A text with words for the values that are put into it.
fn generated(text: &str, lexed: &Lexed, generate: &Generate) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.to_string(),
        Part::Value { maker, typed } => format!("{maker:?}{}", if *typed { "::bigint" } else { "" }),
    };
    let splices = generate.places.iter().map(|place| Splice {
        start: place.start,
        end: place.end,
        with: vec![Piece::Text(place.with.iter().map(part).collect())],
    });
    spliced(text, lexed, &splices.collect::<Vec<_>>())
}

/// A plan on one line.
fn summary(text: &str) -> String {
    line(text, &plan_of(text))
}

fn line(text: &str, plan: &Plan) -> String {
    let mut lexed = Lexed::default();
    lex(text.as_bytes(), &mut lexed);
    let kind = match &plan.kind {
        PlanKind::Anywhere => "anywhere".into(),
        PlanKind::Catalog => "catalog".into(),
        PlanKind::Local => "local".into(),
        PlanKind::Gather(_) => "gather".into(),
        PlanKind::ReferenceWrite(write) => {
            let way = match &write.written {
                Written::Returned(returned) => format!("{:?}", returned.action).to_lowercase(),
                Written::Compared => "compared".into(),
            };
            let tables = write.tables.iter().map(|table| format!(" {}", table.name)).collect::<String>();
            format!("reference {way}{tables}")
        }
        PlanKind::Reference => "reference".into(),
        PlanKind::Refuse(refusal) => format!("refuse {}", refusal.reason.number),
        PlanKind::Judge(_) => "judge".into(),
        PlanKind::Builtin(_) => "builtin".into(),
        PlanKind::Generate(generate) => format!("generate {}", generated(text, &lexed, generate)),
        PlanKind::Explain(_) => "explain".into(),
        PlanKind::CopyQuery(..) => "copy of a query".into(),
        PlanKind::Lock => "lock".into(),
        PlanKind::ExplainRoute { analyze, .. } => format!("explain route {analyze}"),
        PlanKind::Copy(copy) => format!("copy {} {}", copy.table, if copy.from { "from" } else { "to" }),
        PlanKind::Ddl(ddl) => {
            let on = if ddl.default_shard_only { "ddl default" } else { "ddl" };
            let creates = ddl.creates.iter().map(|one| format!(" +{}", one.name)).collect::<String>();
            let drops = ddl.drops.iter().map(|one| format!(" -{one}")).collect::<String>();
            let renames = ddl.renames.iter().map(|(a, b)| format!(" {a}>{b}")).collect::<String>();
            let out = if ddl.outside_transaction { " outside" } else { "" };
            format!("{on}{creates}{drops}{renames}{out}")
        }
        PlanKind::Sharded(sharded) => {
            let recipe = recipe(text, &lexed, &sharded.recipe);
            let insert = if sharded.insert { " insert" } else { "" };
            match &sharded.many {
                Many::Refuse(refusal) => format!("{recipe}{insert} | no {}", refusal.reason.number),
                Many::Merge { .. } => format!("{recipe}{insert} | merge"),
                Many::Gather(_) => format!("{recipe}{insert} | gather"),
                Many::Explain(_) => format!("{recipe}{insert} | explain"),
                Many::CopyQuery(..) => format!("{recipe}{insert} | copy"),
                Many::Write(write) if write.rows.is_some() => format!("{recipe}{insert} | split"),
                Many::Write(write) if write.fetch.is_some() => format!("{recipe}{insert} | fetch"),
                Many::Write(_) => format!("{recipe}{insert} | write"),
            }
        }
    };
    let sets = plan.session.sets.len();
    match plan.session.pin {
        None if sets > 0 => format!("{kind} sets {sets}"),
        Some(pin) => format!("{kind} pin {pin}"),
        None => kind,
    }
}
