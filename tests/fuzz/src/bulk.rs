//! A bulk request is carried out whole, each operation once, what makes a resource before what refers to it; and no reference is left that could
//! be resolved, nor one that could not.

use std::collections::{HashMap, HashSet};

use scim::bulk::{BULK_OPERATIONS_MAX, Bulk, Method, references, resolve};

/// The property.
pub fn check(input: &[u8]) {
    let Some(bulk) = crate::body(input).and_then(|body| Bulk::parse(body).ok()) else { return };
    assert!((1..=BULK_OPERATIONS_MAX).contains(&bulk.operations.len()));
    order(&bulk);
    // Every second name is known.
    let names = bulk.operations.iter().filter_map(|operation| operation.bulk_id.clone());
    let ids: HashMap<String, String> =
        names.enumerate().filter(|(at, _)| at % 2 == 0).map(|(at, name)| (name, format!("id-{at}"))).collect();
    for operation in &bulk.operations {
        if let Ok(request) = operation.request() {
            assert_eq!(request.id.is_empty(), request.method == Method::Post, "only what is made has no id yet");
            assert!(!request.id.contains('/'));
        }
        let Some(data) = &operation.data else { continue };
        let sent = references(data);
        let resolution = resolve(data.clone(), &ids);
        assert!(resolution.missing.iter().all(|name| sent.contains(name) && !ids.contains_key(name)));
        match resolution.value {
            Some(value) => {
                assert!(references(&value).is_empty(), "{value}");
                assert_eq!(sent.is_empty(), value == *data, "only references are changed");
            }
            None => assert!(!resolution.missing.is_empty()),
        }
    }
}

fn order(bulk: &Bulk) {
    let order = bulk.order();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..bulk.operations.len()).collect::<Vec<_>>(), "each operation once");

    let makers = bulk.makers();
    let needed: Vec<Vec<usize>> = bulk
        .operations
        .iter()
        .map(|it| it.references().iter().filter_map(|id| makers.get(id.as_str()).copied()).collect())
        .collect();
    let mut done = HashSet::new();
    for at in order {
        for maker in &needed[at] {
            assert!(done.contains(maker) || in_a_circle(&needed, at), "{maker} is made after {at} refers to it");
        }
        done.insert(at);
    }
}

/// Whether what an operation refers to leads to one that refers to itself.
fn in_a_circle(needed: &[Vec<usize>], from: usize) -> bool {
    let reach = |from: usize| {
        let (mut seen, mut stack) = (HashSet::new(), needed[from].clone());
        while let Some(at) = stack.pop() {
            if seen.insert(at) {
                stack.extend(&needed[at]);
            }
        }
        seen
    };
    let reached = reach(from);
    reached.contains(&from) || reached.iter().any(|at| reach(*at).contains(at))
}
