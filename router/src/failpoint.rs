//! Failpoint: named steps at which a test can stop or kill this process. In: the environment variable FAILPOINTS, in a
//! build with the feature `failpoints`. Out: nothing, or the end. Never: anything in a normal build.

/// Every point, as `SHOW FAULT POINTS` lists them.
pub const POINTS: &[&str] =
    &["commit.before_prepare", "commit.prepared_one", "commit.prepared_all", "commit.decided", "commit.committed_one"];

/// Reads FAILPOINTS: `name=action;…`, where an action is `exit`, or one of the `fail` crate's (`pause`, `sleep(ms)`,
/// `2*off->exit`).
#[cfg(feature = "failpoints")]
pub fn set_up() {
    let text = std::env::var("FAILPOINTS").unwrap_or_default();
    for (name, action) in text.split(';').filter_map(|one| one.split_once('=')) {
        let action = action.trim().replace("exit", "return");
        if let Err(error) = fail::cfg(name.trim(), &action) {
            eprintln!("pgring: FAILPOINTS: {name}: {error}");
        }
    }
}

/// There are no points in this build.
#[cfg(not(feature = "failpoints"))]
pub fn set_up() {}

/// This step is reached.
#[cfg(feature = "failpoints")]
pub fn point(name: &str) {
    tracing::warn!("fault point {name}");
    fail::fail_point!(name, |_| std::process::exit(3));
}

/// This step is reached.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn point(_name: &str) {}
