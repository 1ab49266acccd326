//! Units: durations and sizes as people write them (`250ms`, `8MB`) and as types.
//! In: text. Out: [`Duration`], [`ByteSize`] and their shortest exact text. Never: a fraction, a guess at a missing unit.

use std::{fmt, str::FromStr, time::Duration};

/// Units of time with their milliseconds, the longest first.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size with their bytes (binary, as in PostgreSQL), the largest first.
const SIZE_UNITS: [(&str, u64); 5] = [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];

/// What a duration may look like; for faults and for the reference.
pub const DURATION_FORM: &str = "a whole number with ms, s, m or h, as 250ms, 5s, 10m, 2h";

/// What a size may look like; for faults and for the reference.
pub const SIZE_FORM: &str = "a whole number with B, kB, MB, GB or TB, as 64kB, 8MB, 1GB";

/// Why a text is no duration or size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no whole number at its start.
    #[error("does not start with a whole number")]
    NoNumber,
    /// The number has no unit.
    #[error("has no unit")]
    NoUnit,
    /// The unit is not one of those known.
    #[error("has an unknown unit")]
    UnknownUnit,
    /// The value does not fit.
    #[error("is too large")]
    TooLarge,
}

/// Reads a duration: `250ms`, `5s`, `10m`, `2h`. `0` needs no unit.
///
/// # Errors
/// [`UnitError`] if `text` is not of that form or is longer than 2⁶³ - 1 ms.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    scaled(text, &TIME_UNITS).map(Duration::from_millis)
}

/// The shortest exact text of a duration, in whole milliseconds (what is below is dropped).
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 { "0s".to_owned() } else { shortest(ms, &TIME_UNITS) }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &SIZE_UNITS).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shortest(self.0, &SIZE_UNITS))
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return if number == 0 { Ok(0) } else { Err(UnitError::NoUnit) };
    }
    let (_, scale) = units.iter().find(|(name, _)| *name == unit).ok_or(UnitError::UnknownUnit)?;
    let value = number.checked_mul(*scale).ok_or(UnitError::TooLarge)?;
    if value > i64::MAX as u64 { Err(UnitError::TooLarge) } else { Ok(value) }
}

fn shortest(value: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().find(|(_, scale)| value != 0 && value.is_multiple_of(*scale));
    match exact {
        Some((name, scale)) => format!("{}{name}", value / scale),
        None => format!("0{}", units.last().map_or("", |(name, _)| name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, ms) in [("250ms", 250), ("5s", 5_000), ("10m", 600_000), ("2h", 7_200_000), ("0", 0), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        use UnitError::{NoNumber, NoUnit, TooLarge, UnknownUnit};
        for (text, error) in [
            ("", NoNumber),
            ("s", NoNumber),
            ("-5s", NoNumber),
            ("5", NoUnit),
            ("1.5s", UnknownUnit),
            ("5S", UnknownUnit),
            ("5d", UnknownUnit),
            ("99999999999999999999s", TooLarge),
            ("9223372036854775807h", TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [("64kB", 65_536), ("8MB", 8 << 20), ("1GB", 1 << 30), ("2TB", 2 << 40), ("7B", 7)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!("64KB".parse::<ByteSize>(), Err(UnitError::UnknownUnit));
        assert_eq!(ByteSize(1536 << 10).to_string(), "1536kB");
    }

    proptest! {
        #[test]
        fn a_duration_written_and_read_is_the_same(ms in 0..=i64::MAX as u64) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_round_duration_written_and_read_is_the_same(count in 0..1_000_000_u64, unit in 0..TIME_UNITS.len()) {
            let duration = Duration::from_millis(count * TIME_UNITS[unit].1);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_size_written_and_read_is_the_same(count in 0..1_000_000_u64, unit in 0..SIZE_UNITS.len()) {
            let size = ByteSize(count * SIZE_UNITS[unit].1);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
            let _ = text.parse::<ByteSize>();
        }
    }
}
