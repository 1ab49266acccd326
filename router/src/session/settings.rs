//! Settings: what a session has set, what its start-up asked for, and what its client was told of it.

use super::{
    End, Fault, Session,
    names::{hears_notices, note_cut},
};
use crate::pool::profile::{literal, literal_of};
use crate::{
    error::{Report, catalogue},
    pool::{profile::Profile, reported::Reported},
    sql::{verb::SetValue, words::NAME_LIMIT},
};
use pgring_protocol::message::build;
use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
};

/// A setting of pgring's own: its name, its default, the values it accepts now.
struct Own {
    name: &'static str,
    default: &'static str,
    accepts: &'static [&'static str],
    /// Its effect is built.
    built: bool,
}

const OWN: &[Own] = &[
    Own { name: "read_routing", default: "primary", accepts: &["primary"], built: false },
    Own { name: "read_your_writes", default: "session", accepts: &["session"], built: false },
    Own { name: "cache", default: "off", accepts: &["off"], built: false },
    Own { name: "cache_freshness", default: "session", accepts: &["session"], built: false },
    Own { name: "cache_ttl", default: "", accepts: &[""], built: false },
    Own { name: "multi_shard", default: "atomic", accepts: &["atomic", "best-effort", "forbid"], built: true },
    Own { name: "max_fanout", default: "0", accepts: &[], built: true },
    Own { name: "shard", default: "", accepts: &[], built: true },
    Own { name: "shard_key", default: "", accepts: &[""], built: false },
    Own { name: "partial_results", default: "off", accepts: &["off"], built: false },
    Own { name: "consistency_token", default: "", accepts: &[""], built: false },
    Own { name: "serializable", default: "refuse", accepts: &["refuse", "per_shard"], built: true },
    Own { name: "snapshot_scope", default: "all", accepts: &["all"], built: false },
];

/// Settings that hold a name, which PostgreSQL cuts to its longest and says so.
const NAMES: [&str; 4] = ["application_name", "default_tablespace", "default_table_access_method", "role"];

fn own(name: &str) -> Result<&'static Own, Report> {
    OWN.iter().find(|own| own.name == name).ok_or_else(|| {
        let known: Vec<_> = OWN.iter().map(|own| own.name).collect();
        Report::with(catalogue::UNKNOWN_SETTING, format!("unrecognized configuration parameter \"pgring.{name}\""))
            .hint(format!("pgring's settings are: {}.", known.join(", ")))
    })
}

/// The settings of one session.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// What the start-up packet asked for: RESET goes back to it.
    pub(super) startup: Arc<Profile>,
    /// What holds now.
    pub(super) current: Arc<Profile>,
    /// search_path of a fresh backend.
    base_path: Arc<str>,
    /// What the server reported that worked for the session last.
    pub(super) now: Reported,
    /// pgring itself changes what the next backend reports: the client hears of it with the answer's end.
    pub(super) changing: bool,
    pgring: BTreeMap<&'static str, String>,
    path: Path,
}

/// The search path, resolved.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    profile: Option<Arc<Profile>>,
    plans: u64,
    /// Schemas in order.
    pub(super) schemas: Arc<[Box<str>]>,
    /// The session's own schema is before them.
    pub(super) makes_temporary: bool,
    /// Differs between different lists of schemas.
    pub(super) id: u64,
}

impl Settings {
    /// The search path, as SET would take it.
    pub(super) fn path_text(&self) -> &str {
        self.current.get("search_path").unwrap_or(&self.base_path)
    }

    /// A setting that the server reported.
    pub(super) fn reported(&self, name: &str) -> Option<&str> {
        self.now.get(name)
    }

    /// Backslashes in plain strings are escapes: the lexer reads such strings otherwise than the server.
    pub(super) fn has_escapes(&self) -> bool {
        self.reported("standard_conforming_strings") == Some("off")
    }

    /// Bytes beyond ASCII are other characters than in UTF-8.
    pub(super) fn foreign_encoding(&self) -> bool {
        !matches!(self.reported("client_encoding"), None | Some("UTF8" | "SQL_ASCII"))
    }

    /// Text of this client is UTF-8.
    pub(super) fn utf8(&self) -> bool {
        matches!(self.reported("client_encoding"), None | Some("UTF8"))
    }

    /// Floats in text format are written with every digit.
    pub(super) fn floats_exact(&self) -> bool {
        self.current
            .get("extra_float_digits")
            .is_none_or(|digits| digits.trim_matches('\'').trim().parse::<i32>().is_ok_and(|digits| digits > 0))
    }

    /// The value of one of pgring's own settings.
    pub(super) fn pgring(&self, name: &str) -> Result<&str, Report> {
        let own = own(name)?;
        Ok(self.pgring.get(own.name).map_or(own.default, String::as_str))
    }

    /// What the session has set one of pgring's own settings to.
    pub(super) fn own_choice(&self, name: &str) -> Option<&str> {
        self.pgring.get(name).map(String::as_str)
    }

    /// Sets one of pgring's own settings; None: its default.
    ///
    /// # Errors
    /// 42704 for an unknown name, 22023 for a bad value, 0A000 for one whose effect is not built.
    pub(super) fn set_pgring(&mut self, name: &str, value: Option<&str>) -> Result<(), Report> {
        let own = own(name)?;
        // The default of this one is the configuration's.
        let is_choice = own.name == "multi_shard";
        let Some(value) = value.filter(|value| is_choice || *value != own.default) else {
            self.pgring.remove(own.name);
            return Ok(());
        };
        if !own.built && !own.accepts.contains(&value) {
            return Err(Report::with(
                catalogue::NO_EFFECT_YET,
                format!("pgring.{name} accepts only \"{}\" for now", own.default),
            ));
        }
        if own.built && !own.accepts.is_empty() && !own.accepts.contains(&value) {
            return Err(Report::with(
                catalogue::INVALID_SETTING,
                format!("invalid value for parameter \"pgring.{name}\": \"{value}\""),
            )
            .hint(format!("Available values: {}.", own.accepts.join(", "))));
        }
        if name == "max_fanout" && value.parse::<u32>().is_err() {
            return Err(Report::with(
                catalogue::INVALID_SETTING,
                format!("invalid value for parameter \"pgring.{name}\": \"{value}\""),
            )
            .hint("A number of shards, 0 for no limit."));
        }
        self.pgring.insert(own.name, value.to_owned());
        Ok(())
    }

    /// All of pgring's own settings go back to their defaults.
    pub(super) fn reset_pgring(&mut self) {
        self.pgring.clear();
    }
}

impl Session {
    /// Takes on the settings of the start-up packet and greets the client.
    pub(super) async fn start(&mut self, startup: &[(String, String)], key: &[u8]) -> Result<(), End> {
        let profile = self.startup_profile(startup)?.intern();
        self.settings.startup = profile.clone();
        self.settings.current = profile;
        let snapshot = self.database.snapshot().clone();
        let held = self.hold_apart(&snapshot, snapshot.topology.default_shard).await;
        let mut held = match held {
            Ok(held) => held,
            Err(Fault::Report(report)) => return Err(End::Fatal(Box::new(report.fatal()))),
            Err(Fault::End(end)) => return Err(end),
            Err(Fault::Told) => {
                // The server's own words about a setting of the start-up packet; from there they are final.
                self.client.flush().await?;
                return Err(End::Server);
            }
        };
        self.settings.base_path = held.conn().search_path.clone();
        self.let_go(held, b'I', crate::txn::Reach::Nothing);
        if let Some(name) = self.settings.reported("application_name") {
            self.me.set_application(name);
        }
        self.greeted = true;
        build::backend_key_data(&mut self.client.out, self.me.id, key);
        self.ready().await
    }

    /// The settings of a start-up packet: those of `options` first, wherever it stands.
    fn startup_profile(&mut self, startup: &[(String, String)]) -> Result<Profile, End> {
        let mut profile = Profile::default();
        for (_, options) in startup.iter().filter(|(name, _)| name == "options") {
            for (name, value) in command_line(options).map_err(|report| End::Fatal(Box::new(report.fatal())))? {
                profile = self.startup_setting(profile, &name, &value)?;
            }
        }
        for (name, value) in startup {
            match name.as_str() {
                "user" | "database" | "replication" | "options" => {}
                name if name.starts_with("_pq_.") => {}
                name => profile = self.startup_setting(profile, &name.to_ascii_lowercase(), value)?,
            }
        }
        Ok(profile)
    }

    fn startup_setting(&mut self, profile: Profile, name: &str, value: &str) -> Result<Profile, End> {
        if let Some(own) = name.strip_prefix("pgring.") {
            self.settings.set_pgring(own, Some(value)).map_err(|report| End::Fatal(Box::new(report.fatal())))?;
            return Ok(profile);
        }
        if NAMES.contains(&name) && value.len() > NAME_LIMIT && hears_notices(&profile) {
            note_cut(value, &mut self.client.out);
        }
        Ok(profile.with_plain(name, value))
    }

    /// The search path of this moment.
    pub(super) fn search_path(&mut self) -> Path {
        self.search_path_id();
        self.settings.path.clone()
    }

    /// What tells the search path of this moment from others.
    pub(super) fn search_path_id(&mut self) -> u64 {
        let plans = self.plans();
        let path = &self.settings.path;
        let known = path.profile.as_ref().is_some_and(|known| Arc::ptr_eq(known, &self.settings.current));
        if known && path.plans == plans {
            return path.id;
        }
        let snapshot = self.snapshot();
        let text = self.settings.path_text();
        let role = self.settings.current.get("role").map(|role| role.trim_matches('\'').to_owned());
        let user = role.unwrap_or_else(|| self.user.server_user.to_string());
        let mut schemas: Vec<Box<str>> = Vec::new();
        let mut makes_temporary = false;
        for name in path_names(text) {
            makes_temporary |= name == "pg_temp" && schemas.is_empty();
            let name = if name == "$user" { user.clone() } else { name };
            let exists = snapshot.schema.schemas.iter().any(|schema| **schema == *name) || name == "public";
            if exists && name != "pg_temp" && name != "pg_catalog" && !schemas.iter().any(|known| **known == *name) {
                schemas.push(name.into());
            }
        }
        let mut hasher = DefaultHasher::new();
        (&schemas, makes_temporary).hash(&mut hasher);
        self.settings.path = Path {
            profile: Some(self.settings.current.clone()),
            plans: snapshot.plans,
            schemas: schemas.into(),
            makes_temporary,
            id: hasher.finish(),
        };
        self.settings.path.id
    }
}

/// SQL text of a SET's value.
pub(super) fn value_text(name: &str, value: &SetValue) -> Option<String> {
    match value {
        SetValue::Values(values) if name == "role" || name == "session_authorization" => {
            values.first().map(|value| literal(value))
        }
        SetValue::Values(values) => {
            let quoted: Vec<_> = values.iter().map(|value| literal_of(name, value)).collect();
            Some(quoted.join(", "))
        }
        SetValue::Default | SetValue::FromCurrent => None,
    }
}

/// Names in a list of identifiers or literals, folded and unquoted.
fn path_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.peek().is_some_and(|c| c.is_whitespace() || *c == ',') {
            chars.next();
        }
        let Some(&first) = chars.peek() else { return names };
        let mut name = String::new();
        if first == '"' || first == '\'' {
            chars.next();
            while let Some(c) = chars.next() {
                if c == first {
                    if chars.peek() != Some(&first) {
                        break;
                    }
                    chars.next();
                }
                name.push(c);
            }
            // A literal in SET search_path TO 'a' is one name; within it quotes are doubled only.
        } else {
            while let Some(&c) = chars.peek() {
                if c == ',' || c.is_whitespace() {
                    break;
                }
                name.extend(c.to_lowercase());
                chars.next();
            }
        }
        if !name.is_empty() {
            names.push(name);
        }
    }
}

/// `-c name=value --name=value` of the start-up packet's `options`; a backslash keeps the next character.
fn command_line(options: &str) -> Result<Vec<(String, String)>, Report> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        if c.is_ascii_whitespace() {
            words.extend(word.take());
        } else if c == '\\' {
            word.get_or_insert_default().extend(chars.next());
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (switch, setting) = match word.as_str() {
            // What follows would be a name of a database, which stands elsewhere.
            "--" => match words.next() {
                Some(more) => return Err(no_switch(&more)),
                None => break,
            },
            "-c" => ("-c ", words.next().ok_or_else(|| no_switch(&word))?),
            _ => match (word.strip_prefix("-c"), word.strip_prefix("--")) {
                (Some(setting), _) => ("-c ", setting.to_owned()),
                (None, Some(setting)) => ("--", setting.to_owned()),
                (None, None) => return Err(no_switch(&word)),
            },
        };
        let Some((name, value)) = setting.split_once('=') else {
            let message = format!("{switch}{setting} requires a value");
            return Err(Report::with(catalogue::PARAMETER_VALUE, message).sqlstate("42601"));
        };
        settings.push((name.replace('-', "_").to_ascii_lowercase(), value.to_owned()));
    }
    Ok(settings)
}

fn no_switch(word: &str) -> Report {
    let message = format!("invalid command-line argument for server process: {word}");
    Report::with(catalogue::PARAMETER_VALUE, message).sqlstate("42601")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_start_up_packet() {
        let settings = command_line(r"-c a.b=1 --work-mem=2MB -csearch_path=a\ b").expect("valid");
        let expected = [("a.b", "1"), ("work_mem", "2MB"), ("search_path", "a b")];
        assert_eq!(settings, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        for (options, message) in [
            ("-x", "invalid command-line argument for server process: -x"),
            ("-c", "invalid command-line argument for server process: -c"),
            ("-- app", "invalid command-line argument for server process: app"),
            ("-c a", "-c a requires a value"),
            ("--a", "--a requires a value"),
        ] {
            let refused = command_line(options).expect_err(options);
            assert_eq!((refused.code(), refused.message.as_str()), ("42601", message));
        }
        assert_eq!(command_line("-c a=1 --").expect("valid").len(), 1);
    }

    #[test]
    fn names_of_a_search_path() {
        assert_eq!(path_names(r#""$user", public"#), ["$user", "public"]);
        assert_eq!(path_names(r#"'a', "B""c", D"#), ["a", "B\"c", "d"]);
        assert_eq!(path_names("''"), Vec::<String>::new());
    }

    #[test]
    fn settings_of_pgring() {
        let mut settings = Settings::default();
        assert_eq!(settings.set_pgring("nonsense", Some("1")).expect_err("unknown").code(), "42704");
        assert_eq!(settings.set_pgring("cache", Some("on")).expect_err("not built").code(), "0A000");
        assert!(settings.set_pgring("cache", Some("off")).is_ok());
        assert_eq!(settings.set_pgring("max_fanout", Some("x")).expect_err("bad").code(), "22023");
        assert!(settings.set_pgring("max_fanout", Some("2")).is_ok());
        assert_eq!(settings.pgring("max_fanout").ok(), Some("2"));
    }
}
