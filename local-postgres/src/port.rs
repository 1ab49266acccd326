//! Free ports on 127.0.0.1.
//! In: nothing. Out: a port held by a socket until its user is about to take it. Never: promises it against other programs.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::LocalError;

/// Ports below those that systems give to outgoing connections, so that a stopped server finds its port again.
const FIRST: u16 = 16_400;
/// How many ports from [`FIRST`] on are tried from.
const COUNT: u16 = 15_000;
/// How often a random port of the range is tried before the system chooses one.
const TRIES: u64 = 50;

/// A free port of 127.0.0.1, held until [`FreePort::release`] or drop.
#[derive(Debug)]
pub struct FreePort {
    held: TcpListener,
    port: u16,
}

impl FreePort {
    /// Finds and holds a free port.
    ///
    /// # Errors
    /// [`LocalError::Io`] if the system has none.
    pub fn hold() -> Result<FreePort, LocalError> {
        let random = RandomState::new();
        let chosen = (0..TRIES)
            .map(|attempt| FIRST + (random.hash_one(attempt) % u64::from(COUNT)) as u16)
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        let listener = chosen.map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok);
        let address = listener.and_then(|held| Ok((held.local_addr()?.port(), held)));
        let (port, held) = address.map_err(LocalError::io("cannot find a free port on", Path::new("127.0.0.1")))?;
        Ok(FreePort { held, port })
    }

    /// The port's number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets go of the port, so that a program can listen on it.
    pub fn release(self) -> u16 {
        drop(self.held);
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_port_is_taken_and_a_released_one_is_free() {
        let free = FreePort::hold().unwrap();
        let port = free.port();
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err());
        assert_eq!(free.release(), port);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
