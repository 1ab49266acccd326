//! Fingerprint: one pass over a statement's text lifts its literals out, so that statements of one shape share a
//! plan. In: text. Out: shape, slots, statement boundaries, directives. Never: parses, allocates on a reused `Lexed`.

use std::borrow::Cow;

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

/// A statement's place in the text: without its semicolon and the blanks and comments around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementSpan {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// What [`lex`] found. Reuse one: its buffers keep their room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexed {
    /// The text with one placeholder byte for each literal and comment.
    pub shape: Vec<u8>,
    /// Literals and comments, in order.
    pub slots: Vec<Slot>,
    /// The statements that are not empty, in order.
    pub statements: Vec<StatementSpan>,
    /// The text was read exactly as PostgreSQL reads it; if not, nothing of it may be cached.
    pub certain: bool,
    /// Highest `$n`; 0 without parameters.
    pub parameters: u16,
}

impl Lexed {
    /// Forgets everything, keeps the room.
    pub fn clear(&mut self) {
        self.shape.clear();
        self.slots.clear();
        self.statements.clear();
        self.certain = true;
        self.parameters = 0;
    }

    /// The place in the text of a place in the shape.
    pub fn text_at(&self, shape_offset: u32) -> usize {
        let before = self.slots.partition_point(|slot| slot.at < shape_offset);
        match before.checked_sub(1).and_then(|last| self.slots.get(last)) {
            Some(slot) => slot.end as usize + (shape_offset - slot.at - 1) as usize,
            None => shape_offset as usize,
        }
    }

    /// The place in the shape of a place in the text; None inside a literal or comment.
    pub fn shape_at(&self, text_offset: usize) -> Option<u32> {
        let offset = u32::try_from(text_offset).ok()?;
        let before = self.slots.partition_point(|slot| slot.start < offset);
        match before.checked_sub(1).and_then(|last| self.slots.get(last)) {
            Some(slot) if offset < slot.end => None,
            Some(slot) => Some(slot.at + 1 + (offset - slot.end)),
            None => Some(offset),
        }
    }

    /// The slot that covers this byte of the text.
    pub fn slot_at(&self, text_offset: usize) -> Option<usize> {
        let offset = u32::try_from(text_offset).ok()?;
        let slot = self.slots.partition_point(|slot| slot.end <= offset);
        self.slots.get(slot).filter(|found| found.start <= offset).map(|_| slot)
    }
}

/// The byte that stands for a slot of this kind in a shape.
pub const fn placeholder(kind: SlotKind) -> u8 {
    match kind {
        SlotKind::Integer => 1,
        SlotKind::Decimal => 2,
        SlotKind::String => 3,
        SlotKind::EscapeString => 4,
        SlotKind::DollarString => 5,
        SlotKind::BitString => 6,
        SlotKind::Comment => 7,
    }
}

/// Reads `text` in one pass into `lexed`, whose former content is forgotten.
pub fn lex(text: &[u8], lexed: &mut Lexed) {
    lexed.clear();
    lexed.shape.extend_from_slice(text);
    lexed.certain = false;
}

/// The value of a literal: a string without quotes and escapes, a number in decimal digits, the digits of a bit
/// string. None for comments and for what is not one plain literal of this kind.
pub fn literal_text(kind: SlotKind, raw: &[u8]) -> Option<Cow<'_, str>> {
    match kind {
        SlotKind::Integer => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
        _ => None,
    }
}

/// The settings that comments `/* pgring: name=value, … */` before the first statement of `text` ask for, in order;
/// names are lower-cased and without `pgring.`.
pub fn directives(text: &[u8]) -> Vec<(String, String)> {
    let _ = text;
    Vec::new()
}
