//! `pgring check-config`: is this configuration valid? In: a file. Out: every fault with its place; 0 or 1. Never:
//! connects anywhere.

use std::{path::Path, process::ExitCode};

/// Checks a file.
pub(super) fn run(file: &Path) -> ExitCode {
    let settings = match super::load(file) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    for (key, part) in settings.without_effect_yet() {
        println!("{}: warning: {key} has no effect yet ({part})", file.display());
    }
    println!("{}: valid", file.display());
    ExitCode::SUCCESS
}
