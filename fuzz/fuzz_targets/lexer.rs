//! The lexer: everything that it finds lies within the text, in order; a second pass finds the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgring::sql::fingerprint::{Lexed, directives, lex, literal_text};

fuzz_target!(|text: &[u8]| {
    let (mut lexed, mut again) = (Lexed::default(), Lexed::default());
    lex(text, &mut lexed);
    lex(b"SELECT 'left over' -- by another; text", &mut again);
    lex(text, &mut again);
    assert_eq!(lexed, again, "a used Lexed remembers");
    let mut end = 0;
    for slot in &lexed.slots {
        assert!(end <= slot.start && slot.start < slot.end, "{slot:?}");
        let raw = text.get(slot.start as usize..slot.end as usize).expect("a slot within the text");
        let _ = literal_text(slot.kind, raw);
        assert!((slot.at as usize) < lexed.shape.len(), "{slot:?}");
        end = slot.end;
    }
    let mut end = 0;
    for span in &lexed.statements {
        assert!(end <= span.start && span.start <= span.end && span.end as usize <= text.len(), "{span:?}");
        end = span.end;
    }
    for at in 0..=lexed.shape.len() {
        assert!(lexed.text_at(u32::try_from(at).expect("a short text")) <= text.len());
    }
    let _ = directives(text);
});
