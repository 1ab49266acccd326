//! Plan cache: plans by the shape of their statements, one cache per worker thread, so that a look-up takes no lock.
//! Bounded in entries and bytes; a shape with too many variants is not kept.

use super::Plan;
use crate::{metrics, sql::fingerprint::Lexed};
use foldhash::fast::RandomState;
use std::{cell::RefCell, collections::HashMap, sync::Arc};

const MOST_BYTES: usize = 16 * 1024 * 1024;
const MOST_VARIANTS: usize = 16;

/// What a plan depends on beside the statement's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// [`crate::topology`]'s version of everything that plans depend on; differs between databases too.
    pub plans: u64,
    /// The search path.
    pub path: u64,
}

struct Variant {
    fixed: Vec<Box<[u8]>>,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Cache {
    entries: HashMap<Vec<u8>, Vec<Variant>, RandomState>,
    bytes: usize,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

fn slot<'a>(text: &'a [u8], lexed: &Lexed, slot: u32) -> &'a [u8] {
    lexed.slots.get(slot as usize).and_then(|slot| text.get(slot.start as usize..slot.end as usize)).unwrap_or(&[])
}

/// Runs `act` with the key of a statement: its shape and the context (the shape is as it was afterwards).
fn with_key<T>(lexed: &mut Lexed, context: Context, act: impl FnOnce(&Lexed) -> T) -> T {
    let len = lexed.shape.len();
    lexed.shape.extend_from_slice(&context.plans.to_le_bytes());
    lexed.shape.extend_from_slice(&context.path.to_le_bytes());
    let result = act(lexed);
    lexed.shape.truncate(len);
    result
}

/// The plan of a statement whose shape was seen, with the same text in the slots that shaped the plan.
pub fn get(text: &[u8], lexed: &mut Lexed, context: Context) -> Option<Arc<Plan>> {
    let found = with_key(lexed, context, |lexed| {
        CACHE.with_borrow(|cache| {
            let fits = |variant: &&Variant| {
                let slots = variant.plan.fixed_slots.iter();
                slots.zip(&variant.fixed).all(|(at, fixed)| slot(text, lexed, *at) == &**fixed)
            };
            cache.entries.get(&lexed.shape)?.iter().find(fits).map(|variant| variant.plan.clone())
        })
    });
    if found.is_some() {
        metrics::PLAN_HITS.increment(1)
    } else {
        metrics::PLAN_MISSES.increment(1)
    }
    found
}

/// Keeps a plan.
pub fn put(text: &[u8], lexed: &mut Lexed, context: Context, plan: &Arc<Plan>) {
    with_key(lexed, context, |lexed| {
        CACHE.with_borrow_mut(|cache| {
            let fixed: Vec<Box<[u8]>> = plan.fixed_slots.iter().map(|at| slot(text, lexed, *at).into()).collect();
            let cost = lexed.shape.len() + fixed.iter().map(|slot| slot.len()).sum::<usize>() + 512;
            if cost > MOST_BYTES / 16 {
                return;
            }
            if cache.bytes + cost > MOST_BYTES {
                metrics::PLAN_EVICTIONS.increment(cache.entries.len() as u64);
                *cache = Cache::default();
            }
            let variants = cache.entries.entry(lexed.shape.clone()).or_default();
            if variants.len() < MOST_VARIANTS {
                variants.push(Variant { fixed, plan: plan.clone() });
                cache.bytes += cost;
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{PlanKind, SessionEffect},
        sql::fingerprint::lex,
    };

    fn plan(fixed_slots: Vec<u32>) -> Arc<Plan> {
        Arc::new(Plan { kind: PlanKind::Local, reads_only: true, fixed_slots, session: SessionEffect::default() })
    }

    #[test]
    fn statements_of_one_shape_share_a_plan_unless_a_literal_shaped_it() {
        let (mut a, mut b) = (Lexed::default(), Lexed::default());
        let (text_a, text_b) = (b"SELECT 1 LIMIT 5", b"SELECT 2 LIMIT 6");
        lex(text_a, &mut a);
        lex(text_b, &mut b);
        let free = Context { plans: 1, path: 1 };
        put(text_a, &mut a, free, &plan(vec![]));
        assert!(get(text_b, &mut b, free).is_some());
        let fixed = Context { plans: 2, path: 1 };
        put(text_a, &mut a, fixed, &plan(vec![1]));
        assert!(get(text_b, &mut b, fixed).is_none());
        assert!(get(text_a, &mut a, fixed).is_some());
        assert!(get(text_a, &mut a, Context { plans: 3, path: 1 }).is_none());
    }
}
