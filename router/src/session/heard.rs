//! Heard: what an ear has heard, in the words of its client: names and payloads in the client's encoding. In: notifications
//! in UTF-8. Out: the same for the client. Never: a notification that is lost because it cannot be written.

use super::Session;
use crate::{
    notify::ear::Ear,
    pool::{conn::ConnError, profile::literal},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_protocol::frame;

/// Header and process id of a notification.
const BEFORE: usize = frame::HEADER + 4;

impl Session {
    /// Moves what was heard into the output, up to about so many bytes.
    pub(super) async fn take_heard(&mut self, ear: &Ear, most: usize) {
        if !self.settings.foreign_encoding() {
            return ear.take(most, &mut self.client.out);
        }
        let mut heard = BytesMut::new();
        ear.take(most, &mut heard);
        if is_plain(&heard) {
            return self.client.out.extend_from_slice(&heard);
        }
        Box::pin(self.take_foreign(&heard)).await;
    }

    async fn take_foreign(&mut self, heard: &[u8]) {
        let taken = taken_apart(heard);
        let texts: Vec<&[u8]> = taken.iter().flat_map(|(_, texts)| *texts).collect();
        let written = match self.written(&texts).await {
            Some(written) => written,
            None => texts.iter().map(|text| plain(text)).collect(),
        };
        for ((pid, _), texts) in taken.iter().zip(written.chunks(2)) {
            let body: Vec<u8> = texts.iter().flat_map(|text| text.iter().copied().chain([0])).collect();
            let length = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
            let out = &mut self.client.out;
            [b"A", &length.to_be_bytes()[..], pid, &body].iter().for_each(|part| out.extend_from_slice(part));
        }
    }

    /// Texts in the client's encoding, as a server writes them; None if it cannot.
    async fn written(&mut self, texts: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        let encoding = literal(self.settings.reported("client_encoding")?);
        let list: Vec<String> = texts.iter().map(|text| format!("'{}'", hex(text))).collect();
        let sql = format!(
            "SELECT pg_catalog.encode(pg_catalog.convert(pg_catalog.decode(text, 'hex'), 'UTF8', {encoding}), 'hex') \
             FROM pg_catalog.unnest(ARRAY[{}]::pg_catalog.text[]) WITH ORDINALITY AS texts (text, nth) ORDER BY nth",
            list.join(", ")
        );
        let snapshot = self.database.snapshot().clone();
        let mut held = self.hold_apart(&snapshot, snapshot.topology.default_shard).await.ok()?;
        let rows = match held.conn().housekeep(&sql).await {
            Ok(rows) => Some(rows),
            Err(ConnError::Server(_)) => None,
            Err(_) => {
                self.me.end_work();
                return None;
            }
        };
        self.let_go(held, b'I', Reach::Nothing);
        rows?.iter().map(|row| bytes_of(row.first()?.as_deref()?)).collect()
    }
}

/// Of notifications: channels and payloads are ASCII.
fn is_plain(heard: &[u8]) -> bool {
    taken_apart(heard).iter().flat_map(|(_, texts)| texts).all(|text| text.is_ascii())
}

/// The process id of each notification, with its channel and payload.
fn taken_apart(mut heard: &[u8]) -> Vec<(&[u8], [&[u8]; 2])> {
    let mut taken = Vec::new();
    while let Ok(Some(head)) = frame::head(heard) {
        let Some((one, rest)) = heard.split_at_checked(head.len) else { break };
        let mut texts = one.get(BEFORE..).unwrap_or_default().split(|byte| *byte == 0);
        let texts = [texts.next().unwrap_or_default(), texts.next().unwrap_or_default()];
        taken.push((one.get(frame::HEADER..BEFORE).unwrap_or_default(), texts));
        heard = rest;
    }
    taken
}

/// A text whose characters beyond ASCII an encoding does not have.
fn plain(text: &[u8]) -> Vec<u8> {
    let known = |one: char| u8::try_from(one).ok().filter(u8::is_ascii).unwrap_or(b'?');
    String::from_utf8_lossy(text).chars().map(known).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    digits.chunks(2).map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_taken_apart() {
        let heard = [&b"A\0\0\0\x0f\0\0\0\x07ch\xc3\xa4\0x\0"[..], b"A\0\0\0\x0b\0\0\0\x08y\0\0"].concat();
        let taken = taken_apart(&heard);
        assert_eq!(taken, [(&[0, 0, 0, 7][..], [&b"ch\xc3\xa4"[..], b"x"]), (&[0, 0, 0, 8][..], [&b"y"[..], b""])]);
        assert_eq!(plain("aäb".as_bytes()), b"a?b");
        assert_eq!(bytes_of(&hex(b"a\xff")).as_deref(), Some(&b"a\xff"[..]));
    }
}
