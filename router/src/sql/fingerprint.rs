//! Fingerprint: one pass over a statement's text lifts its literals out, so that statements of one shape share a
//! plan. In: text. Out: shape, slots, statement boundaries, directives. Never: parses, allocates on a reused `Lexed`.

mod directive;
mod literal;
pub(in crate::sql) mod scan;

pub use directive::directives;
pub use literal::literal_text;
use scan::{
    Class, block_comment_end, class, continuation, digits_end, dollar_string_end, dollar_tag_end, line_comment_end,
    number_at, string_end, string_end_at, word_end,
};

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

/// Reads `text` in one pass into `lexed`, whose former content is forgotten. Follows PostgreSQL's `scan.l` with
/// `standard_conforming_strings` on; a text of 4 GB or more is left unread and uncertain.
pub fn lex(text: &[u8], lexed: &mut Lexed) {
    lexed.clear();
    if u32::try_from(text.len()).is_err() {
        lexed.certain = false;
        return;
    }
    Lexer { text, lexed, copied: 0, first: None, last: 0, depth: 0, routine: Routine::Start }.run();
}

/// How far a statement has shown itself to be one whose body may hold semicolons: CREATE FUNCTION and PROCEDURE with
/// a body `BEGIN ATOMIC … END`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Routine {
    Start,
    Create,
    CreateOr,
    CreateOrReplace,
    /// Before its body; `begin`: the last word was BEGIN.
    Head {
        begin: bool,
    },
    /// In its body; `between`: the last token was ATOMIC or a semicolon, where alone END ends the body (elsewhere it is
    /// a label or CASE's).
    Body {
        between: bool,
    },
    /// It is none.
    No,
}

impl Routine {
    /// The state after one more word outside parentheses.
    fn word(self, word: &[u8]) -> Self {
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        match self {
            Self::Start if is("create") => Self::Create,
            Self::Create if is("or") => Self::CreateOr,
            Self::CreateOr if is("replace") => Self::CreateOrReplace,
            Self::Create | Self::CreateOrReplace if is("function") || is("procedure") => Self::Head { begin: false },
            Self::Head { begin: true } if is("atomic") => Self::Body { between: true },
            Self::Head { .. } => Self::Head { begin: is("begin") },
            Self::Body { between: true } if is("end") => Self::No,
            Self::Body { .. } => Self::Body { between: false },
            _ => Self::No,
        }
    }

    /// The state after something that is no word.
    fn other(self, byte: u8) -> Self {
        match self {
            Self::Head { .. } => Self::Head { begin: false },
            Self::Body { .. } => Self::Body { between: byte == b';' },
            _ => Self::No,
        }
    }
}

/// One run of [`lex`].
struct Lexer<'a> {
    text: &'a [u8],
    lexed: &'a mut Lexed,
    /// The text before this is in the shape.
    copied: usize,
    /// Where the statement's first token begins.
    first: Option<usize>,
    /// One past the statement's last token.
    last: usize,
    /// Open parentheses.
    depth: u32,
    routine: Routine,
}

impl Lexer<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(&byte) = self.text.get(at) {
            at = match class(byte) {
                Class::Space => at + 1,
                Class::Letter => self.word(at),
                Class::Plain => self.token(at, at + 1),
                Class::Digit => self.number(at),
                Class::Quote => self.string(at, at, SlotKind::String),
                Class::Dash if self.byte(at + 1) == Some(b'-') => self.comment(at, line_comment_end(self.text, at)),
                Class::Slash if self.byte(at + 1) == Some(b'*') => self.block_comment(at),
                Class::Dash | Class::Slash => self.token(at, at + 1),
                Class::Dot => self.dot(at),
                Class::Open | Class::Close => self.parenthesis(at, byte),
                Class::Semicolon => self.semicolon(at),
                Class::Dollar => self.dollar(at),
                Class::DoubleQuote => self.quoted_name(at, at),
                Class::Control => self.control(at),
            };
        }
        self.end_statement();
        self.copy(self.text.len());
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Copies the text up to `end` into the shape.
    fn copy(&mut self, end: usize) {
        self.lexed.shape.extend_from_slice(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    /// Notes that `start..end` belongs to the statement.
    fn part(&mut self, start: usize, end: usize) -> usize {
        self.first.get_or_insert(start);
        self.last = end;
        end
    }

    /// A token that is no word.
    fn token(&mut self, start: usize, end: usize) -> usize {
        if self.routine != Routine::No && self.depth == 0 {
            self.routine = self.routine.other(self.byte(start).unwrap_or(b' '));
        }
        self.part(start, end)
    }

    fn slot(&mut self, kind: SlotKind, start: usize, end: usize) {
        self.copy(start);
        self.lexed.slots.push(Slot { kind, start: start as u32, end: end as u32, at: self.lexed.shape.len() as u32 });
        self.lexed.shape.push(placeholder(kind));
        self.copied = end;
    }

    fn literal(&mut self, kind: SlotKind, start: usize, end: usize) -> usize {
        self.slot(kind, start, end);
        self.token(start, end)
    }

    fn doubt(&mut self) {
        self.lexed.certain = false;
    }

    fn control(&mut self, at: usize) -> usize {
        self.doubt();
        self.token(at, at + 1)
    }

    fn word(&mut self, start: usize) -> usize {
        let end = word_end(self.text, start);
        if end == start + 1
            && let Some(end) = self.prefixed(start)
        {
            return end;
        }
        if self.routine != Routine::No && self.depth == 0 {
            self.routine = self.routine.word(self.text.get(start..end).unwrap_or_default());
        }
        self.part(start, end)
    }

    /// A literal or name that begins with one letter: `E''`, `B''`, `X''`, `U&''`, `U&""`. (`N''` is the word N and a
    /// string.)
    fn prefixed(&mut self, start: usize) -> Option<usize> {
        let next = self.byte(start + 1)?;
        match self.byte(start)?.to_ascii_lowercase() {
            b'e' if next == b'\'' => Some(self.string(start, start + 1, SlotKind::EscapeString)),
            b'b' | b'x' if next == b'\'' => Some(self.string(start, start + 1, SlotKind::BitString)),
            b'u' if next == b'&' => match self.byte(start + 2)? {
                b'\'' => {
                    self.doubt();
                    Some(self.string(start, start + 2, SlotKind::String))
                }
                b'"' => {
                    self.doubt();
                    Some(self.quoted_name(start, start + 2))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// A string whose opening quote is at `quote`, with the parts that PostgreSQL joins to it.
    fn string(&mut self, start: usize, quote: usize, kind: SlotKind) -> usize {
        let mut part = string_end(self.text, quote, kind);
        let mut end = part.unwrap_or(self.text.len());
        while let Some(next) = part.and_then(|end| continuation(self.text, end)) {
            self.doubt();
            part = string_end(self.text, next, kind);
            end = part.unwrap_or(self.text.len());
        }
        if part.is_none() {
            self.doubt();
        }
        self.literal(kind, start, end)
    }

    fn quoted_name(&mut self, start: usize, quote: usize) -> usize {
        let end = string_end_at(self.text, quote, b'"').unwrap_or_else(|| {
            self.doubt();
            self.text.len()
        });
        if self.text.get(start..end).unwrap_or_default().iter().any(|&byte| class(byte) == Class::Control) {
            self.doubt();
        }
        self.token(start, end)
    }

    fn number(&mut self, start: usize) -> usize {
        let number = number_at(self.text, start);
        if !number.plain {
            self.doubt();
        }
        self.literal(number.kind, start, number.end)
    }

    fn dot(&mut self, at: usize) -> usize {
        match self.byte(at + 1) {
            Some(b'.') => self.token(at, at + 2),
            Some(b'0'..=b'9') => self.number(at),
            _ => self.token(at, at + 1),
        }
    }

    fn comment(&mut self, start: usize, end: usize) -> usize {
        self.slot(SlotKind::Comment, start, end);
        end
    }

    fn block_comment(&mut self, start: usize) -> usize {
        let end = block_comment_end(self.text, start).unwrap_or_else(|| {
            self.doubt();
            self.text.len()
        });
        self.comment(start, end)
    }

    /// `$1`, `$$text$$`, or a dollar that is neither.
    fn dollar(&mut self, start: usize) -> usize {
        if self.byte(start + 1).is_some_and(|byte| byte.is_ascii_digit()) {
            return self.parameter(start);
        }
        let Some(open) = dollar_tag_end(self.text, start) else {
            self.doubt();
            return self.token(start, start + 1);
        };
        let end = dollar_string_end(self.text, start, open).unwrap_or_else(|| {
            self.doubt();
            self.text.len()
        });
        self.literal(SlotKind::DollarString, start, end)
    }

    fn parameter(&mut self, start: usize) -> usize {
        let end = digits_end(self.text, start + 1);
        let digits = self.text.get(start + 1..end).unwrap_or_default();
        match std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok()) {
            Some(number) => self.lexed.parameters = self.lexed.parameters.max(number),
            None => {
                self.lexed.parameters = u16::MAX;
                self.doubt();
            }
        }
        if self.byte(end).is_some_and(|byte| class(byte) == Class::Letter) {
            self.doubt();
        }
        self.token(start, end)
    }

    fn parenthesis(&mut self, at: usize, byte: u8) -> usize {
        let end = self.token(at, at + 1);
        self.depth = if byte == b'(' { self.depth + 1 } else { self.depth.saturating_sub(1) };
        end
    }

    fn semicolon(&mut self, at: usize) -> usize {
        if self.depth > 0 || matches!(self.routine, Routine::Body { .. }) {
            return self.token(at, at + 1);
        }
        self.end_statement();
        at + 1
    }

    fn end_statement(&mut self) {
        if let Some(first) = self.first.take() {
            self.lexed.statements.push(StatementSpan { start: first as u32, end: self.last as u32 });
        }
        self.depth = 0;
        self.routine = Routine::Start;
    }
}

#[cfg(test)]
mod tests;
