//! Start-up packets: read without panic, and what is read is written again as it was.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use pgring_protocol::message::startup::{self, Packet};

fuzz_target!(|packet: &[u8]| {
    let Ok(Packet::Startup { minor, rest, .. }) = Packet::parse(packet) else { return };
    let Ok(parameters) = startup::parameters(rest) else { return };
    let mut again = BytesMut::new();
    let pairs = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    startup::startup(&mut again, minor, pairs).expect("what was read holds no NUL and no empty name");
    let Ok(Packet::Startup { rest, .. }) = Packet::parse(&again[4..]) else { panic!("no packet any more") };
    assert_eq!(startup::parameters(rest).as_ref(), Ok(&parameters));
});
