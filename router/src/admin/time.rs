//! Time: moments as PostgreSQL writes and sends them, in UTC. In: the system's clock. Out: text, or microseconds.
//! Never: another time zone.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days from 1970-01-01 to 2000-01-01.
const TO_2000: i64 = 10_957;
const DAY_US: i64 = 86_400_000_000;

/// `2026-11-24 09:51:19.123456+00`
pub(super) fn timestamp(moment: SystemTime) -> String {
    let us = match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    };
    let (year, month, day) = date(us.div_euclid(DAY_US));
    let rest = us.rem_euclid(DAY_US);
    let (seconds, us) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{us:06}+00")
}

/// What [`timestamp`] wrote, as the binary format has it: microseconds since 2000-01-01.
pub(super) fn to_binary(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?) - TO_2000;
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(days * DAY_US + seconds * 1_000_000 + number(20, 26)?)
}

/// Days since 1970-01-01 → year, month, day of the Gregorian calendar; years begin in March on the way.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Year, month, day → days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_are_written_as_postgresql_writes_them() {
        let at = |seconds, us| UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(us);
        assert_eq!(timestamp(at(0, 0)), "1970-01-01 00:00:00.000000+00");
        assert_eq!(timestamp(at(951_782_399, 999_999)), "2000-02-28 23:59:59.999999+00");
        assert_eq!(timestamp(at(951_868_800, 0)), "2000-03-01 00:00:00.000000+00");
        assert_eq!(timestamp(at(1_795_513_879, 5)), "2026-11-24 09:51:19.000005+00");
    }

    #[test]
    fn the_binary_format_counts_from_2000() {
        assert_eq!(to_binary("2000-01-01 00:00:00.000000+00"), Some(0));
        assert_eq!(to_binary("2026-11-24 09:51:19.000005+00"), Some((1_795_513_879 - 946_684_800) * 1_000_000 + 5));
        assert_eq!(to_binary("now"), None);
    }
}
