//! Calendar: dates and times in text format with `DateStyle` ISO (manual, 8.5.2) as numbers. In: their text. Out:
//! microseconds or days since 2000-01-01. Never: another style, a time zone by name.

use super::MergeError;

const DAY: i64 = 86_400_000_000;
const SECOND: i64 = 1_000_000;

/// Days since 2000-01-01; `i32`'s ends are ±infinity, as in binary format.
pub(super) fn date(text: &[u8]) -> Result<i64, MergeError> {
    if let Some(end) = infinite(text, i32::MIN.into(), i32::MAX.into()) {
        return Ok(end);
    }
    let (text, before_christ) = era(text);
    let mut reader = Reader(text);
    let days = reader.days(before_christ)?;
    reader.end(days)
}

/// Microseconds since midnight.
pub(super) fn time(text: &[u8]) -> Result<i64, MergeError> {
    let mut reader = Reader(text);
    let time = reader.time()?;
    reader.end(time)
}

/// Microseconds since 2000-01-01 00:00, local time; `i64`'s ends are ±infinity, as in binary format.
pub(super) fn timestamp(text: &[u8]) -> Result<i64, MergeError> {
    moment(text, |_| Ok(0))
}

/// Microseconds since 2000-01-01 00:00 UTC; the text carries its offset.
pub(super) fn timestamp_with_zone(text: &[u8]) -> Result<i64, MergeError> {
    moment(text, |reader| reader.offset())
}

fn moment(text: &[u8], offset: impl Fn(&mut Reader<'_>) -> Result<i64, MergeError>) -> Result<i64, MergeError> {
    if let Some(end) = infinite(text, i64::MIN, i64::MAX) {
        return Ok(end);
    }
    let (text, before_christ) = era(text);
    let mut reader = Reader(text);
    let days = reader.days(before_christ)?;
    reader.expect(b' ')?;
    let time = reader.time()?;
    let offset = offset(&mut reader)?;
    let moment = days.checked_mul(DAY).and_then(|day| day.checked_add(time)).and_then(|at| at.checked_sub(offset));
    reader.end(moment.ok_or(MergeError::Malformed)?)
}

fn infinite(text: &[u8], low: i64, high: i64) -> Option<i64> {
    match text {
        b"infinity" => Some(high),
        b"-infinity" => Some(low),
        _ => None,
    }
}

fn era(text: &[u8]) -> (&[u8], bool) {
    text.strip_suffix(b" BC").map_or((text, false), |text| (text, true))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn expect(&mut self, byte: u8) -> Result<(), MergeError> {
        self.0 = self.0.strip_prefix(&[byte]).ok_or(MergeError::Malformed)?;
        Ok(())
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Result<i64, MergeError> {
        let length = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if length < least {
            return Err(MergeError::Malformed);
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    fn within(&mut self, most: i64) -> Result<i64, MergeError> {
        let number = self.number(2, 2)?;
        if number <= most { Ok(number) } else { Err(MergeError::Malformed) }
    }

    /// `YYYY-MM-DD`
    fn days(&mut self, before_christ: bool) -> Result<i64, MergeError> {
        let year = self.number(4, 7)?;
        self.expect(b'-')?;
        let month = self.within(12)?;
        self.expect(b'-')?;
        let day = self.within(31)?;
        if month == 0 || day == 0 {
            return Err(MergeError::Malformed);
        }
        Ok(days_since_2000(if before_christ { 1 - year } else { year }, month, day))
    }

    /// `HH:MM:SS[.ffffff]`
    fn time(&mut self) -> Result<i64, MergeError> {
        let hours = self.within(24)?;
        self.expect(b':')?;
        let minutes = self.within(59)?;
        self.expect(b':')?;
        let seconds = self.within(60)?;
        let mut time = ((hours * 60 + minutes) * 60 + seconds) * SECOND;
        if self.expect(b'.').is_ok() {
            let before = self.0.len();
            let fraction = self.number(1, 6)?;
            time += fraction * 10i64.pow(6 - (before - self.0.len()) as u32);
        }
        Ok(time)
    }

    /// `±HH[:MM[:SS]]` as microseconds.
    fn offset(&mut self) -> Result<i64, MergeError> {
        let sign = match (self.expect(b'+'), self.expect(b'-')) {
            (Ok(()), _) => 1,
            (_, Ok(())) => -1,
            _ => return Err(MergeError::Malformed),
        };
        let mut seconds = self.within(24)? * 3600;
        for unit in [60, 1] {
            if self.expect(b':').is_ok() {
                seconds += self.within(59)? * unit;
            }
        }
        Ok(sign * seconds * SECOND)
    }

    fn end(&self, value: i64) -> Result<i64, MergeError> {
        if self.0.is_empty() { Ok(value) } else { Err(MergeError::Malformed) }
    }
}

/// Days of the proleptic Gregorian calendar, with years that begin in March so that a leap day ends one.
fn days_since_2000(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let epoch = 1999 * 365 + 1999 / 4 - 1999 / 100 + 1999 / 400 + 306;
    year * 365 + leap_days + (since_march * 153 + 2) / 5 + day - 1 - epoch
}
