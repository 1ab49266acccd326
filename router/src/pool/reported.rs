//! Reported: the settings that a server reports of itself (ParameterStatus). In: reports. Out: values, and what a client
//! that knows others is to be told. Never: a setting that no server has reported.

use bytes::BytesMut;
use pgring_protocol::message::{build, result};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// Settings as a server reported them.
#[derive(Clone, Debug, Default)]
pub struct Reported {
    values: Arc<Vec<(String, String)>>,
    /// One number for equal settings in equal order.
    print: u64,
}

impl Reported {
    /// What a server reports when a connection begins.
    pub fn new(values: Vec<(String, String)>) -> Self {
        Self { print: print(&values), values: Arc::new(values) }
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Nothing differs.
    pub fn is(&self, other: &Self) -> bool {
        self.print == other.print
    }

    /// Takes note of a ParameterStatus.
    pub fn note(&mut self, body: &[u8]) {
        let Ok((name, value)) = result::parameter_status(body) else { return };
        let values = Arc::make_mut(&mut self.values);
        match values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => values.push((name.to_owned(), value.to_owned())),
        }
        self.print = print(&self.values);
    }

    /// Who was told of these settings is told of those: where they differ, by a ParameterStatus.
    pub fn become_told(&mut self, now: &Self, out: &mut BytesMut) {
        if self.is(now) {
            return;
        }
        for (name, value) in now.values.iter() {
            if self.get(name) != Some(value) {
                build::parameter_status(out, name, value);
            }
        }
        *self = now.clone();
    }
}

fn print(values: &[(String, String)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Reported {
        Reported::new(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn only_what_differs_is_told_and_once() {
        let mut told = settings(&[("TimeZone", "UTC"), ("DateStyle", "ISO, MDY")]);
        let mut now = told.clone();
        now.note(b"TimeZone\0Asia/Tokyo\0");
        let mut out = BytesMut::new();
        told.become_told(&now, &mut out);
        assert_eq!(&*out, b"S\0\0\0\x18TimeZone\0Asia/Tokyo\0");
        told.become_told(&now, &mut out);
        assert_eq!(out.len(), 25);
        now.note(b"TimeZone\0UTC\0");
        now.note(b"TimeZone\0Asia/Tokyo\0");
        assert!(told.is(&now) && told.get("TimeZone") == Some("Asia/Tokyo"));
    }
}
