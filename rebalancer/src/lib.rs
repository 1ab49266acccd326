//! From "overloaded" to "moved". Today the crate is the planner: it reads one topology, and the load if it was
//! measured, and proposes which arcs should move where. It is pure: no server, no clock, the same proposal for the
//! same input, whoever asks.
//!
//! | module | is |
//! |---|---|
//! | [`span`] | a part of the ring: half-open, never over the top |
//! | [`load`] | what was measured: bytes and queries by arc |
//! | [`propose`] | a topology and a wish → the moves that fulfil it, and who owns how much before and after |
//!
//! What comes next are the *operations* that carry a proposal out: a persisted state machine (`operation`), its
//! idempotent steps (`step`: preflight, publish, copy, catch up, verify, pause, fence, drain, reverse, swap, release,
//! finish, clean up), who leads (`lead`) and how fast rows move (`throttle`). Until then a proposal can only be looked
//! at: `REBALANCE BY WEIGHT DRY RUN`, `ADD SHARD … DRY RUN`, `SPLIT SHARD … DRY RUN`.

pub mod propose;
pub mod load;
pub mod span;
