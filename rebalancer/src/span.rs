//! Span: a part of the ring, half-open, in the order of signed tokens; a piece over the top is two spans.
//! In: tokens. Out: widths, cuts, overlaps. Never: an owner.

use pgring_config::{ids::Token, topology::OwnedArc};
use std::fmt;

/// One past the highest token.
const TOP: i128 = 1 << 63;

/// Tokens in the whole ring.
const RING: u128 = 1 << 64;

/// The tokens `[start, end)`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    from: i128,
    to: i128,
}

impl Span {
    /// The tokens from `start` up to, not with, `end`; without `end`, up to and with the highest token. None if
    /// that is no token at all.
    pub fn new(start: Token, end: Option<Token>) -> Option<Self> {
        Self::between(start.0.into(), end.map_or(TOP, |end| end.0.into()))
    }

    fn between(from: i128, to: i128) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// First token.
    pub fn start(self) -> Token {
        Token(self.from as i64)
    }

    /// First token behind it; None: it ends with the highest token.
    pub fn end(self) -> Option<Token> {
        i64::try_from(self.to).ok().map(Token)
    }

    /// Tokens in it, `1..=2^64`.
    pub fn width(self) -> u128 {
        (self.to - self.from).unsigned_abs()
    }

    /// Its part of the ring, `0..=1`.
    pub fn share(self) -> f64 {
        self.width() as f64 / RING as f64
    }

    /// The first `width` tokens and the rest; None where there are none.
    pub fn cut(self, width: u128) -> (Option<Self>, Option<Self>) {
        let at = self.from + width.min(self.width()) as i128;
        (Self::between(self.from, at), Self::between(at, self.to))
    }

    /// The tokens that both have.
    pub fn overlap(self, other: Self) -> Option<Self> {
        Self::between(self.from.max(other.from), self.to.min(other.to))
    }

    /// What lies before and behind `inner`, which lies in it.
    pub fn around(self, inner: Self) -> (Option<Self>, Option<Self>) {
        (Self::between(self.from, inner.from), Self::between(inner.to, self.to))
    }

    /// Both as one, if `next` begins where this one ends.
    pub fn joined(self, next: Self) -> Option<Self> {
        (self.to == next.from).then_some(Self { from: self.from, to: next.to })
    }

    /// Has this token.
    pub fn contains(self, token: Token) -> bool {
        (self.from..self.to).contains(&token.0.into())
    }
}

impl From<&OwnedArc> for Span {
    /// An arc of a topology is never empty.
    fn from(arc: &OwnedArc) -> Self {
        let from = i128::from(arc.start.0);
        let to = arc.end.map_or(TOP, |end| end.0.into());
        Self { from, to: to.max(from + 1) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end() {
            Some(Token(end)) => write!(f, "[{}, {end})", self.from),
            None => write!(f, "[{}, top]", self.from),
        }
    }
}

/// Where two lists of spans meet: place in each and what both have. Each list is in order and without overlap.
pub fn overlaps(left: &[Span], right: &[Span]) -> Vec<(usize, usize, Span)> {
    let (mut l, mut r) = (0, 0);
    let mut common = Vec::new();
    while let (Some(a), Some(b)) = (left.get(l), right.get(r)) {
        common.extend(a.overlap(*b).map(|span| (l, r, span)));
        if a.to <= b.to { l += 1 } else { r += 1 }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: Option<i64>) -> Span {
        Span::new(Token(start), end.map(Token)).unwrap()
    }

    #[test]
    fn the_whole_ring_is_two_to_the_64_tokens() {
        let ring = span(i64::MIN, None);
        assert_eq!(ring.width(), 1 << 64);
        assert_eq!(ring.share(), 1.0);
        assert_eq!((ring.start(), ring.end()), (Token(i64::MIN), None));
        assert!(ring.contains(Token(i64::MAX)));
    }

    #[test]
    fn a_span_without_a_token_does_not_exist() {
        assert_eq!(Span::new(Token(5), Some(Token(5))), None);
        assert_eq!(Span::new(Token(5), Some(Token(4))), None);
        assert_eq!(Span::new(Token(i64::MAX), None).map(Span::width), Some(1));
    }

    #[test]
    fn a_cut_loses_no_token() {
        let whole = span(-10, Some(10));
        assert_eq!(whole.cut(5), (Some(span(-10, Some(-5))), Some(span(-5, Some(10)))));
        assert_eq!(whole.cut(0), (None, Some(whole)));
        assert_eq!(whole.cut(20), (Some(whole), None));
        assert_eq!(whole.cut(u128::MAX), (Some(whole), None));
    }

    #[test]
    fn overlaps_and_joins() {
        assert_eq!(span(0, Some(10)).overlap(span(5, None)), Some(span(5, Some(10))));
        assert_eq!(span(0, Some(10)).overlap(span(10, None)), None);
        assert_eq!(span(0, Some(10)).joined(span(10, None)), Some(span(0, None)));
        assert_eq!(span(0, Some(10)).joined(span(11, None)), None);
        let left = [span(0, Some(4)), span(4, Some(10)), span(20, None)];
        let right = [span(2, Some(6)), span(10, Some(30))];
        let common = [(0, 0, span(2, Some(4))), (1, 0, span(4, Some(6))), (2, 1, span(20, Some(30)))];
        assert_eq!(overlaps(&left, &right), common);
    }
}
