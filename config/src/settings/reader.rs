//! Reader: the file's values become types, by the table of keys.
//! In: a parsed TOML document. Out: typed settings, every fault with its place, and which keys were given.
//! Never: stops at the first fault, knows what a key means.

use super::{expand::Environment, fault::nearest, value::Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
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
    pub(super) value: &'a DeValue<'a>,
    pub(super) at: usize,
    pub(super) path: String,
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
    pub(super) environment: Environment<'e>,
    pub(super) directory: PathBuf,
    /// Byte offsets of every key that was given, sections included.
    pub(super) places: BTreeMap<String, usize>,
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

    /// Notes a fault of a value.
    pub(super) fn item_fault(&mut self, item: &Item<'_>, message: impl Into<String>, hint: Option<String>) {
        self.faults.push(Noted { at: item.at, key: item.path.clone(), message: message.into(), hint });
    }

    /// Notes that a value has another type than is `wanted`.
    pub(super) fn wrong_type<T: Setting>(&mut self, item: &Item<'_>, wanted: &str) -> Option<T> {
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

/// A key's path within the section at `path`.
pub(super) fn join(path: &str, name: &str) -> String {
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

/// The directory that relative paths of `file` start at.
pub(super) fn directory_of(file: &str) -> PathBuf {
    Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default()
}
