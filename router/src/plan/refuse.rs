//! Refuse: the refusals of the planner, in one place, so that each reads alike.

use super::{Plan, PlanKind, Refusal, SessionEffect};
use crate::error::catalogue::Entry;

/// A refusal of this reason.
pub(crate) fn refusal(reason: Entry, what: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { reason, what: what.into(), hint: hint.into() }
}

/// A plan without effects on the session.
pub(crate) fn plan(kind: PlanKind, reads_only: bool) -> Plan {
    Plan { kind, reads_only, fixed_slots: Vec::new(), session: SessionEffect::default() }
}

/// A plan that refuses.
pub(crate) fn refuse(refusal: Refusal) -> Plan {
    plan(PlanKind::Refuse(refusal), false)
}
