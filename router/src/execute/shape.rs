//! Shape: what a server says of a statement's parameters and columns, as two numbers.
//! In: ParameterDescription, RowDescription, NoData. Out: whether rows would be read alike by two descriptions.
//! Never: keeps names or types.

use pgring_protocol::message::result;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The shape of a statement, as far as its description has come.
#[derive(Clone, Debug, Default)]
pub struct Shape(Arc<Parts>);

/// Fingerprints; 0: not described.
#[derive(Debug, Default)]
struct Parts {
    parameters: AtomicU64,
    columns: AtomicU64,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Shape {}

impl Shape {
    /// Its columns are known.
    pub fn is_known(&self) -> bool {
        self.0.columns.load(Ordering::Relaxed) != 0
    }

    /// Who knows this shape reads a statement of that one rightly. The description of a portal is without parameters.
    pub fn holds(&self, now: &Shape) -> bool {
        let [known, now] = [&self.0, &now.0]
            .map(|parts| (parts.parameters.load(Ordering::Relaxed), parts.columns.load(Ordering::Relaxed)));
        known.1 == now.1 && (known.0 == 0 || known.0 == now.0)
    }

    /// Takes in a `t`, `T` or `n`.
    pub fn note(&self, kind: u8, body: &[u8]) {
        let mut hasher = DefaultHasher::new();
        let part = if kind == b't' {
            body.hash(&mut hasher);
            &self.0.parameters
        } else {
            columns(body).hash(&mut hasher);
            &self.0.columns
        };
        part.store(hasher.finish() | 1, Ordering::Relaxed);
    }
}

/// What must be equal for rows to be read alike: where a column comes from does not matter.
fn columns(body: &[u8]) -> Vec<(String, u32, i16, i32)> {
    let fields = result::row_description(body).unwrap_or_default();
    fields.into_iter().map(|field| (field.name, field.type_oid, field.type_size, field.type_modifier)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use pgring_protocol::message::{build, result::Field};

    fn shape(parameters: Option<&[u32]>, columns: &[(&str, u32, u32)]) -> Shape {
        let field = |(name, type_oid, table_oid): &(&str, u32, u32)| Field {
            name: (*name).to_owned(),
            table_oid: *table_oid,
            column: 1,
            type_oid: *type_oid,
            type_size: 4,
            type_modifier: -1,
            format: 0,
        };
        let (mut t, mut columns_out) = (BytesMut::new(), BytesMut::new());
        build::parameter_description(&mut t, parameters.unwrap_or_default());
        build::row_description(&mut columns_out, &columns.iter().map(field).collect::<Vec<_>>());
        let shape = Shape::default();
        if parameters.is_some() {
            shape.note(b't', &t[5..]);
        }
        shape.note(b'T', &columns_out[5..]);
        shape
    }

    #[test]
    fn names_and_types_make_the_shape_and_tables_do_not() {
        let one = shape(Some(&[23]), &[("a", 23, 1)]);
        assert!(one.is_known() && !Shape::default().is_known());
        let portal = shape(None, &[("a", 23, 1)]);
        assert!(one.holds(&shape(Some(&[23]), &[("a", 23, 2)])) && portal.holds(&one));
        for other in [
            shape(Some(&[23]), &[("b", 23, 1)]),
            shape(Some(&[23]), &[("a", 25, 1)]),
            shape(Some(&[23]), &[("a", 23, 1), ("b", 23, 1)]),
            shape(Some(&[23]), &[]),
        ] {
            assert!(!one.holds(&other) && !portal.holds(&other));
        }
        assert!(!one.holds(&shape(Some(&[25]), &[("a", 23, 1)])));
    }
}
