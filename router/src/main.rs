//! The `pgring` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgring::command::main()
}
