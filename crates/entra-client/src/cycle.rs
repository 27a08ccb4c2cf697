//! The cycles: which requests are sent for which objects, in Entra's order.

mod calls;
pub(crate) mod groups;
pub(crate) mod incremental;
pub(crate) mod memberships;
pub(crate) mod users;
pub(crate) mod verify;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use crate::{
    Error, Observer, State, Summary,
    wire::{patch::Change, target::Mapped},
};

pub(crate) use calls::Calls;

/// What a cycle writes down: the state, the numbers, and what it tells the observer.
pub(crate) struct Record<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) summary: Summary,
}

impl<'a> Record<'a> {
    pub(crate) fn new(state: &'a mut State, observer: &'a mut dyn Observer) -> Self {
        Self { state, observer, summary: Summary::default() }
    }
}

/// Works on items, a bounded number at once, and hands each outcome to `done` as it comes. The first error ends it all.
async fn each<I, O, F>(
    calls: Calls<'_>,
    items: I,
    work: impl FnMut(I::Item) -> F,
    mut done: impl FnMut(O),
) -> Result<(), Error>
where
    I: IntoIterator,
    F: Future<Output = Result<O, Error>>,
{
    let mut outcomes = stream::iter(items).map(work).buffer_unordered(calls.concurrency());
    while let Some(outcome) = outcomes.try_next().await? {
        done(outcome);
    }
    Ok(())
}

/// What must change so that a resource has the mapped values.
fn differences(mapped: &[Mapped], resource: &Value) -> Vec<Change> {
    let change = |Mapped { target, value }: &Mapped| {
        let found = target.read(resource);
        (found != Some(value)).then(|| Change { target: *target, value: value.clone(), present: found.is_some() })
    };
    mapped.iter().filter_map(change).collect()
}

/// What the changes send.
fn sent(changes: &[Change]) -> Vec<Mapped> {
    changes.iter().map(|change| Mapped { target: change.target, value: change.value.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::target::Target;

    #[test]
    fn only_what_differs_changes() {
        let mapped = [
            Mapped { target: Target::Plain("userName"), value: "Ada".into() },
            Mapped { target: Target::Plain("title"), value: "Countess".into() },
            Mapped { target: Target::Plain("active"), value: true.into() },
        ];
        let changes = differences(&mapped, &json!({ "userName": "ada", "active": true }));
        let expected = [
            Change { target: Target::Plain("userName"), value: "Ada".into(), present: true },
            Change { target: Target::Plain("title"), value: "Countess".into(), present: false },
        ];
        assert_eq!(changes, expected);
    }
}
