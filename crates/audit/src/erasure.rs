//! What an entry about an erasure says of the entries that it blanked: without such a word a blanked entry is a tampered one.

use std::ops::RangeInclusive;

use crate::{VALUE_LENGTH_MAX, Values};

/// The field that names the positions. It goes on in fields of this name with a number.
const NAME: &str = "erased_positions";
/// How many fields there are at most: what one entry can hold with room for others. Each tells of at least 25 positions.
const FIELDS_MAX: usize = 8;

impl Values {
    /// With the positions whose entries an erasure has blanked, ascending, as ranges: `3-5,9`. Answers how many were told, the first ones: the
    /// others are not to be blanked.
    #[must_use]
    pub fn with_erased(mut self, positions: &[i64]) -> (Self, usize) {
        let (mut fields, mut told) = (vec![String::new()], 0);
        for range in positions.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
            let text = match range {
                [one] => one.to_string(),
                [first, .., last] => format!("{first}-{last}"),
                [] => continue,
            };
            if fields.last().is_some_and(|field| field.len() + 1 + text.len() > VALUE_LENGTH_MAX) {
                if fields.len() == FIELDS_MAX {
                    break;
                }
                fields.push(String::new());
            }
            if let Some(field) = fields.last_mut() {
                if !field.is_empty() {
                    field.push(',');
                }
                field.push_str(&text);
            }
            told += range.len();
        }
        for (at, field) in fields.into_iter().enumerate().filter(|(_, field)| !field.is_empty()) {
            let name = if at == 0 { NAME.to_owned() } else { format!("{NAME}_{}", at + 1) };
            self = self.with(&name, field);
        }
        (self, told)
    }

    /// The positions that [`with_erased`](Self::with_erased) was told. What does not parse tells of none.
    pub fn erased(&self) -> impl Iterator<Item = RangeInclusive<i64>> {
        let fields = self.as_map().iter().filter(|(name, _)| name.starts_with(NAME));
        fields.flat_map(|(_, field)| field.split(',')).filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(values: &Values) -> Vec<i64> {
        let mut told: Vec<i64> = values.erased().flatten().collect();
        told.sort_unstable();
        told
    }

    proptest! {
        #[test]
        fn positions_come_back_as_they_were_told(set in prop::collection::btree_set(1_i64..10_000, 0..400)) {
            let positions: Vec<i64> = set.into_iter().collect();
            let (values, count) = Values::new().with("x", "1-9").with_erased(&positions);
            prop_assert_eq!(count, positions.len());
            prop_assert_eq!(told(&values), positions);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_told() {
        let scattered: Vec<i64> = (0..10_000).map(|at| i64::MAX - 20_000 + 2 * at).collect();
        let (values, count) = Values::new().with_erased(&scattered);
        assert!(count >= FIELDS_MAX * 25 && count < scattered.len(), "{count}");
        assert_eq!(told(&values), scattered[..count]);
        assert_eq!(Values::new().with_erased(&[3, 4, 5, 9]).0.as_map()[NAME], "3-5,9");
        assert_eq!(Values::new().with_erased(&[]), (Values::new(), 0));
    }
}
