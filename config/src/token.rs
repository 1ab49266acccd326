//! Tokens: PostgreSQL's extended hash functions with seed 0, bit for bit (`hashint8extended`, `hashtextextended`,
//! `uuid_hash_extended`). In: a key. Out: its token. Never: a guess of a value's type, a shard.
//!
//! PostgreSQL hashes with Bob Jenkins' lookup3 (`src/common/hashfn.c`, `hash_bytes_extended`). The text form is
//! that of a deterministic collation on a server whose encoding is UTF-8; byte order is little-endian on every
//! machine, as on the servers that the identity check admits.

use crate::{ids::Token, key::KeyValue};

impl KeyValue {
    /// The token of this key.
    pub fn token(&self) -> Token {
        match self {
            Self::Integer(value) => of_integer(*value),
            Self::Text(value) => of_text(value),
            Self::Uuid(value) => of_uuid(value),
        }
    }
}

/// `hashint8extended(value, 0)`; `hashint2extended` and `hashint4extended` agree with it.
pub fn of_integer(value: i64) -> Token {
    let low = value as u32;
    let high = (value >> 32) as u32;
    let folded = low ^ if value >= 0 { high } else { !high };
    let mut state = State::new(4);
    state.a = state.a.wrapping_add(folded);
    state.finish()
}

/// `hashtextextended(value, 0)`, also of varchar, and of char(n) without its padding.
pub fn of_text(value: &str) -> Token {
    of_bytes(value.as_bytes())
}

/// `uuid_hash_extended(value, 0)`.
pub fn of_uuid(value: &[u8; 16]) -> Token {
    of_bytes(value)
}

fn of_bytes(bytes: &[u8]) -> Token {
    // PostgreSQL's length is an int: no value it stores is longer.
    let mut state = State::new(bytes.len() as u32);
    let (blocks, tail) = bytes.as_chunks::<12>();
    for block in blocks {
        state.add(block);
        state.mix();
    }
    // The lowest byte of `c` is left to the length, so bytes 8 to 10 of the tail stand one byte higher.
    let mut padded = [0; 12];
    for (at, byte) in tail.iter().enumerate() {
        padded[if at < 8 { at } else { at + 1 }] = *byte;
    }
    state.add(&padded);
    state.finish()
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: u32) -> Self {
        let start = 0x9e37_79b9_u32.wrapping_add(length).wrapping_add(3_923_095);
        Self { a: start, b: start, c: start }
    }

    fn add(&mut self, block: &[u8; 12]) {
        let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        self.a = self.a.wrapping_add(word(0));
        self.b = self.b.wrapping_add(word(4));
        self.c = self.c.wrapping_add(word(8));
    }

    fn mix(&mut self) {
        let Self { mut a, mut b, mut c } = *self;
        for [first, second, third] in [[4, 6, 8], [16, 19, 4]] {
            a = a.wrapping_sub(c) ^ c.rotate_left(first);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(second);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(third);
            b = b.wrapping_add(a);
        }
        *self = Self { a, b, c };
    }

    fn finish(self) -> Token {
        let Self { mut a, mut b, mut c } = self;
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
        Token(((u64::from(b) << 32) | u64::from(c)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taken from PostgreSQL 15: `select hashtextextended(v, 0)` and so on.
    #[test]
    fn tokens_are_postgresqls() {
        for (text, token) in [
            ("", -6939563903564495251),
            ("a", 3591986179850072241),
            ("s0:0", 9085043046306132105),
            ("eleven byte", -1446953353892728106),
            ("twelve bytes", -7123776401673968163),
            ("naïve Straße 東京 🐘", -7331729493091221273),
        ] {
            assert_eq!(of_text(text), Token(token), "{text:?}");
        }
        for (value, token) in [
            (0, 4154612158245552303),
            (1, -3670598878359251130),
            (-1, -1888257769727981238),
            (42, 8010225493015854792),
            (i64::MAX, 1977219185673256887),
            (i64::MIN, -9109110466470504941),
        ] {
            assert_eq!(of_integer(value), Token(token), "{value}");
        }
        assert_eq!(of_uuid(&[0; 16]), Token(-6859010066814654381));
        let uuid = uuid::uuid!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert_eq!(of_uuid(uuid.as_bytes()), Token(7543054272012930821));
    }

    #[test]
    fn bigints_that_fold_alike_share_a_token() {
        assert_eq!(of_integer(1 << 32), of_integer(1));
        assert_ne!(of_integer(-1), of_integer(1));
    }
}
