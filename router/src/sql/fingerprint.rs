//! Fingerprint: one pass over a statement's text lifts its literals out, so that statements of one shape share a
//! plan. In: text. Out: shape, slots, statement boundaries, directives. Never: parses, allocates on a reused `Lexed`.

/// What kind of literal or comment a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// `42`, `0x2A`, `1_000`
    Integer,
    /// `4.2`, `1e3`
    Decimal,
    /// `'text'` (standard_conforming_strings)
    String,
    /// `E'te\\xt'`
    EscapeString,
    /// `$$text$$`, `$tag$text$tag$`
    DollarString,
    /// `B'01'`, `X'1F'`
    BitString,
    /// A comment: stands for one blank.
    Comment,
}

/// A literal or comment: bytes `start..end` of the text, one placeholder byte of the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its kind.
    pub kind: SlotKind,
    /// First byte in the text.
    pub start: u32,
    /// One past its last byte in the text.
    pub end: u32,
    /// Its placeholder's place in the shape.
    pub at: u32,
}
