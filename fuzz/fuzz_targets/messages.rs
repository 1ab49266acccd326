//! Messages: every reader takes any body without panic; what a Bind or an error says is the same when written again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use pgring_protocol::message::{
    build,
    copy::{CopyFail, CopyResponse},
    extended::{self, Bind, Close, Describe, Execute, Parse},
    notice::Fields,
    query::query_text,
    result,
};

fuzz_target!(|body: &[u8]| {
    let _ = (query_text(body), Describe::parse(body), Close::parse(body), Execute::parse(body), extended::empty(body));
    let _ = (CopyFail::parse(body), CopyResponse::parse(body));
    let _ = (result::parameter_status(body), result::backend_key_data(body));
    let _ = result::row_description(body);
    if let Ok(parse) = Parse::parse(body) {
        let types: Vec<u32> = parse.types.iter().collect();
        let mut again = BytesMut::new();
        build::parse(&mut again, parse.name, parse.sql, &types);
        assert_eq!(&again[5..], body);
    }
    if let Ok(bind) = Bind::parse(body) {
        let mut again = BytesMut::new();
        build::bind_raw(&mut again, bind.portal, bind.statement, bind.rest);
        assert_eq!(&again[5..], body);
        if let Ok(parameters) = bind.parameters() {
            assert_eq!(parameters.iter().count(), parameters.len());
        }
    }
    if let Ok(fields) = Fields::parse(body) {
        let mut again = BytesMut::new();
        build::error(&mut again, &fields);
        assert_eq!(Fields::parse(&again[5..]), Ok(fields));
    }
});
