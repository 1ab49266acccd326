//! Binary format. In: data. Out: its head, records with the key's field, its trailer. Never: another field's value.

use super::{Breaks, Found, Key, Record, Step};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Bytes of the head without what it may be extended by: the signature, flags, the extension's length.
const HEAD: usize = SIGNATURE.len() + 8;
/// A flag that PostgreSQL knows no more: rows have OIDs. The upper half of the flags is critical.
const CRITICAL: u32 = 0xffff_0000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    Records,
    Over,
}

/// Where the scan of a record stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Binary {
    stage: Stage,
    scanned: usize,
    fields: usize,
    key: Option<Option<(usize, usize)>>,
}

impl Binary {
    pub(super) fn next(&mut self, data: &[u8], at_end: bool, key: &Key) -> Step {
        match self.stage {
            Stage::Head => self.head(data, at_end),
            Stage::Records => self.record(data, at_end, key),
            Stage::Over if data.is_empty() => Step::More,
            Stage::Over => Step::Broken,
        }
    }

    fn head(&mut self, data: &[u8], at_end: bool) -> Step {
        let known = data.len().min(SIGNATURE.len());
        if data.get(..known) != SIGNATURE.get(..known) {
            return Step::Broken;
        }
        let (Some(flags), Some(extension)) = (u32_at(data, SIGNATURE.len()), u32_at(data, HEAD - 4)) else {
            return if at_end { Step::Broken } else { Step::More };
        };
        if flags & CRITICAL != 0 || extension > i32::MAX as u32 {
            return Step::Broken;
        }
        let len = HEAD + extension as usize;
        if data.len() < len {
            return if at_end { Step::Broken } else { Step::More };
        }
        self.stage = Stage::Records;
        Step::Lead(len)
    }

    fn record(&mut self, data: &[u8], at_end: bool, key: &Key) -> Step {
        let lacks = |what: bool| if at_end && what { Step::Broken } else { Step::More };
        let Some(count) = data.first_chunk::<2>().map(|count| i16::from_be_bytes(*count)) else {
            // PostgreSQL takes the end of the data for the trailer.
            return lacks(false);
        };
        if count == -1 {
            self.stage = Stage::Over;
            return Step::Lead(2);
        }
        if usize::try_from(count) != Ok(key.fields) {
            return Step::Broken;
        }
        self.scanned = self.scanned.max(2);
        while self.fields < key.fields {
            let Some(len) = u32_at(data, self.scanned) else { return lacks(true) };
            let at = self.scanned + 4;
            let value = match usize::try_from(len as i32) {
                Ok(len) => Some((at, at + len)),
                Err(_) if len == u32::MAX => None,
                Err(_) => return Step::Broken,
            };
            let end = value.map_or(at, |(_, end)| end);
            if data.len() < end {
                return lacks(true);
            }
            if Some(self.fields) == key.field {
                self.key = Some(value);
            }
            (self.scanned, self.fields) = (end, self.fields + 1);
        }
        let found = match self.key.take() {
            Some(None) => Found::Null,
            Some(Some((from, to))) => of_binary(data.get(from..to).unwrap_or_default(), key),
            None => Found::Null,
        };
        let len = std::mem::take(&mut self.scanned);
        self.fields = 0;
        Step::Record(Record { len, key: found, breaks: Breaks::default() })
    }
}

fn of_binary(bytes: &[u8], key: &Key) -> Found {
    if !key.utf8 && !bytes.is_ascii() && key.key_type.family() == pgring_config::key::KeyFamily::Text {
        return Found::Doubt;
    }
    key.key_type.from_binary(bytes, 0).map_or(Found::Doubt, Found::Key)
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}
