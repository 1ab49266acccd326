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

/// What a byte can begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Copied as it is: most operators, brackets, commas.
    Plain,
    Space,
    /// A letter, `_` or a byte of a character outside ASCII.
    Letter,
    Digit,
    Quote,
    DoubleQuote,
    Dollar,
    Dash,
    Slash,
    Dot,
    Semicolon,
    Open,
    Close,
    /// A control byte: could be taken for a placeholder, or is nothing SQL knows.
    Control,
}

/// [`Class`] of each byte.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'$' => Class::Dollar,
            b'-' => Class::Dash,
            b'/' => Class::Slash,
            b'.' => Class::Dot,
            b';' => Class::Semicolon,
            b'(' => Class::Open,
            b')' => Class::Close,
            0..0x20 | 0x7f => Class::Control,
            _ => Class::Plain,
        };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
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
    /// In its body: how many END are awaited; `label`: the next word is a name (after AS or a dot).
    Body {
        ends: u32,
        label: bool,
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
            Self::Head { begin: true } if is("atomic") => Self::Body { ends: 1, label: false },
            Self::Head { .. } => Self::Head { begin: is("begin") },
            Self::Body { ends, label: true } => Self::Body { ends, label: false },
            Self::Body { ends, .. } if is("case") || is("begin") => Self::Body { ends: ends + 1, label: false },
            Self::Body { ends: 1, .. } if is("end") => Self::No,
            Self::Body { ends, .. } if is("end") => Self::Body { ends: ends - 1, label: false },
            Self::Body { ends, .. } => Self::Body { ends, label: is("as") },
            _ => Self::No,
        }
    }

    /// The state after something that is no word.
    fn other(self, byte: u8) -> Self {
        match self {
            Self::Head { .. } => Self::Head { begin: false },
            Self::Body { ends, .. } => Self::Body { ends, label: byte == b'.' },
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

/// One past the word that begins at `start`.
pub(super) fn word_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().position(|&byte| !matches!(class(byte), Class::Letter | Class::Digit | Class::Dollar));
    start + length.unwrap_or(rest.len())
}

fn digits_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
}

/// One past the string whose opening quote is at `quote`; None if it does not end.
pub(super) fn string_end(text: &[u8], quote: usize, kind: SlotKind) -> Option<usize> {
    match kind {
        SlotKind::EscapeString => escape_string_end(text, quote),
        SlotKind::BitString => {
            let length = text.get(quote + 1..)?.iter().position(|&byte| byte == b'\'')?;
            Some(quote + 1 + length + 1)
        }
        _ => string_end_at(text, quote, b'\''),
    }
}

/// One past the text between quotes, in which a doubled quote stands for one.
pub(super) fn string_end_at(text: &[u8], open: usize, quote: u8) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == quote)? + 1;
        if text.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn escape_string_end(text: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', _) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The opening quote of the next part of a string that ended before `end`: blanks or line comments with a newline
/// among them lie between.
fn continuation(text: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    let mut newline = false;
    loop {
        match text.get(at)? {
            b'\n' | b'\r' => newline = true,
            b'\'' => return newline.then_some(at),
            b'-' if text.get(at + 1) == Some(&b'-') => {
                at = line_comment_end(text, at);
                continue;
            }
            &byte if class(byte) == Class::Space => {}
            _ => return None,
        }
        at += 1;
    }
}

/// One past the `--` comment at `start`, its newline not included.
pub(super) fn line_comment_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|&byte| byte == b'\n' || byte == b'\r').unwrap_or(rest.len())
}

/// One past the `/*` comment at `start`; None if it does not end. Such comments nest.
pub(super) fn block_comment_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 2;
    let mut depth = 1_u32;
    while depth > 0 {
        match (text.get(at)?, text.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    Some(at)
}

/// One past the opening `$tag$` at `start`; None if it is none.
pub(super) fn dollar_tag_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    if class(*text.get(at)?) == Class::Letter {
        let rest = text.get(at..)?;
        at += rest.iter().position(|&byte| !matches!(class(byte), Class::Letter | Class::Digit))?;
    }
    (text.get(at) == Some(&b'$')).then_some(at + 1)
}

/// One past the dollar-quoted string whose `$tag$` is `start..open`; None if it does not end.
pub(super) fn dollar_string_end(text: &[u8], start: usize, open: usize) -> Option<usize> {
    let tag = text.get(start..open)?;
    let mut at = open;
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == b'$')?;
        if text.get(at..)?.starts_with(tag) {
            return Some(at + tag.len());
        }
        at += 1;
    }
}

/// A number in a text.
pub(super) struct Number {
    /// Integer or Decimal.
    pub(super) kind: SlotKind,
    /// One past its last byte.
    pub(super) end: usize,
    /// Every PostgreSQL version reads it alike.
    plain: bool,
}

/// The number at `start`, which is a digit, or a dot before one.
pub(super) fn number_at(text: &[u8], start: usize) -> Number {
    let (first, second) = (text.get(start), text.get(start + 1));
    if let (Some(b'0'), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) = (first, second) {
        // 16 and later read an integer here, 15 refuses it, 14 reads `0 AS x2A`.
        return Number { kind: SlotKind::Integer, end: word_end(text, start), plain: false };
    }
    let mut end = digits_end(text, start);
    let mut kind = SlotKind::Integer;
    if text.get(end) == Some(&b'_') {
        return Number { kind, end: word_end(text, end), plain: false };
    }
    if text.get(end) == Some(&b'.') && text.get(end + 1) != Some(&b'.') {
        kind = SlotKind::Decimal;
        end = digits_end(text, end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let digits = digits_end(text, end + 1 + sign);
        if digits > end + 1 + sign {
            kind = SlotKind::Decimal;
            end = digits;
        }
    }
    Number { kind, end, plain: !text.get(end).is_some_and(|&byte| class(byte) == Class::Letter) }
}

/// The value of a literal: a string without quotes and escapes, an integer in decimal digits, any other number as it
/// is written, the digits of a bit string. None for comments and for what is not one plain literal of this kind.
pub fn literal_text(kind: SlotKind, raw: &[u8]) -> Option<Cow<'_, str>> {
    let raw = std::str::from_utf8(raw).ok()?;
    match kind {
        SlotKind::Integer => integer_text(raw),
        SlotKind::Decimal => Some(Cow::Borrowed(raw)),
        SlotKind::String => undoubled(raw.strip_prefix('\'')?.strip_suffix('\'')?),
        SlotKind::EscapeString => {
            let inner = raw.strip_prefix(['E', 'e'])?.strip_prefix('\'')?.strip_suffix('\'')?;
            unescaped(inner)
        }
        SlotKind::DollarString => {
            let open = dollar_tag_end(raw.as_bytes(), 0)?;
            raw.get(open..)?.strip_suffix(raw.get(..open)?).map(Cow::Borrowed)
        }
        SlotKind::BitString => {
            let inner = raw.get(1..)?.strip_prefix('\'')?.strip_suffix('\'')?;
            (!inner.contains('\'')).then_some(Cow::Borrowed(inner))
        }
        SlotKind::Comment => None,
    }
}

fn integer_text(raw: &str) -> Option<Cow<'_, str>> {
    if raw.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cow::Borrowed(raw));
    }
    let well_spaced = |digits: &str| !digits.ends_with('_') && !digits.contains("__");
    let (radix, digits) = match raw.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, raw.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, raw.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, raw.get(2..)?),
        _ => (10, raw),
    };
    if !well_spaced(digits) {
        return None;
    }
    u128::from_str_radix(&digits.replace('_', ""), radix).ok().map(|value| Cow::Owned(value.to_string()))
}

/// The inside of a plain string: `''` stands for `'`, a single one cannot occur.
fn undoubled(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains('\'') {
        return Some(Cow::Borrowed(inner));
    }
    let value = inner.replace("''", "\0");
    (!value.contains('\'') && !inner.contains('\0')).then(|| Cow::Owned(value.replace('\0', "'")))
}

/// The inside of an `E''` string.
fn unescaped(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains(['\\', '\'']) {
        return Some(Cow::Borrowed(inner));
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'\'', [b'\'', after @ ..]) => {
                value.push(b'\'');
                after
            }
            (b'\'', _) => return None,
            (b'\\', _) => escape(after, &mut value)?,
            _ => {
                value.push(*byte);
                after
            }
        };
    }
    (!value.contains(&0)).then(|| String::from_utf8(value).ok().map(Cow::Owned))?
}

/// Appends what the escape after a backslash stands for; returns what follows it.
fn escape<'a>(text: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&first, after) = text.split_first()?;
    let plain = match first {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0'..=b'7' => return coded(text, 8, 1, 3, value),
        b'x' if after.first().is_some_and(u8::is_ascii_hexdigit) => return coded(after, 16, 1, 2, value),
        b'u' => return unicode(after, 4, value),
        b'U' => return unicode(after, 8, value),
        other => other,
    };
    value.push(plain);
    Some(after)
}

/// Takes `least..=most` digits in `radix`; returns their number and what follows.
fn digits_in(text: &[u8], radix: u32, least: usize, most: usize) -> Option<(u32, &[u8])> {
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = text.iter().take(most).take_while(is_digit).count();
    let digits = std::str::from_utf8(text.get(..count)?).ok()?;
    let number = u32::from_str_radix(digits, radix).ok()?;
    (count >= least).then_some((number, text.get(count..)?))
}

fn coded<'a>(text: &'a [u8], radix: u32, least: usize, most: usize, value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (number, after) = digits_in(text, radix, least, most)?;
    value.push(u8::try_from(number & 0xff).ok()?);
    Some(after)
}

/// `\uXXXX` and `\UXXXXXXXX`; surrogates come in pairs.
fn unicode<'a>(text: &'a [u8], width: usize, value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (mut code, mut after) = digits_in(text, 16, width, width)?;
    if (0xd800..0xdc00).contains(&code) {
        let (width, rest) = match after {
            [b'\\', b'u', rest @ ..] => (4, rest),
            [b'\\', b'U', rest @ ..] => (8, rest),
            _ => return None,
        };
        let (low, rest) = digits_in(rest, 16, width, width)?;
        let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        code = 0x1_0000 + ((code - 0xd800) << 10) + low;
        after = rest;
    }
    let character = char::from_u32(code)?;
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(after)
}

/// The settings that comments `/* pgring: name=value, … */` before the first statement of `text` ask for, in order;
/// names are lower-cased and without `pgring.`.
pub fn directives(text: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at = match (byte, text.get(at + 1)) {
            (b'/', Some(b'*')) => match block_comment_end(text, at) {
                Some(end) => {
                    directives_of(text.get(at + 2..end - 2).unwrap_or_default(), &mut found);
                    end
                }
                None => break,
            },
            (b'-', Some(b'-')) => line_comment_end(text, at),
            (b';', _) => at + 1,
            _ if class(byte) == Class::Space => at + 1,
            _ => break,
        };
    }
    found
}

/// Reads the inside of one comment.
fn directives_of(comment: &[u8], found: &mut Vec<(String, String)>) {
    let Ok(comment) = std::str::from_utf8(comment) else { return };
    let comment = comment.trim();
    let Some(list) = comment.get(..7).filter(|word| word.eq_ignore_ascii_case("pgring:")).and(comment.get(7..)) else {
        return;
    };
    for item in list.split(',') {
        let Some((name, value)) = item.split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim();
        let unquoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        if !name.is_empty() {
            found.push((name.strip_prefix("pgring.").unwrap_or(&name).to_owned(), unquoted.replace("''", "'")));
        }
    }
}

#[cfg(test)]
mod tests;
