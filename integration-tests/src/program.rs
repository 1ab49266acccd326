//! Programs of others, as interpreters of drivers' languages and psql: started, fed, bounded in time.
//! In: a command and its standard input. Out: status and output. Never: outlives its limit or its test.

use std::fmt;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

/// A program that runs; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    out: NamedTempFile,
    err: NamedTempFile,
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code, if no signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Starts a program with this standard input; `need` names what to install when it is not there.
///
/// # Panics
/// If it cannot be started.
pub fn start(mut command: Command, input: &str, need: &str) -> Running {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let [input, out, err] = [input, "", ""].map(temporary);
    let handle = |file: &NamedTempFile| Stdio::from(file.reopen().expect("a second handle of a file"));
    command.stdin(handle(&input)).stdout(handle(&out)).stderr(handle(&err)).kill_on_drop(true);
    let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be run ({error}); install {need}"));
    Running { name, child, out, err }
}

impl Running {
    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has written to its standard output so far.
    pub fn out(&self) -> String {
        text(&self.out)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// With its output if it takes longer.
    pub async fn end(mut self, limit: Duration) -> Ended {
        let waited = tokio::time::timeout(limit, self.child.wait()).await;
        let (out, err) = (text(&self.out), text(&self.err));
        match waited {
            Ok(status) => Ended { code: status.expect("the status of a child").code(), out, err },
            Err(_) => panic!("{} did not end within {limit:?}:\n{out}{err}", self.name),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n{}{}", self.code, self.out, self.err)
    }
}

/// A file with a text in it.
fn temporary(content: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), content).expect("a written file");
    file
}

/// Everything in an output file; the program may still write to it.
fn text(file: &NamedTempFile) -> String {
    let bytes = fs::read(file.path()).expect("the output of a program");
    String::from_utf8_lossy(&bytes).into_owned()
}
