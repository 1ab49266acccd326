//! One initialised data folder that new servers are copies of: `initdb` takes a second, a copy much less.
//! In: binaries and the options that `initdb` must know. Out: a folder to copy. Never: starts a server on the template itself.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::Account;
use crate::{Binaries, LocalError, Locale, ServerOptions};

/// Templates are made anew each day, so that a cleaner of temporary files cannot leave half of one.
const LIFE_S: u64 = 24 * 60 * 60;

/// One template is made at a time in this process.
static MAKING: Mutex<()> = Mutex::new(());

/// An initialised data folder, shared by all processes of one user that want the same version and options.
#[derive(Clone, Debug)]
pub struct Template {
    folder: PathBuf,
    account: &'static Account,
}

impl Template {
    /// The template for these options, made if this machine has none from today.
    ///
    /// # Errors
    /// [`LocalError::Tool`] with the words of `initdb` if it fails.
    pub fn for_options(binaries: &Binaries, options: &ServerOptions) -> Result<Template, LocalError> {
        let account = Account::current()?;
        let store = store(account)?;
        let folder = store.join(name(binaries, options));
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if !folder.join("PG_VERSION").exists() {
            remove_old(&store);
            make(binaries, options, account, &store, &folder)?;
        }
        Ok(Template { folder, account })
    }

    /// Copies the template to `target`, which must not exist; it appears there whole or not at all.
    ///
    /// # Errors
    /// [`LocalError::Tool`] with the words of `cp` if it fails.
    pub fn copy_to(&self, target: &Path) -> Result<(), LocalError> {
        let partial = target.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        run(self.account.command(Path::new("cp")).arg("-a").arg(&self.folder).arg(&partial))?;
        fs::rename(&partial, target).map_err(LocalError::io("cannot rename", &partial))
    }
}

/// Runs a tool to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), LocalError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(LocalError::io("cannot run", Path::new(&program)))?;
    if output.status.success() {
        return Ok(());
    }
    let words = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    Err(LocalError::Tool { program, output: String::from_utf8_lossy(words).trim().to_owned() })
}

/// The folder that holds this account's templates; a private one if another user holds the usual name.
fn store(account: &Account) -> Result<PathBuf, LocalError> {
    let usual = std::env::temp_dir().join(format!("pgring-templates-{}", account.name));
    match fs::create_dir(&usual) {
        Ok(()) => {
            fs::set_permissions(&usual, fs::Permissions::from_mode(0o700))
                .map_err(LocalError::io("cannot protect", &usual))?;
            account.own(&usual)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(LocalError::io("cannot create", &usual)(error)),
    }
    let metadata = fs::symlink_metadata(&usual).map_err(LocalError::io("cannot read", &usual))?;
    if metadata.is_dir() && [account.uid, 0].contains(&metadata.uid()) {
        return Ok(usual);
    }
    Err(LocalError::Unreachable { path: usual, account: account.name.clone() })
}

/// A name that differs when version, options or day differ.
fn name(binaries: &Binaries, options: &ServerOptions) -> String {
    let mut hasher = DefaultHasher::new();
    (binaries.folder(), binaries.version()).hash(&mut hasher);
    (&options.user, &options.password, &options.locale, options.auth, &options.databases).hash(&mut hasher);
    let day = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / LIFE_S);
    format!("{}-{:016x}-{day}", binaries.major(), hasher.finish())
}

/// Removes templates nobody has begun to copy for a day.
fn remove_old(store: &Path) {
    let Ok(entries) = fs::read_dir(store) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() > 2 * LIFE_S) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes the template beside its place and moves it there; when another process was faster, its template stands.
fn make(
    binaries: &Binaries,
    options: &ServerOptions,
    account: &'static Account,
    store: &Path,
    folder: &Path,
) -> Result<(), LocalError> {
    let workshop = tempfile::Builder::new().prefix("making-").tempdir_in(store);
    let workshop = workshop.map_err(LocalError::io("cannot create a folder in", store))?;
    account.own(workshop.path())?;
    let data = workshop.path().join("data");
    initdb(binaries, options, account, workshop.path(), &data)?;
    create_databases(binaries, options, account, &data)?;
    match fs::rename(&data, folder) {
        Err(_) if folder.join("PG_VERSION").exists() => Ok(()),
        moved => moved.map_err(LocalError::io("cannot rename", &data)),
    }
}

/// Runs `initdb`.
fn initdb(
    binaries: &Binaries,
    options: &ServerOptions,
    account: &Account,
    workshop: &Path,
    data: &Path,
) -> Result<(), LocalError> {
    let password_file = workshop.join("password");
    fs::write(&password_file, &options.password).map_err(LocalError::io("cannot write", &password_file))?;
    account.own(&password_file)?;
    let mut command = account.command(&binaries.program("initdb"));
    command.arg("-D").arg(data).args(["-U", &options.user, "--encoding=UTF8", "--no-sync", "--no-instructions"]);
    command.arg(format!("--pwfile={}", password_file.display()));
    command.args(["-A", options.auth.method()]);
    command.args(locale_arguments(&options.locale, binaries.major()));
    run(&mut command)
}

/// The options of `initdb` that choose the order of text.
fn locale_arguments(locale: &Locale, major: u32) -> Vec<String> {
    match locale {
        Locale::Icu(name) if major >= 15 => {
            vec!["--locale=C".to_owned(), "--locale-provider=icu".to_owned(), format!("--icu-locale={name}")]
        }
        Locale::Icu(_) => vec!["--locale=en_US.UTF-8".to_owned(), "--lc-messages=C".to_owned()],
        Locale::Libc(name) => vec![format!("--locale={name}"), "--lc-messages=C".to_owned()],
    }
}

/// Makes the databases with the single-user server, which needs neither port nor password.
fn create_databases(
    binaries: &Binaries,
    options: &ServerOptions,
    account: &Account,
    data: &Path,
) -> Result<(), LocalError> {
    if options.databases.is_empty() {
        return Ok(());
    }
    let program = binaries.program("postgres");
    let mut command = account.command(&program);
    command.args(["--single", "-j", "-c", "fsync=off", "-c", "exit_on_error=on", "-D"]).arg(data).arg("postgres");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(LocalError::io("cannot run", &program))?;
    let statements: String = options
        .databases
        .iter()
        .map(|name| format!("CREATE DATABASE \"{}\";\n\n", name.replace('"', "\"\"")))
        .collect();
    let written = child.stdin.take().map(|mut input| input.write_all(statements.as_bytes()));
    let output = child.wait_with_output().map_err(LocalError::io("cannot run", &program))?;
    match written {
        Some(Ok(())) if output.status.success() => Ok(()),
        _ => Err(LocalError::Tool {
            program: program.display().to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}
