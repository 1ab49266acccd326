//! Drivers of other languages, in the versions that `integration-tests/drivers` pins: installed once into
//! `target/drivers/<language>`, and found there the next time.
//! In: a language. Out: its interpreter, or the folder whose scripts find the drivers. Never: a driver of the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::program;

/// How long the installation of a language's drivers may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// What Python's drivers need.
pub const PYTHON: &str = "Python 3.9 or newer with its venv module (Debian, Ubuntu: apt-get install python3-venv)";
/// What the drivers for Node.js need.
pub const NODE: &str = "Node.js 18 or newer with npm (Debian, Ubuntu: apt-get install nodejs npm)";

/// The scripts and the files that pin the drivers' versions.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers")
}

/// The Python that has the drivers.
pub async fn python() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM.get_or_init(|| install_python("python", "requirements.txt")).await
}

/// The Python that has the tools for migrations.
pub async fn migrations() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM.get_or_init(|| install_python("migrations", "migrations/requirements.txt")).await
}

/// A command that runs a script of ours by Node.js.
pub async fn node(script: &str) -> Command {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    // Beside its node_modules: that is how Node.js finds them.
    let there = FOLDER.get_or_init(install_node).await.join(script);
    fs::copy(scripts().join(script), &there).expect("a copy of the script");
    let mut command = Command::new("node");
    command.arg(there);
    command
}

/// Where drivers are installed.
fn installed(language: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test executable");
    test.ancestors().nth(3).expect("target/<profile>/deps/<test>").join("drivers").join(language)
}

/// Whether this folder was installed from these very pins; if not, it is emptied.
fn is_up_to_date(folder: &Path, pins: &str) -> bool {
    if fs::read_to_string(folder.join("installed-from")).is_ok_and(|from| from == pins) {
        return true;
    }
    let _ = fs::remove_dir_all(folder); // it may not be there yet
    fs::create_dir_all(folder).expect("a folder for drivers");
    false
}

/// Runs a step of an installation.
async fn install(command: Command, need: &str) {
    let ended = program::start(command, "", need).end(INSTALL_LIMIT).await;
    assert_eq!(ended.code, Some(0), "drivers cannot be installed; needed are {need} and a package registry\n{ended}");
}

/// What pins the versions of a language's drivers.
fn pins(name: &str) -> String {
    fs::read_to_string(scripts().join(name)).expect("the pins of the drivers")
}

async fn install_python(name: &str, file: &str) -> PathBuf {
    let (folder, pins) = (installed(name), pins(file));
    let program = folder.join("bin").join("python");
    if !is_up_to_date(&folder, &pins) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder);
        install(make, PYTHON).await;
        let mut fill = Command::new(&program);
        fill.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        fill.arg(scripts().join(file));
        install(fill, PYTHON).await;
        fs::write(folder.join("installed-from"), pins).expect("a note of what was installed");
    }
    program
}

async fn install_node() -> PathBuf {
    let (folder, pins) = (installed("node"), pins("package-lock.json"));
    if !is_up_to_date(&folder, &pins) {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(scripts().join(name), folder.join(name)).expect("a copy of the pins");
        }
        let mut fill = Command::new("npm");
        fill.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
        install(fill, NODE).await;
        fs::write(folder.join("installed-from"), pins).expect("a note of what was installed");
    }
    folder
}
