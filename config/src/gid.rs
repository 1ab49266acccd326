//! Gid: the name of a transaction over several shards, as each of them keeps it. In: who commits, and a secret. Out: a
//! text of fewer than 200 bytes, and what one says. Never: the secret itself.

use crate::ids::ShardName;
use sha2::{Digest, Sha256};
use std::{fmt, fmt::Write as _};

/// What every gid of pgring's begins with.
pub const PREFIX: &str = "pgring_";

/// Length of the secret's hash in a gid: 128 bits in hexadecimal digits.
const HASH: usize = 32;

/// The name of a transaction over several shards: `pgring_<cluster>_<incarnation>_<n>_<hash of secret>@<decider>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gid {
    text: Box<str>,
    incarnation: (usize, usize),
    decider: usize,
}

impl Gid {
    /// The name of the `number`th transaction of a router's incarnation. Who knows the secret may decide it.
    pub fn new(cluster: &str, incarnation: &str, number: u64, secret: &str, decider: &ShardName) -> Self {
        let hash = hash_of(secret);
        let text = format!("{PREFIX}{cluster}_{incarnation}_{number}_{hash}@{decider}");
        let at = PREFIX.len() + cluster.len() + 1;
        let decider = text.len() - decider.as_str().len();
        Self { text: text.into(), incarnation: (at, at + incarnation.len()), decider }
    }

    /// Reads the name of a prepared transaction of this cluster; None: it is not one.
    pub fn parse(text: &str, cluster: &str) -> Option<Self> {
        let (before, decider) = text.split_once('@')?;
        let rest = before.strip_prefix(PREFIX)?.strip_prefix(cluster)?.strip_prefix('_')?;
        let mut parts = rest.split('_');
        let (incarnation, number, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let hexadecimal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let valid = parts.next().is_none()
            && hexadecimal(incarnation)
            && number.parse::<u64>().is_ok()
            && hash.len() == HASH
            && hexadecimal(hash)
            && !decider.is_empty();
        let at = PREFIX.len() + cluster.len() + 1;
        valid.then(|| Self { text: text.into(), incarnation: (at, at + incarnation.len()), decider: before.len() + 1 })
    }

    /// The whole of it. Only letters, digits, `-`, `_`, `@` and what a shard's name has.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The router's incarnation that commits it.
    pub fn incarnation(&self) -> &str {
        &self.text[self.incarnation.0..self.incarnation.1]
    }

    /// Name of the shard whose own commit decides it.
    pub fn decider(&self) -> &str {
        &self.text[self.decider..]
    }

    /// It as a literal of SQL.
    pub fn literal(&self) -> String {
        format!("'{}'", self.text.replace('\'', "''"))
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The first 128 bits of the secret's SHA-256, as `pgring.decide` computes them.
fn hash_of(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().take(HASH / 2).fold(String::with_capacity(HASH), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gid_says_who_decides() {
        let gid = Gid::new("shop-1", "00ff00ff00ff00ff", 17, "secret", &ShardName::from("s0_split_12"));
        assert_eq!(gid.as_str(), "pgring_shop-1_00ff00ff00ff00ff_17_2bb80d537b1da3e38bd30361aa855686@s0_split_12");
        assert_eq!(Gid::parse(gid.as_str(), "shop-1"), Some(gid.clone()));
        assert_eq!((gid.incarnation(), gid.decider()), ("00ff00ff00ff00ff", "s0_split_12"));
    }

    #[test]
    fn what_is_no_gid_of_this_cluster_is_none() {
        let hash = "2bb80d537b1da3e38bd30361aa855686";
        for text in [
            "mine".to_owned(),
            format!("pgring_other_00ff_17_{hash}@s0"),
            format!("pgring_shop_00ff_17_{hash}"),
            format!("pgring_shop_00ff_17_{hash}@"),
            format!("pgring_shop_00ff_x_{hash}@s0"),
            format!("pgring_shop_zz_17_{hash}@s0"),
            "pgring_shop_00ff_17_2bb8@s0".to_owned(),
            format!("pgring_shop_00ff_17_{hash}_more@s0"),
        ] {
            assert_eq!(Gid::parse(&text, "shop"), None, "{text}");
        }
    }

    #[test]
    fn the_longest_fits_into_a_servers_limit() {
        let decider = ShardName::from("s".repeat(63).as_str());
        let gid = Gid::new(&"c".repeat(32), &"f".repeat(16), u64::MAX, "secret", &decider);
        assert!(gid.as_str().len() < 200);
    }
}
