//! The sample: each user and group as a pure function of the seed and an index.

use uuid::Uuid;

use super::{
    Group, User,
    names::{DEPARTMENTS, FAMILY, GIVEN, NICKNAMES, OFFICES, SCOPES, TITLES, TOPICS},
};

/// How many people one manager leads.
const REPORTS_PER_MANAGER: usize = 8;
/// The smallest and the largest size of a group other than the first, given enough users.
const GROUP_SIZE_MIN: usize = 3;
const GROUP_SIZE_MAX: usize = 40;

/// Numbers that depend on the seed, on what they are for and on an index: splitmix64, so that a sample never changes with
/// a library's version.
pub(super) struct Random(u64);

/// What a stream of numbers is for.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    UserId = 1,
    User = 2,
    GroupId = 3,
    Group = 4,
    Names = 5,
    Changes = 6,
}

impl Random {
    pub(super) fn new(seed: u64, stream: Stream, index: usize) -> Self {
        let mut start = Self(seed ^ ((stream as u64) << 56));
        let mixed = start.next_u64();
        Self(mixed ^ u64::try_from(index).unwrap_or(u64::MAX).wrapping_mul(0x9E6C_63D0_876A_9A47))
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_u64() % end).unwrap_or(0)
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T, const N: usize>(&mut self, list: &'a [T; N]) -> &'a T {
        &list[self.below(N)]
    }

    fn guid(&mut self) -> Uuid {
        let bytes = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}

pub(super) fn user_object_id(seed: u64, index: usize) -> Uuid {
    Random::new(seed, Stream::UserId, index).guid()
}

pub(super) fn user(seed: u64, index: usize) -> User {
    let mut random = Random::new(seed, Stream::User, index);
    let ((given_name, given_part), (surname, family_part), round) = names_of(seed, index);
    let number = if round == 0 { String::new() } else { (round + 1).to_string() };
    let tag = if random.one_in(24) { "+lab" } else { "" };
    let mail_nickname = match random.one_in(8) {
        true => capitalised(&format!("{given_part}.{family_part}{number}{tag}")),
        false => format!("{given_part}.{family_part}{number}{tag}"),
    };
    let display_name = match random.one_in(16) {
        true => format!("{given_name} \"{}\" {surname}", random.pick(&NICKNAMES)),
        false => format!("{given_name} {surname}"),
    };
    let office = random.pick(&OFFICES);
    let user_principal_name = format!("{mail_nickname}@example.com");
    User {
        object_id: user_object_id(seed, index),
        mail: (!random.one_in(20)).then(|| user_principal_name.to_lowercase()),
        mobile: (!random.one_in(5)).then(|| format!("{} 555 {:06}", office.calling_code, index % 1_000_000)),
        department: (*random.pick(&DEPARTMENTS)).to_owned(),
        job_title: (!random.one_in(10)).then(|| (*random.pick(&TITLES)).to_owned()),
        employee_id: format!("E{:06}", index + 1),
        preferred_language: office.language.to_owned(),
        street_address: office.street.to_owned(),
        city: office.city.to_owned(),
        postal_code: office.postal_code.to_owned(),
        country: office.country.to_owned(),
        account_enabled: true,
        manager: index.checked_sub(1).map(|before| before / REPORTS_PER_MANAGER),
        user_principal_name,
        display_name,
        given_name: given_name.to_owned(),
        surname: surname.to_owned(),
        mail_nickname,
    }
}

type Name = (&'static str, &'static str);

/// A name for each index: every pair once before one comes again in the next round.
fn names_of(seed: u64, index: usize) -> (Name, Name, usize) {
    let pairs = GIVEN.len() * FAMILY.len();
    let mut random = Random::new(seed, Stream::Names, 0);
    let start = random.below(pairs);
    let mut stride = random.below(pairs);
    while gcd(stride, pairs) != 1 {
        stride += 1;
    }
    let pair = (start + (index % pairs) * stride) % pairs;
    (GIVEN[pair % GIVEN.len()], FAMILY[pair / GIVEN.len()], index / pairs)
}

fn gcd(left: usize, right: usize) -> usize {
    if right == 0 { left } else { gcd(right, left % right) }
}

/// With a capital at the beginning and after each full stop, as many directories write sign-in names.
fn capitalised(name: &str) -> String {
    let mut after_stop = true;
    let capital = |c: char| {
        let written = if after_stop { c.to_ascii_uppercase() } else { c };
        after_stop = c == '.';
        written
    };
    name.chars().map(capital).collect()
}

pub(super) fn group(seed: u64, index: usize) -> Group {
    let object_id = Random::new(seed, Stream::GroupId, index).guid();
    let Some(before) = index.checked_sub(1) else {
        return Group { object_id, display_name: "All Company".to_owned() };
    };
    let (topic, scope) = (TOPICS[before % TOPICS.len()], SCOPES[before / TOPICS.len() % SCOPES.len()]);
    let round = before / (TOPICS.len() * SCOPES.len());
    let number = if round == 0 { String::new() } else { format!(" {}", round + 1) };
    Group { object_id, display_name: format!("{topic} – {scope}{number}") }
}

/// Everybody for the first group; for another a few users, spread over the directory.
pub(super) fn members(seed: u64, group: usize, users: usize) -> Vec<usize> {
    if group == 0 {
        return (0..users).collect();
    }
    let mut random = Random::new(seed, Stream::Group, group);
    let size = (GROUP_SIZE_MIN + random.below(GROUP_SIZE_MAX - GROUP_SIZE_MIN + 1)).min(users);
    let (start, stride) = (random.below(users), users.checked_div(size).unwrap_or(1).max(1));
    (0..size).map(|step| (start + step * stride) % users).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_user_never_changes() {
        let user = user(1, 0);
        assert_eq!(user.object_id.to_string(), "f7eb11c6-d979-4a91-88c3-450bb0085f63");
        assert_eq!(user.user_principal_name, "emma.d'angelo@example.com");
    }

    #[test]
    fn capitals_follow_full_stops() {
        assert_eq!(capitalised("ada.o'brien2+lab"), "Ada.O'brien2+lab");
    }
}
