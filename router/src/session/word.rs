//! Word: what a server says of its own accord to a session that waits for its client, and keeps a backend meanwhile: an
//! end (a time-out in a transaction, an administrator), a notice, a setting. In: the session's backends. Out: the client
//! hears it at once, as from PostgreSQL. Never: an answer.

use super::{End, Pin, Session};
use crate::{
    pool::{Checkout, conn::is_fatal},
    txn::Txn,
};
use pgring_protocol::{
    frame,
    message::{build, notice::Fields},
};
use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

/// Waits for a word of one of these backends. Returns whose, or that it is lost.
pub(super) async fn word(txn: &mut Option<Txn>, pins: &mut [Pin], deaf: bool) -> io::Result<()> {
    poll_fn(|context| if deaf { Poll::Pending } else { poll(txn, pins, context) }).await
}

fn kept<'a>(txn: &'a mut Option<Txn>, pins: &'a mut [Pin]) -> impl Iterator<Item = &'a mut Checkout> {
    let participants = txn.iter_mut().flat_map(|txn| txn.participants.iter_mut());
    participants.map(|participant| &mut participant.checkout).chain(pins.iter_mut().map(|pin| &mut pin.checkout))
}

fn poll(txn: &mut Option<Txn>, pins: &mut [Pin], context: &mut Context<'_>) -> Poll<io::Result<()>> {
    let said = kept(txn, pins).map(|checkout| checkout.conn().poll_word(context)).find(Poll::is_ready);
    said.unwrap_or(Poll::Pending)
}

impl Session {
    /// Passes on what the kept backends have said.
    pub(super) async fn pass_word(&mut self, heard: io::Result<()>) -> Result<(), End> {
        // A server that is gone without a word: the next statement says so.
        self.deaf = heard.is_err();
        let Session { txn, pins, client, settings, .. } = self;
        let mut ended = false;
        for checkout in kept(txn, pins) {
            let conn = checkout.conn();
            while let Ok(Some(head)) = frame::head(&conn.buf)
                && conn.buf.len() >= head.len
            {
                let whole = conn.buf.split_to(head.len);
                let body = frame::body(&whole, head);
                match head.kind {
                    b'N' => client.out.extend_from_slice(&whole),
                    b'S' => conn.reported.note(body),
                    b'E' => {
                        let fields = Fields::parse(body).ok().filter(is_fatal);
                        ended |= fields.is_some();
                        fields.iter().for_each(|fields| build::error(&mut client.out, fields));
                    }
                    _ => {}
                }
            }
            settings.now = conn.reported.clone();
            client.tell(&settings.now);
        }
        self.client.flush().await?;
        if ended { Err(End::Server) } else { Ok(()) }
    }
}
