//! Views: the SQL by which a gather makes views anew over the copies of their tables, and by which a server says whether
//! the client may. In: a gather's views and what was copied. Out: SQL. Never: rights that the client has not.

use crate::plan::{GatherInput, GatherView, ViewPart};
use pgring_config::tables::TableName;
use pgring_protocol::quote;
use std::fmt::Write;

/// The SQL that makes the views. What was not copied is read where it is.
pub fn create_sql(views: &[GatherView], copied: &[&GatherInput]) -> String {
    let copy = |name: &TableName| {
        let table = copied.iter().find(|input| input.table == *name).map(|input| &input.copy);
        table.or_else(|| views.iter().find(|view| view.view == *name).map(|view| &view.copy))
    };
    let mut sql = String::new();
    for view in views {
        let options = if view.barrier { " WITH (security_barrier)" } else { "" };
        let _ = write!(sql, "CREATE TEMPORARY VIEW {}{options} AS ", quote::identifier(&view.copy));
        for part in &view.select {
            match part {
                ViewPart::Text(text) => sql.push_str(text),
                ViewPart::Relation { name, has_alias } => match copy(name) {
                    None => sql.push_str(&qualified(name)),
                    Some(copy) => {
                        let _ = write!(sql, "pg_temp.{}", quote::identifier(copy));
                        if !has_alias {
                            let _ = write!(sql, " AS {}", quote::identifier(&name.name));
                        }
                    }
                },
            }
        }
        sql.push(';');
    }
    sql
}

/// The SQL by which a server says whether the client may have this answer: an error where it may not read a view, and the
/// name of each table that it might see otherwise than the view's owner, with whose rights a view reads.
pub fn rights_sql(views: &[GatherView], inputs: &[GatherInput]) -> String {
    let mut sql = String::new();
    for view in views {
        let Some(columns) = &view.columns else { continue };
        let columns: Vec<_> = columns.iter().map(|column| quote::identifier(column)).collect();
        let _ = write!(sql, "SELECT {} FROM {} WHERE false;", columns.join(", "), qualified(&view.view));
    }
    let read: Vec<String> = inputs.iter().filter(|input| input.in_view).map(looked_at).collect();
    if read.is_empty() {
        return sql;
    }
    let views: Vec<String> = views.iter().map(|view| pair(&view.view)).collect();
    let _ = write!(
        sql,
        "SELECT t.space || '.' || t.name \
         FROM (VALUES {}) AS t (space, name, columns) \
         JOIN pg_catalog.pg_namespace n ON n.nspname = t.space \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name \
         WHERE (c.relrowsecurity OR NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
             OR NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') AND (t.columns = '{{}}' OR EXISTS ( \
                 SELECT FROM pg_catalog.unnest(t.columns) AS k (name) \
                 WHERE NOT pg_catalog.has_column_privilege(c.oid, k.name, 'SELECT')))) \
         AND EXISTS ( \
             SELECT FROM (VALUES {}) AS w (space, name) \
             JOIN pg_catalog.pg_namespace n ON n.nspname = w.space \
             JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = w.name \
             WHERE v.relowner <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) \
             AND NOT coalesce((SELECT o.option_value::pg_catalog.bool \
                 FROM pg_catalog.pg_options_to_table(v.reloptions) AS o \
                 WHERE o.option_name = 'security_invoker'), false))",
        read.join(", "),
        views.iter().map(|pair| format!("({pair})")).collect::<Vec<_>>().join(", "),
    );
    sql
}

fn looked_at(input: &GatherInput) -> String {
    let columns: Vec<_> = input.columns.iter().map(|column| quote::literal(&column.name).to_string()).collect();
    format!("({}, ARRAY[{}]::pg_catalog.text[])", pair(&input.table), columns.join(", "))
}

fn pair(name: &TableName) -> String {
    format!("{}, {}", quote::literal(&name.schema), quote::literal(&name.name))
}

fn qualified(table: &TableName) -> String {
    format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name))
}
