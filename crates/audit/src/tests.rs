//! What the chain promises.

use proptest::prelude::*;

use crate::{
    Broken, Content, Entry, Hash, Link, Log, Reason, Stored, VALUE_LENGTH_MAX, VALUES_LEN_MAX, VALUES_MAX, Values,
    Verifier,
};

/// An entry that owns its parts.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    position: i64,
    at_us: i64,
    texts: [String; 4],
    content: Content,
    salt: Vec<u8>,
    values_digest: Vec<u8>,
    hash: Vec<u8>,
}

impl Row {
    fn entry(&self) -> Entry<'_> {
        let [actor, address, action, subject] = &self.texts;
        Entry { position: self.position, at_us: self.at_us, actor, address, action, subject }
    }

    fn stored(&self) -> Stored<'_> {
        Stored {
            entry: self.entry(),
            content: &self.content,
            salt: &self.salt,
            values_digest: &self.values_digest,
            hash: &self.hash,
        }
    }
}

fn log() -> Log {
    Log::new("identity", "tenant")
}

/// Chains rows after `anchor`.
fn chained(mut rows: Vec<Row>, anchor: Link) -> Vec<Row> {
    let mut last = anchor;
    for row in &mut rows {
        row.position = last.position + 1;
        let digest = row.content.digest(&row.salt);
        row.values_digest = digest.as_bytes().to_vec();
        last = Link { position: row.position, hash: log().hash(&last.hash, &row.entry(), &digest) };
        row.hash = last.hash.as_bytes().to_vec();
    }
    rows
}

fn verified(rows: &[Row], anchor: Link) -> Result<Verifier, Broken> {
    let mut verifier = Verifier::new(log(), anchor);
    rows.iter().try_for_each(|row| verifier.check(&row.stored()))?;
    Ok(verifier)
}

fn values() -> impl Strategy<Value = Values> {
    prop::collection::btree_map("[a-z]{0,3}", ".{0,4}", 0..3).prop_map(Values::stored)
}

fn row() -> impl Strategy<Value = Row> {
    let content = (".{0,4}", values(), values()).prop_map(|(detail, before, after)| Content { detail, before, after });
    (any::<i64>(), prop::array::uniform4("[a-z:]{0,4}"), content, prop::array::uniform32(any::<u8>())).prop_map(
        |(at_us, texts, content, salt)| Row {
            position: 0,
            at_us,
            texts,
            content,
            salt: salt.to_vec(),
            values_digest: Vec::new(),
            hash: Vec::new(),
        },
    )
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), 1..8).prop_map(|rows| chained(rows, Link::START))
}

fn with(values: &Values, name: &str, value: &str) -> Values {
    let mut map = values.as_map().clone();
    map.insert(name.to_owned(), value.to_owned());
    Values::stored(map)
}

/// Changes one field of a row, and nothing else.
fn change(row: &mut Row, which: usize) {
    match which {
        0 => row.position += 1,
        1 => row.at_us ^= 1,
        at @ 2..=5 => row.texts[at - 2].push('x'),
        6 => row.content.detail.push('x'),
        7 => row.content.before = with(&row.content.before, "xxxx", ""),
        8 => row.content.after = with(&row.content.after, "xxxx", ""),
        9 => std::mem::swap(&mut row.content.before, &mut row.content.after),
        10 => row.salt[0] ^= 1,
        11 => row.salt.clear(),
        12 => row.values_digest[31] ^= 1,
        13 => row.values_digest.clear(),
        14 => row.hash[0] ^= 1,
        15 => row.hash.clear(),
        // A letter wanders from one text into the next.
        _ => {
            let letter = row.texts[0].pop();
            row.texts[1].insert_str(0, &letter.map(String::from).unwrap_or_default());
        }
    }
}

proptest! {
    #[test]
    fn r24_what_was_written_verifies_from_any_anchor(rows in prop::collection::vec(row(), 0..8), position in 0_i64..9) {
        let anchor = Link { position, hash: Content::default().digest(b"anchor") };
        let rows = chained(rows, anchor);
        let verifier = verified(&rows, anchor).unwrap();
        prop_assert_eq!(verifier.entries(), rows.len() as u64);
        prop_assert_eq!(verifier.last().position, position + rows.len() as i64);
        prop_assert_eq!(verifier.check_head(verifier.last()), Ok(()));
    }

    #[test]
    fn r24_any_change_of_any_field_is_found_where_it_is(mut rows in rows(), at in any::<prop::sample::Index>(), which in 0_usize..17) {
        let at = at.index(rows.len());
        let before = rows[at].clone();
        change(&mut rows[at], which);
        // An exchange of equal values is no change, and a salt without content is an erasure of nothing.
        let blanked = rows[at].salt.is_empty() && rows[at].content.is_empty();
        if rows[at] == before || blanked {
            prop_assert!(verified(&rows, Link::START).is_ok());
        } else {
            let broken = verified(&rows, Link::START).unwrap_err();
            prop_assert_eq!(broken.position, at as i64 + 1);
            let values = [6, 7, 8, 9, 10, 11].contains(&which);
            prop_assert_eq!(broken.reason == Reason::ValuesDiffer, values, "{:?}", broken);
        }
    }

    #[test]
    fn r24_entries_that_changed_places_are_found(mut rows in rows(), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let (one, other) = (one.index(rows.len()), other.index(rows.len()));
        prop_assume!(one != other);
        rows.swap(one, other);
        let first = one.min(other) as i64 + 1;
        prop_assert_eq!(verified(&rows, Link::START).unwrap_err().position, first);
        // With the positions too.
        let (a, b) = (rows[one].position, rows[other].position);
        (rows[one].position, rows[other].position) = (b, a);
        let reason = Reason::HashDiffers;
        prop_assert_eq!(verified(&rows, Link::START).unwrap_err(), Broken { position: first, reason });
    }

    #[test]
    fn r24_an_entry_taken_out_is_found(mut rows in rows(), at in any::<prop::sample::Index>()) {
        let head = verified(&rows, Link::START).unwrap().last();
        let at = at.index(rows.len());
        rows.remove(at);
        let position = at as i64 + 1;
        let broken = if at == rows.len() {
            // The last can only be missed by whoever knows the head.
            verified(&rows, Link::START).unwrap().check_head(head).unwrap_err()
        } else {
            verified(&rows, Link::START).unwrap_err()
        };
        let reason = if at == rows.len() { Reason::End } else { Reason::Gap { found: position + 1 } };
        prop_assert_eq!(broken, Broken { position, reason });
        // Closing the gap makes it no better.
        for row in &mut rows[at..] {
            row.position -= 1;
        }
        if at < rows.len() {
            let reason = Reason::HashDiffers;
            prop_assert_eq!(verified(&rows, Link::START).unwrap_err(), Broken { position, reason });
        }
    }

    #[test]
    fn r26_blanked_entries_verify_and_are_counted(mut rows in rows(), which in prop::collection::vec(any::<bool>(), 8)) {
        let mut blanked = Vec::new();
        for (row, blank) in rows.iter_mut().zip(which) {
            if blank {
                (row.content, row.salt) = (Content::default(), Vec::new());
                blanked.push(row.position);
            }
        }
        let verifier = verified(&rows, Link::START).unwrap();
        prop_assert_eq!(verifier.blanked(), blanked.len() as u64);
        // Nobody has told of an erasure.
        let unexplained = blanked.first().map(|position| Broken { position: *position, reason: Reason::NotErased });
        prop_assert_eq!(verifier.check_erasures().err(), unexplained);
    }

    #[test]
    fn r26_an_entry_that_was_blanked_is_right_where_a_later_one_tells_of_it(
        mut rows in rows(),
        at in any::<prop::sample::Index>(),
        tells in any::<bool>(),
    ) {
        let at = at.index(rows.len());
        let (last, position) = (verified(&rows, Link::START).unwrap().last(), rows[at].position);
        (rows[at].content, rows[at].salt) = (Content::default(), Vec::new());
        let (after, _) = Values::new().with_erased(&[if tells { position } else { position + 1 }]);
        let erasure = Row { content: Content::default().after(after), salt: vec![1], ..rows[at].clone() };
        rows.extend(chained(vec![erasure], last));
        prop_assert_eq!(verified(&rows, Link::START).unwrap().check_erasures().is_ok(), tells);
    }

    #[test]
    fn a_link_comes_back_as_it_was_written(position in 0..i64::MAX, salt in any::<[u8; 4]>()) {
        let link = Link { position, hash: Content::default().digest(&salt) };
        prop_assert_eq!(link.to_string().parse(), Ok(link));
    }

    #[test]
    fn any_text_is_a_link_or_none(text in ".{0,80}") {
        let _ = text.parse::<Link>();
    }
}

#[test]
fn an_entry_of_another_log_is_found() {
    let row = Row {
        position: 1,
        at_us: 1,
        texts: Default::default(),
        content: Content::detail("x"),
        salt: vec![1],
        values_digest: Vec::new(),
        hash: Vec::new(),
    };
    let rows = chained(vec![row], Link::START);
    assert!(verified(&rows, Link::START).is_ok());
    for log in [Log::new("api-keys", "tenant"), Log::new("identity", "other"), Log::new("identityt", "enant")] {
        let broken = Verifier::new(log, Link::START).check(&rows[0].stored()).unwrap_err();
        assert_eq!(broken, Broken { position: 1, reason: Reason::HashDiffers });
    }
}

/// Logs that are kept must verify with later releases.
#[test]
fn the_canonical_form_stays_as_it_is() {
    let content = Content::detail("d").before(Values::new().with("a", "1")).after(Values::new().with("a", "2"));
    let digest = content.digest(&[7; 32]);
    let entry = Entry { position: 1, at_us: 2, actor: "operator:x", address: "::1", action: "s/M", subject: "y" };
    let hash = log().hash(&Hash::START, &entry, &digest);
    assert_eq!(digest.to_string(), "7325856642651835cc672f5c309c26799f970bc8aa53a45fe2d43a1ed65955c4");
    assert_eq!(hash.to_string(), "42a8a0431c7da7bffeed84d39456c2d4d75c69fd4254e1fc7a8d3755b37588b5");
}

#[test]
fn values_are_bounded() {
    let long = "é".repeat(VALUE_LENGTH_MAX);
    let values = Values::new().with("at", long.clone()).with("over", format!("{long}x"));
    assert_eq!(values.as_map()["at"], long);
    assert_eq!(values.as_map()["over"], format!("{long}…"));
    let many = (0..=VALUES_MAX).fold(Values::new(), |values, at| values.with(&at.to_string(), "x"));
    assert_eq!(many.as_map().len(), VALUES_MAX);
    let large = (0..VALUES_MAX).fold(Values::new(), |values, at| values.with(&at.to_string(), long.clone()));
    let (whole, cut): (Vec<_>, Vec<_>) = large.as_map().values().partition(|value| **value == long);
    assert_eq!(whole.len(), VALUES_LEN_MAX / long.len());
    assert!(cut.iter().all(|value| *value == "…"), "{cut:?}");
}

#[test]
fn a_difference_holds_what_differs_alone() {
    let before = Values::new().with("same", "x").with("other", "1").with("gone", "x");
    let after = Values::new().with("same", "x").with("other", "2").with("new", "x");
    let expected = Content::change(
        Values::new().with("other", "1").with("gone", "x"),
        Values::new().with("other", "2").with("new", "x"),
    );
    assert_eq!(Content::difference(before, after), expected);
}

#[test]
fn values_are_json_by_name() {
    let values = Values::new().with("b", "2").with("a", "1").with_some("c", None::<String>);
    assert_eq!(serde_json::to_string(&values).unwrap(), r#"{"a":"1","b":"2"}"#);
    assert_eq!(serde_json::from_str::<Values>(r#"{"b":"2","a":"1"}"#).unwrap(), values);
}

#[test]
fn what_is_no_link_is_refused() {
    let hash = "0".repeat(64);
    assert_eq!(format!("0:{hash}").parse(), Ok(Link::START));
    for text in
        [String::new(), hash.clone(), format!("-1:{hash}"), format!("1:{hash}0"), format!("1:é{}", "0".repeat(62))]
    {
        assert!(text.parse::<Link>().is_err(), "{text}");
    }
}
