//! Numeric: PostgreSQL's decimal numbers, with the digits it would show. In: text or binary format. Out: sums,
//! quotients, comparable bytes, the same formats. Never: a float.
//! Layout and scale rules: PostgreSQL's `numeric` (manual, 8.1.2) as its server sends and divides them.

use num_bigint::{BigInt, BigUint, Sign};

use super::MergeError;

/// Digits before the point that PostgreSQL's numeric can hold.
const MAX_WHOLE_DIGITS: i64 = 131_072;
/// Digits after the point that it can hold.
const MAX_SCALE: usize = 16_383;
/// Significant digits that a quotient has at least.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// Digits after the point that a quotient shows at most, even if the dividend shows more.
const MAX_DISPLAY_SCALE: i64 = 1000;
const OVERFLOW: MergeError = MergeError::OutOfRange("value overflows numeric format");

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;
/// The display scale that the server sends with an infinity.
const INFINITY_SCALE: u16 = 32;

/// A number digit by digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// `digits` (ASCII) of which the last `scale` stand behind the point.
    Finite { negative: bool, digits: Vec<u8>, scale: usize },
    /// ±Infinity.
    Infinite { negative: bool },
    /// NaN, equal to itself and greater than anything.
    Nan,
}

impl Digits {
    /// Reads text format.
    pub(super) fn from_text(text: &[u8]) -> Result<Self, MergeError> {
        match text {
            b"NaN" => return Ok(Self::Nan),
            b"Infinity" => return Ok(Self::Infinite { negative: false }),
            b"-Infinity" => return Ok(Self::Infinite { negative: true }),
            _ => {}
        }
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let point = text.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = match point {
            Some(point) => (&text[..point], &text[point + 1..]),
            None => (text, &[][..]),
        };
        let digits = [whole, fraction].concat();
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        if !plain || fraction.len() > MAX_SCALE || whole.len() as i64 > MAX_WHOLE_DIGITS {
            return Err(MergeError::Malformed);
        }
        Ok(Self::Finite { negative, digits, scale: fraction.len() })
    }

    /// Reads binary format: counts of groups, weight, sign, display scale, then groups of four digits.
    pub(super) fn from_binary(bytes: &[u8]) -> Result<Self, MergeError> {
        let (words, rest) = bytes.as_chunks::<2>();
        let words: Vec<u16> = words.iter().map(|word| u16::from_be_bytes(*word)).collect();
        let [count, weight, sign, scale, groups @ ..] = words.as_slice() else { return Err(MergeError::Malformed) };
        if !rest.is_empty() || groups.len() != usize::from(*count) || groups.iter().any(|group| *group > 9999) {
            return Err(MergeError::Malformed);
        }
        match *sign {
            SIGN_NAN => Ok(Self::Nan),
            SIGN_INFINITY => Ok(Self::Infinite { negative: false }),
            SIGN_NEGATIVE_INFINITY => Ok(Self::Infinite { negative: true }),
            0 | SIGN_NEGATIVE => {
                Self::from_groups(*sign == SIGN_NEGATIVE, i64::from(*weight as i16), usize::from(*scale), groups)
            }
            _ => Err(MergeError::Malformed),
        }
    }

    fn from_groups(negative: bool, weight: i64, scale: usize, groups: &[u16]) -> Result<Self, MergeError> {
        let before = (-1 - weight).max(0) as usize * 4;
        let mut digits = vec![b'0'; before];
        for group in groups {
            digits.extend([1000, 100, 10, 1].map(|unit| b'0' + (group / unit % 10) as u8));
        }
        let whole = (weight + 1).max(0) as usize * 4;
        let length = whole + scale;
        let shown = scale <= MAX_SCALE && digits.iter().skip(length).all(|digit| *digit == b'0');
        if !shown {
            return Err(MergeError::Malformed);
        }
        digits.resize(length, b'0');
        Ok(Self::Finite { negative, digits, scale })
    }

    /// Appends bytes that order as the numbers do, the same for all spellings of one number.
    pub(super) fn comparable(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nan => out.push(5),
            Self::Infinite { negative: false } => out.push(4),
            Self::Infinite { negative: true } => out.push(0),
            Self::Finite { negative, digits, scale } => {
                let Some(first) = digits.iter().position(|digit| *digit != b'0') else { return out.push(2) };
                let last = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(first);
                let exponent = digits.len() as i64 - *scale as i64 - first as i64;
                out.push(if *negative { 1 } else { 3 });
                let start = out.len();
                out.extend(((exponent + (1 << 31)) as u32).to_be_bytes());
                out.extend(&digits[first..=last]);
                out.push(0);
                if *negative {
                    out[start..].iter_mut().for_each(|byte| *byte = !*byte);
                }
            }
        }
    }
}

/// A number to reckon with: `mantissa × 10^-scale`, shown with `scale` digits behind the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Numeric {
    /// A number.
    Finite { mantissa: BigInt, scale: usize },
    /// ±Infinity.
    Infinite { negative: bool },
    /// NaN.
    Nan,
}

impl From<i128> for Numeric {
    fn from(number: i128) -> Self {
        Self::Finite { mantissa: number.into(), scale: 0 }
    }
}

impl Numeric {
    /// Reads a value in text or binary format.
    pub(super) fn read(bytes: &[u8], binary: bool) -> Result<Self, MergeError> {
        let digits = if binary { Digits::from_binary(bytes)? } else { Digits::from_text(bytes)? };
        Ok(match digits {
            Digits::Nan => Self::Nan,
            Digits::Infinite { negative } => Self::Infinite { negative },
            Digits::Finite { negative, digits, scale } => {
                let magnitude = BigUint::parse_bytes(&digits, 10).unwrap_or_default();
                let sign = if negative { Sign::Minus } else { Sign::Plus };
                Self::Finite { mantissa: BigInt::from_biguint(sign, magnitude), scale }
            }
        })
    }

    /// The sum, with the longer of the two scales.
    pub(super) fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Infinite { negative: a }, Self::Infinite { negative: b }) if a != b => Self::Nan,
            (infinite @ Self::Infinite { .. }, _) | (_, infinite @ Self::Infinite { .. }) => infinite,
            (Self::Finite { mantissa: a, scale: p }, Self::Finite { mantissa: b, scale: q }) => {
                let scale = p.max(q);
                Self::Finite {
                    mantissa: a * BigInt::from(power_of_ten(scale - p)) + b * BigInt::from(power_of_ten(scale - q)),
                    scale,
                }
            }
        }
    }

    /// The quotient by a count greater than 0, with the scale that PostgreSQL's division gives it, rounded half away
    /// from zero.
    pub(super) fn divide(self, count: u128) -> Self {
        let Self::Finite { mantissa, scale } = self else { return self };
        let quotient_scale = quotient_scale(&mantissa, scale, count);
        let negative = mantissa.sign() == Sign::Minus;
        let dividend = mantissa.into_parts().1 * power_of_ten(quotient_scale.saturating_sub(scale));
        let divisor = power_of_ten(scale.saturating_sub(quotient_scale)) * count;
        let (whole, rest) = (&dividend / &divisor, &dividend % &divisor);
        let magnitude = if rest * 2u32 >= divisor { whole + 1u32 } else { whole };
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        Self::Finite { mantissa: BigInt::from_biguint(sign, magnitude), scale: quotient_scale }
    }

    /// Bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Finite { mantissa, .. } => (mantissa.bits() / 8) as usize,
            _ => 0,
        }
    }

    /// Writes it in text or binary format.
    ///
    /// # Errors
    /// [`MergeError::OutOfRange`] (22003) if PostgreSQL's numeric cannot hold it.
    pub(super) fn write(&self, binary: bool) -> Result<Vec<u8>, MergeError> {
        match self {
            Self::Nan if binary => Ok(header(0, 0, SIGN_NAN, 0)),
            Self::Nan => Ok(b"NaN".to_vec()),
            Self::Infinite { negative } if binary => {
                Ok(header(0, 0, if *negative { SIGN_NEGATIVE_INFINITY } else { SIGN_INFINITY }, INFINITY_SCALE))
            }
            Self::Infinite { negative } => Ok(if *negative { b"-Infinity".to_vec() } else { b"Infinity".to_vec() }),
            Self::Finite { mantissa, scale } => {
                let digits = mantissa.magnitude().to_string();
                if digits.len() as i64 - *scale as i64 > MAX_WHOLE_DIGITS || *scale > MAX_SCALE {
                    return Err(OVERFLOW);
                }
                let negative = mantissa.sign() == Sign::Minus;
                Ok(if binary { binary_of(negative, &digits, *scale) } else { text_of(negative, &digits, *scale) })
            }
        }
    }
}

fn power_of_ten(exponent: usize) -> BigUint {
    BigUint::from(10u32).pow(exponent as u32)
}

/// Digits behind the point of a quotient: enough for 16 significant digits, reckoned in groups of four digits, and no
/// fewer than the dividend shows, up to the bound.
fn quotient_scale(dividend: &BigInt, scale: usize, divisor: u128) -> usize {
    let (dividend_weight, dividend_group) = leading_group(&dividend.magnitude().to_string(), scale);
    let (divisor_weight, divisor_group) = leading_group(&divisor.to_string(), 0);
    let borrow = i64::from(dividend_group <= divisor_group);
    let weight = dividend_weight - divisor_weight - borrow;
    (MIN_SIGNIFICANT_DIGITS - weight * 4).max(scale as i64).clamp(0, MAX_DISPLAY_SCALE) as usize
}

/// Weight (power of 10,000) and value of the first group of four digits that is not zero.
fn leading_group(digits: &str, scale: usize) -> (i64, u32) {
    if digits == "0" {
        return (0, 0);
    }
    let whole = digits.len() as i64 - scale as i64;
    let weight = (whole - 1).div_euclid(4);
    let width = (whole - 1).rem_euclid(4) as usize + 1;
    let group = digits.bytes().chain(std::iter::repeat(b'0')).take(width);
    (weight, group.fold(0, |group, digit| group * 10 + u32::from(digit - b'0')))
}

fn text_of(negative: bool, digits: &str, scale: usize) -> Vec<u8> {
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let sign = if negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}").into_bytes()
}

fn binary_of(negative: bool, digits: &str, scale: usize) -> Vec<u8> {
    let whole = digits.len().saturating_sub(scale);
    let before = if digits.len() >= scale { (4 - whole % 4) % 4 } else { scale - digits.len() };
    let behind = (4 - scale % 4) % 4;
    let padded: Vec<u8> = [vec![b'0'; before], digits.as_bytes().to_vec(), vec![b'0'; behind]].concat();
    let groups: Vec<u16> = padded
        .chunks(4)
        .map(|group| group.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0')))
        .collect();
    let whole_groups = whole.div_ceil(4) as i64;
    let Some(first) = groups.iter().position(|group| *group != 0) else {
        return header(0, 0, 0, scale as u16);
    };
    let last = groups.iter().rposition(|group| *group != 0).unwrap_or(first);
    let sign = if negative { SIGN_NEGATIVE } else { 0 };
    let weight = whole_groups - 1 - first as i64;
    let mut out = header((last - first + 1) as u16, weight as i16, sign, scale as u16);
    groups[first..=last].iter().for_each(|group| out.extend(group.to_be_bytes()));
    out
}

fn header(groups: u16, weight: i16, sign: u16, scale: u16) -> Vec<u8> {
    [groups, weight as u16, sign, scale].map(u16::to_be_bytes).concat()
}
