//! Watch: notices that a client is gone while others work for it. In: a client and the work. Out: what the work gave,
//! or that the client is gone. Never: ends the work because a client has only stopped sending.
//!
//! The end of what a client sends does not say that it reads no more: a script may send all it has, shut its side and
//! wait for the answer. So after that end pgring says something redundant now and then. The system of a client that is
//! gone answers with a reset; one that waits reads a setting that it knows already.

use super::frontend::{Frontend, FrontendError};
use bytes::{Buf, BytesMut};
use pgring_protocol::message::build;
use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::sleep};

/// A client that sends on while a statement runs is read ahead of to so many bytes.
const AHEAD: usize = 64 * 1024;
/// How often it is looked how a client does that has stopped sending.
const LOOK: Duration = Duration::from_millis(250);
/// Every so many looks something is said.
const SAY: u32 = 4;

impl Frontend {
    /// Waits for `work`, and meanwhile for the client to go. `whole`: what was sent ends with a whole message, so that
    /// another may follow. `work` is dropped when the client is gone.
    ///
    /// # Errors
    /// That the client is gone.
    pub async fn beside<T>(&mut self, whole: bool, work: impl Future<Output = T>) -> io::Result<T> {
        let work = pin!(work);
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = self.gone(whole) => Err(error),
        }
    }

    /// Waits until the client is gone.
    async fn gone(&mut self, whole: bool) -> io::Error {
        while !self.at_end {
            if self.inbuf.len() >= AHEAD {
                return Box::pin(self.gone_while_full(whole)).await;
            }
            if let Err(error) = poll_fn(|context| self.stream.poll_input(context)).await {
                return error;
            }
            match self.read().await {
                Ok(()) => {}
                Err(FrontendError::Gone(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.at_end = true,
                Err(FrontendError::Gone(error)) => return error,
                Err(_) => return io::ErrorKind::InvalidData.into(),
            }
        }
        Box::pin(self.gone_after_end(whole)).await
    }

    /// As [`Frontend::gone`] for a client of whom no more is read for now.
    async fn gone_while_full(&mut self, whole: bool) -> io::Error {
        while !self.stream.is_at_end() {
            sleep(LOOK).await;
        }
        self.gone_after_end(whole).await
    }

    /// As [`Frontend::gone`] for a client who has stopped sending.
    async fn gone_after_end(&mut self, whole: bool) -> io::Error {
        let mut looks = 0;
        while !self.stream.is_broken() {
            sleep(LOOK).await;
            if whole
                && looks % SAY == 0
                && let Err(error) = self.say().await
            {
                return error;
            }
            looks += 1;
        }
        io::ErrorKind::ConnectionReset.into()
    }

    /// Says what the client knows already, before what is ready: that may still be taken back.
    async fn say(&mut self) -> io::Result<()> {
        let mut known = BytesMut::new();
        build::parameter_status(&mut known, "integer_datetimes", "on");
        let sent = self.stream.write(&known).await?;
        known.advance(sent);
        if !known.is_empty() {
            known.unsplit(std::mem::take(&mut self.out));
            self.out = known;
        }
        Ok(())
    }
}
