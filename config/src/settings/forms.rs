//! Forms: settings that are more than a word or a number: a limit or none, a place or a name, a bound, a time of day.
//! In: one value of the file. Out: the type. Never: another key.

use super::{
    connection::{ConnectionParts, looks_like_connection},
    reader::{FromText, Item, Kind, Reader, Setting},
    value::Value,
};
use crate::{ids::ShardName, units};
use std::{fmt, time::Duration};

/// A time limit, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeout(pub Option<Duration>);

impl Timeout {
    /// The limit; None: there is none.
    pub fn limit(self) -> Option<Duration> {
        self.0
    }
}

impl Setting for Timeout {
    fn kind() -> Kind {
        Kind::Value(format!("{}; 0: none", Duration::form()))
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let duration = if item.is_zero() { Duration::ZERO } else { Duration::read(item, reader)? };
        Some(Self(Some(duration).filter(|duration| !duration.is_zero())))
    }

    fn write(&self) -> Value {
        Value::Text(units::format_duration(self.0.unwrap_or_default()))
    }
}

/// Where intermediate results of several shards meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gather {
    /// On the shard that has the least to do.
    LeastLoaded,
    /// On this shard.
    Shard(ShardName),
    /// On this server.
    Server(ConnectionParts),
}

impl Setting for Gather {
    fn kind() -> Kind {
        Kind::Value("least-loaded | name of a shard | connection string".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if item.text().is_some_and(looks_like_connection) {
            return ConnectionParts::read(item, reader).map(Self::Server);
        }
        let text = String::read(item, reader)?;
        match text.as_str() {
            "least-loaded" => Some(Self::LeastLoaded),
            text if looks_like_connection(text) => ConnectionParts::read(item, reader).map(Self::Server),
            _ => ShardName::read(item, reader).map(Self::Shard),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::LeastLoaded => Value::Text("least-loaded".to_owned()),
            Self::Shard(name) => name.write(),
            Self::Server(connection) => connection.write(),
        }
    }
}

/// How old a cached result may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As fresh as the database.
    Strict,
    /// The session's own writes are seen.
    Session,
    /// At most this old.
    Bounded(Duration),
    /// Until its life ends, whatever was written.
    Ttl,
}

impl FromText for Freshness {
    fn form() -> String {
        "strict | session | bounded:5s | ttl".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "strict" => Ok(Self::Strict),
            "session" => Ok(Self::Session),
            "ttl" => Ok(Self::Ttl),
            _ => match text.strip_prefix("bounded:") {
                Some(bound) => Duration::from_text(bound).map(Self::Bounded),
                None => Err(format!("unknown value {text:?}")),
            },
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(match self {
            Self::Strict => "strict".to_owned(),
            Self::Session => "session".to_owned(),
            Self::Bounded(bound) => format!("bounded:{}", units::format_duration(*bound)),
            Self::Ttl => "ttl".to_owned(),
        })
    }
}

/// A time of day with an end; it may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// First minute of the day, from 0.
    pub from: u16,
    /// First minute that is no longer in it.
    pub to: u16,
}

impl TimeWindow {
    /// Whether a minute of the day (0 to 1439) is in it.
    pub fn contains(self, minute: u16) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl FromText for TimeWindow {
    fn form() -> String {
        "hh:mm-hh:mm, as 22:00-05:00".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
            let (hour, minute) = (two(hour)?, two(minute)?);
            let is_time = (hour < 24 && minute < 60) || (hour == 24 && minute == 0);
            is_time.then_some(hour * 60 + minute)
        };
        let window = text.split_once('-').and_then(|(from, to)| Some(Self { from: minute(from)?, to: minute(to)? }));
        let window = window.filter(|window| window.from != window.to && window.from < 24 * 60);
        window.ok_or_else(|| format!("{text:?} is no time of day with an end"))
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_go_over_midnight() {
        let night = TimeWindow::from_text("22:00-05:00").unwrap();
        for (minute, inside) in [(21 * 60 + 59, false), (22 * 60, true), (0, true), (299, true), (300, false)] {
            assert_eq!(night.contains(minute), inside, "{minute}");
        }
        assert_eq!(night.to_string(), "22:00-05:00");
        assert!(TimeWindow::from_text("09:30-24:00").unwrap().contains(1439));
        for text in ["", "22:00", "22-05", "24:30-01:00", "9:00-10:00", "10:00-10:00", "10:60-11:00"] {
            assert!(TimeWindow::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn freshness_is_one_of_four() {
        for text in ["strict", "session", "bounded:5s", "ttl"] {
            assert_eq!(Freshness::from_text(text).unwrap().to_value(), Value::Text(text.to_owned()));
        }
        assert!(Freshness::from_text("bounded:").is_err());
        assert!(Freshness::from_text("bounded").is_err());
    }
}
