//! Plain: settings that are text, numbers, names, paths, connection strings, and lists and maps of them.
//! In: one value of the file. Out: the type. Never: a range or a choice (see `check` and `choice`).

use super::{
    choice::AuthMethod,
    connection::{self, ConnectionParts},
    expand,
    reader::{FromText, Item, Kind, Placeholder, Reader, Setting, join},
    secret::{Secret, ServiceUrl},
    value::{Value, escaped},
};
use crate::{
    ids::{DatabaseName, ServerName, ShardName},
    units::{self, ByteSize},
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use toml::de::DeValue;

impl<T: FromText> Setting for T {
    fn kind() -> Kind {
        Kind::Value(T::form())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = raw_text::<Self>(item, reader)?;
        let text = expanded(text, item, reader)?;
        match T::from_text(&text) {
            Ok(value) => Some(value),
            Err(message) => {
                reader.item_fault(item, message, Some(format!("allowed: {}", T::form())));
                None
            }
        }
    }

    fn write(&self) -> Value {
        self.to_value()
    }
}

fn raw_text<'a, T: Setting>(item: &Item<'a>, reader: &mut Reader<'_>) -> Option<&'a str> {
    match item.value {
        DeValue::String(text) => Some(text.as_ref()),
        _ => reader.wrong_type::<T>(item, "a string").and(None),
    }
}

fn expanded(text: &str, item: &Item<'_>, reader: &mut Reader<'_>) -> Option<String> {
    match expand::expand(text, reader.environment) {
        Ok(text) => Some(text),
        Err(error) => {
            reader.item_fault(item, error.to_string(), None);
            None
        }
    }
}

impl FromText for String {
    fn form() -> String {
        "text".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.contains('\0') { Err("must not contain a zero byte".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Placeholder for String {
    fn placeholder() -> Self {
        Self::new()
    }
}

impl FromText for Secret {
    fn form() -> String {
        "text (secret)".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::new)
    }

    fn to_value(&self) -> Value {
        Value::secret(self.expose())
    }
}

impl Placeholder for AuthMethod {
    fn placeholder() -> Self {
        Self::Reject
    }
}

impl Placeholder for ServiceUrl {
    fn placeholder() -> Self {
        Self::default()
    }
}

impl Placeholder for Secret {
    fn placeholder() -> Self {
        Self::default()
    }
}

impl FromText for ServiceUrl {
    fn form() -> String {
        "scheme://host".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let is_url = text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        if is_url || text.is_empty() { Ok(Self::new(text)) } else { Err("is not a URL".to_owned()) }
    }

    fn to_value(&self) -> Value {
        Value::Secret { exposed: self.expose().to_owned(), shown: self.to_string() }
    }
}

impl FromText for Duration {
    fn form() -> String {
        units::DURATION_FORM.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        units::parse_duration(text).map_err(|error| format!("{text:?} {error}"))
    }

    fn to_value(&self) -> Value {
        Value::Text(units::format_duration(*self))
    }
}

impl FromText for ByteSize {
    fn form() -> String {
        units::SIZE_FORM.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("{text:?} {error}"))
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

macro_rules! names {
    ($($name:ident),+) => {$(
        impl FromText for $name {
            fn form() -> String {
                "a name of 1 to 63 bytes".to_owned()
            }

            fn from_text(text: &str) -> Result<Self, String> {
                let fits = (1..=63).contains(&text.len()) && !text.contains('\0');
                if fits { Ok(Self::from(text)) } else { Err("is not a name".to_owned()) }
            }

            fn to_value(&self) -> Value {
                Value::Text(self.to_string())
            }
        }

        impl Placeholder for $name {
            fn placeholder() -> Self {
                Self::from("")
            }
        }
    )+};
}

names!(DatabaseName, ShardName, ServerName);

impl Setting for bool {
    fn kind() -> Kind {
        Kind::Value("true | false".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        item.value.as_bool().or_else(|| reader.wrong_type(item, "true or false"))
    }

    fn write(&self) -> Value {
        Value::Bare(self.to_string())
    }
}

impl Setting for u32 {
    fn kind() -> Kind {
        Kind::Value("a whole number from 0".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(number) = item.value else { return reader.wrong_type(item, "a whole number") };
        let value = u32::from_str_radix(number.as_str(), number.radix()).ok();
        if value.is_none() {
            reader.item_fault(item, format!("{number} is out of range"), Some(format!("allowed: 0 to {}", u32::MAX)));
        }
        value
    }

    fn write(&self) -> Value {
        Value::Bare(self.to_string())
    }
}

impl Setting for f64 {
    fn kind() -> Kind {
        Kind::Value("a number".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let number: Option<f64> = match item.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => return reader.wrong_type(item, "a number"),
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            reader.item_fault(item, "must be a finite number", None);
        }
        number
    }

    fn write(&self) -> Value {
        Value::Bare(format!("{self:?}"))
    }
}

impl Setting for PathBuf {
    fn kind() -> Kind {
        Kind::Value("a path; a relative one starts at the file's directory".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = String::read(item, reader)?;
        if path.is_empty() {
            reader.item_fault(item, "must not be empty", None);
            return None;
        }
        let path = reader.directory.join(path);
        Some(std::path::absolute(&path).unwrap_or(path))
    }

    fn write(&self) -> Value {
        Value::Text(self.display().to_string())
    }
}

impl Setting for ConnectionParts {
    fn kind() -> Kind {
        Kind::Value(connection::CONNECTION_FORM.to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let raw = raw_text::<Self>(item, reader)?;
        if expand::is_whole(raw) || connection::is_url(raw) {
            let text = expanded(raw, item, reader)?;
            return noted(ConnectionParts::parse(&text), item, reader);
        }
        let pairs = noted(connection::conninfo_pairs(raw), item, reader)?;
        let mut values = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            values.push((name, expanded(&value, item, reader)?));
        }
        noted(ConnectionParts::from_pairs(values), item, reader)
    }

    fn write(&self) -> Value {
        let pairs = self.pairs().into_iter().map(|(name, value)| (name, escaped(&value))).collect();
        Value::Connection { literal: connection::join(pairs), shown: self.redacted() }
    }
}

fn noted<T>(parsed: Result<T, connection::ConnectionError>, item: &Item<'_>, reader: &mut Reader<'_>) -> Option<T> {
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            reader.item_fault(item, format!("connection string: {error}"), None);
            None
        }
    }
}

impl Placeholder for ConnectionParts {
    fn placeholder() -> Self {
        Self::default()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(item, reader).map(Some)
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Absent, T::write)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn kind() -> Kind {
        match T::kind() {
            Kind::Value(form) => Kind::Value(format!("a list of: {form}")),
            Kind::Table(keys) | Kind::Tables(keys) => Kind::Tables(keys),
        }
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = item.value else {
            let is_sections = matches!(T::kind(), Kind::Table(_));
            return reader.wrong_type(item, if is_sections { "a list of sections ([[…]])" } else { "a list" });
        };
        let mut values = Vec::with_capacity(items.len());
        for (at, value) in items.iter().enumerate() {
            let path = format!("{}[{at}]", item.path);
            reader.places.insert(path.clone(), value.span().start);
            values.extend(T::read(&Item { value: value.get_ref(), at: value.span().start, path }, reader));
        }
        Some(values)
    }

    fn write(&self) -> Value {
        Value::List(self.iter().map(T::write).collect())
    }
}

impl Setting for BTreeMap<String, f64> {
    fn kind() -> Kind {
        Kind::Value("names with a number each, as { premium = 2.0 }".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(entries) = item.value else { return reader.wrong_type(item, "a table of numbers") };
        let mut map = Self::new();
        for (key, value) in entries {
            let path = join(&item.path, key.get_ref());
            reader.places.insert(path.clone(), value.span().start);
            reader.given.push(path.clone());
            let number = f64::read(&Item { value: value.get_ref(), at: value.span().start, path }, reader);
            map.extend(number.map(|number| (key.get_ref().to_string(), number)));
        }
        Some(map)
    }

    fn write(&self) -> Value {
        Value::Map(self.iter().map(|(name, number)| (name.clone(), number.write())).collect())
    }
}
