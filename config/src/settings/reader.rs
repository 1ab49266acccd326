//! Reader: the file's values become types, by the table of keys.
//! In: a parsed TOML document. Out: typed settings, every fault with its place, and which keys were given.
//! Never: stops at the first fault, knows what a key means.

use super::{
    choice::AuthMethod,
    connection::{self, ConnectionParts},
    expand::{self, Environment},
    fault::nearest,
    secret::{Secret, ServiceUrl},
    value::{Value, escaped},
};
use crate::{
    ids::{DatabaseName, ServerName, ShardName},
    units::{self, ByteSize},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::{DeTable, DeValue};

/// A key of the file, as the reference tells it.
pub(super) struct Key {
    /// Its name within its section; see [`Key::name`].
    pub(super) ident: &'static str,
    /// What it means, line by line.
    pub(super) doc: &'static [&'static str],
    /// What it takes.
    pub(super) kind: fn() -> Kind,
    /// What it is when it is left out.
    pub(super) default: fn() -> Fallback,
}

impl Key {
    /// Its name within its section.
    pub(super) fn name(&self) -> &'static str {
        plain(self.ident)
    }
}

/// What a key takes.
pub(super) enum Kind {
    /// One value of this form.
    Value(String),
    /// A section with these keys.
    Table(&'static [Key]),
    /// Any number of sections with these keys.
    Tables(&'static [Key]),
}

/// What a key is when it is left out.
pub(super) enum Fallback {
    /// This.
    Value(Value),
    /// Nothing.
    Absent,
    /// It must be given.
    Required,
}

/// A field's name without the `r#` that Rust needs before its own words.
pub(super) fn plain(ident: &'static str) -> &'static str {
    ident.strip_prefix("r#").unwrap_or(ident)
}

/// A value of the file with its place.
pub(super) struct Item<'a> {
    value: &'a DeValue<'a>,
    at: usize,
    path: String,
}

impl Item<'_> {
    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// Whether it is the number 0.
    pub(super) fn is_zero(&self) -> bool {
        matches!(self.value, DeValue::Integer(number) if number.as_str() == "0")
    }

    /// Its text as the file has it, if it is a string.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    fn is_section(&self) -> bool {
        match self.value {
            DeValue::Table(_) => true,
            DeValue::Array(items) => items.iter().any(|item| matches!(item.get_ref(), DeValue::Table(_))),
            _ => false,
        }
    }
}

/// A section of the file.
pub(super) struct Section<'a> {
    entries: Option<&'a DeTable<'a>>,
    at: usize,
    path: String,
}

/// Something that stands in the file.
pub(super) trait Setting: Sized {
    /// What it takes, for faults and for the reference.
    fn kind() -> Kind;

    /// Reads it; None after the fault has been noted.
    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// What the file would have to say for it.
    fn write(&self) -> Value;
}

/// A setting that is one string.
pub(super) trait FromText: Sized {
    /// What is allowed.
    fn form() -> String;

    /// Reads it; the fault must not repeat a secret.
    fn from_text(text: &str) -> Result<Self, String>;

    /// What the file would have to say for it.
    fn to_value(&self) -> Value;
}

/// A setting that stands in for itself after the fault "must be given" has been noted.
pub(super) trait Placeholder {
    /// What checks pass over in silence.
    fn placeholder() -> Self;
}

/// A fault before its offset has become a line.
pub(super) struct Noted {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Reads values and notes faults.
pub(super) struct Reader<'e> {
    environment: Environment<'e>,
    directory: PathBuf,
    /// Byte offsets of every key that was given, sections included.
    places: BTreeMap<String, usize>,
    /// Paths of the keys that were given, sections not included.
    pub(super) given: Vec<String>,
    pub(super) faults: Vec<Noted>,
}

impl<'e> Reader<'e> {
    /// A reader for a file in `directory`.
    pub(super) fn new(environment: Environment<'e>, directory: PathBuf) -> Self {
        Self { environment, directory, places: BTreeMap::new(), given: Vec::new(), faults: Vec::new() }
    }

    /// Reads the whole document as one section.
    pub(super) fn document<T: Setting>(&mut self, document: &toml::Spanned<DeTable<'_>>) -> Option<T> {
        let value = DeValue::Table(document.get_ref().clone());
        T::read(&Item { value: &value, at: 0, path: String::new() }, self)
    }

    /// Notes a fault of the key at `path`, at the place of the nearest key above it that was given.
    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>, hint: Option<String>) {
        let at = self.place(path);
        self.faults.push(Noted { at, key: path.to_owned(), message: message.into(), hint });
    }

    /// Whether the file gives the key at `path`, well or badly.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Whether something at or below `path` is faulty already.
    pub(super) fn has_fault_in(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| {
            fault.key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn place(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(at) = self.places.get(path) {
                return *at;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0,
            }
        }
    }

    fn item_fault(&mut self, item: &Item<'_>, message: impl Into<String>, hint: Option<String>) {
        self.faults.push(Noted { at: item.at, key: item.path.clone(), message: message.into(), hint });
    }

    fn wrong_type<T: Setting>(&mut self, item: &Item<'_>, wanted: &str) -> Option<T> {
        let hint = match T::kind() {
            Kind::Value(form) => Some(format!("allowed: {form}")),
            _ => None,
        };
        let found = match item.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.item_fault(item, format!("must be {wanted}, not {found}"), hint);
        None
    }

    /// Opens a section; every key in it that is not one of `keys` is a fault.
    pub(super) fn section<'a>(&mut self, item: &Item<'a>, keys: &[Key]) -> Option<Section<'a>> {
        let DeValue::Table(entries) = item.value else {
            let found = if item.is_list() { "a list" } else { "a single value" };
            self.item_fault(item, format!("must be a section, not {found}"), None);
            return None;
        };
        for key in entries.keys().filter(|key| !keys.iter().any(|known| known.name() == key.get_ref())) {
            let near = nearest(key.get_ref(), keys.iter().map(Key::name)).map(|near| format!("did you mean {near:?}?"));
            let hint = near.or_else(|| super::schema::elsewhere(key.get_ref()));
            let noted = Noted {
                at: key.span().start,
                key: join(&item.path, key.get_ref()),
                message: "unknown key".to_owned(),
                hint,
            };
            self.faults.push(noted);
        }
        Some(Section { entries: Some(entries), at: item.at, path: item.path.clone() })
    }

    /// A key's value, if it was given and is good.
    pub(super) fn find<T: Setting>(&mut self, section: &Section<'_>, ident: &'static str) -> Option<T> {
        let path = join(&section.path, plain(ident));
        let (key, value) = section.entries?.get_key_value(plain(ident))?;
        let at = if matches!(value.get_ref(), DeValue::Table(_)) { key.span().start } else { value.span().start };
        let item = Item { value: value.get_ref(), at, path: path.clone() };
        if !item.is_section() {
            self.given.push(path.clone());
        }
        self.places.insert(path, at);
        T::read(&item, self)
    }

    /// A key's value, or a placeholder and a fault.
    pub(super) fn required<T: Setting + Placeholder>(&mut self, section: &Section<'_>, ident: &'static str) -> T {
        let is_given = section.entries.is_some_and(|entries| entries.contains_key(plain(ident)));
        if !is_given {
            let path = join(&section.path, plain(ident));
            self.faults.push(Noted { at: section.at, key: path, message: "must be given".to_owned(), hint: None });
        }
        self.find(section, ident).unwrap_or_else(T::placeholder)
    }

    /// A section within a section; one that is left out is empty.
    pub(super) fn subsection<T: Setting>(&mut self, section: &Section<'_>, ident: &'static str) -> T {
        self.find(section, ident).unwrap_or_else(|| {
            let nothing = DeValue::Table(DeTable::new());
            let mut scratch = Reader::new(self.environment, self.directory.clone());
            T::read(&Item { value: &nothing, at: section.at, path: String::new() }, &mut scratch)
                .expect("an empty section is a section")
        })
    }
}

/// The default of a key, from the table of keys.
pub(super) fn default_of<T: Setting>(text: &str) -> T {
    let document = format!("default = {text}");
    let parsed = DeTable::parse(&document).ok();
    let value = parsed.as_ref().and_then(|table| table.get_ref().get("default"));
    let item = value.map(|value| Item { value: value.get_ref(), at: 0, path: String::new() });
    let mut reader = Reader::new(&|_| None, PathBuf::from("/"));
    item.and_then(|item| T::read(&item, &mut reader)).expect("the tests read every default of the table")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Declares a section: its fields with their documentation (which is the reference's, too), types and defaults.
/// A default is TOML text, `none` (the key is optional), `required`, or `section` (keys of its own).
/// A field after `+` is no key.
macro_rules! sections {
    ($($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $key_doc:literal])+ $field:ident: $type:ty = $default:tt,)*
        $(+ $(#[doc = $extra_doc:literal])+ $extra:ident: $extra_type:ty,)?
    })+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $key_doc])+ pub $field: $type,)*
            $($(#[doc = $extra_doc])+ pub(super) $extra: $extra_type,)?
        }

        impl $name {
            pub(super) const KEYS: &'static [Key] = &[$(Key {
                ident: stringify!($field),
                doc: &[$($key_doc),+],
                kind: <$type as Setting>::kind,
                default: || sections!(@default $type, $default),
            }),*];
        }

        impl Setting for $name {
            fn kind() -> Kind {
                Kind::Table(Self::KEYS)
            }

            fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let section = reader.section(item, Self::KEYS)?;
                Some(Self {
                    $($field: sections!(@read reader, &section, $field, $default),)*
                    $($extra: <$extra_type>::default(),)?
                })
            }

            fn write(&self) -> Value {
                Value::Table(vec![$((plain(stringify!($field)), self.$field.write())),*])
            }
        }
    )+};
    (@default $type:ty, none) => { Fallback::Absent };
    (@default $type:ty, required) => { Fallback::Required };
    (@default $type:ty, section) => { Fallback::Absent };
    (@default $type:ty, $text:literal) => { Fallback::Value(default_of::<$type>($text).write()) };
    (@read $reader:expr, $section:expr, $field:ident, none) => { $reader.find($section, stringify!($field)).unwrap_or(None) };
    (@read $reader:expr, $section:expr, $field:ident, required) => { $reader.required($section, stringify!($field)) };
    (@read $reader:expr, $section:expr, $field:ident, section) => { $reader.subsection($section, stringify!($field)) };
    (@read $reader:expr, $section:expr, $field:ident, $text:literal) => {
        $reader.find($section, stringify!($field)).unwrap_or_else(|| default_of($text))
    };
}
pub(super) use sections;

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
        Kind::Value("connection string (secret), as host=… port=… dbname=… user=… password=…".to_owned())
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

/// The directory that relative paths of `file` start at.
pub(super) fn directory_of(file: &str) -> PathBuf {
    Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default()
}
