//! Names for a sample directory: as written, and as they stand in a sign-in name. The second of each pair is unique in its
//! list and has no digit; a given name's has no full stop either. So two people never share a sign-in name.

/// Given names.
pub(super) const GIVEN: [(&str, &str); 48] = [
    ("Ada", "ada"),
    ("Grace", "grace"),
    ("Zoë", "zoe"),
    ("José", "jose"),
    ("Łukasz", "lukasz"),
    ("Søren", "soren"),
    ("Øystein", "oystein"),
    ("Đorđe", "dorde"),
    ("Ольга", "olga"),
    ("Дмитро", "dmytro"),
    ("Ελένη", "eleni"),
    ("小明", "xiaoming"),
    ("さくら", "sakura"),
    ("지우", "jiwoo"),
    ("فاطمة", "fatima"),
    ("יעל", "yael"),
    ("प्रिया", "priya"),
    ("Nguyệt", "nguyet"),
    ("Siobhán", "siobhan"),
    ("Jean-Luc", "jean-luc"),
    ("Mary Anne", "maryanne"),
    ("Björn", "bjorn"),
    ("Françoise", "francoise"),
    ("João", "joao"),
    ("İpek", "ipek"),
    ("Ağa", "aga"),
    ("Żaneta", "zaneta"),
    ("Čeněk", "cenek"),
    ("Kwame", "kwame"),
    ("Amina", "amina"),
    ("Chinonso", "chinonso"),
    ("Thabo", "thabo"),
    ("Noah", "noah"),
    ("Emma", "emma"),
    ("Liam", "liam"),
    ("Olivia", "olivia"),
    ("Mateo", "mateo"),
    ("Lucía", "lucia"),
    ("Giulia", "giulia"),
    ("Lars", "lars"),
    ("Anneke", "anneke"),
    ("Ravi", "ravi"),
    ("Mei", "mei"),
    ("Keanu", "keanu"),
    ("Aroha", "aroha"),
    ("Sven", "sven"),
    ("Katarzyna", "katarzyna"),
    ("D'Artagnan", "d'artagnan"),
];

/// Family names.
pub(super) const FAMILY: [(&str, &str); 56] = [
    ("Lovelace", "lovelace"),
    ("Hopper", "hopper"),
    ("O'Brien", "o'brien"),
    ("D'Angelo", "d'angelo"),
    ("Müller", "mueller"),
    ("García Márquez", "garcia.marquez"),
    ("van der Berg", "vanderberg"),
    ("Nguyễn", "nguyen"),
    ("Åkesson", "akesson"),
    ("Þórsdóttir", "thorsdottir"),
    ("Smith-Jones", "smith-jones"),
    ("Ó Súilleabháin", "osuilleabhain"),
    ("Straße", "strasse"),
    ("Kowalczyk", "kowalczyk"),
    ("Šimůnek", "simunek"),
    ("Иванова", "ivanova"),
    ("Шевченко", "shevchenko"),
    ("Παπαδόπουλος", "papadopoulos"),
    ("王", "wang"),
    ("佐藤", "sato"),
    ("김", "kim"),
    ("حداد", "haddad"),
    ("כהן", "cohen"),
    ("शर्मा", "sharma"),
    ("Çelik", "celik"),
    ("Yıldız", "yildiz"),
    ("Fernández", "fernandez"),
    ("Gonçalves", "goncalves"),
    ("Lefèvre", "lefevre"),
    ("De la Cruz", "delacruz"),
    ("McDonald", "mcdonald"),
    ("St. John", "stjohn"),
    ("Okafor", "okafor"),
    ("Mensah", "mensah"),
    ("Dlamini", "dlamini"),
    ("Kealoha", "kealoha"),
    ("Ngata", "ngata"),
    ("Patel", "patel"),
    ("Khan", "khan"),
    ("Tanaka", "tanaka"),
    ("Rossi", "rossi"),
    ("Bianchi", "bianchi"),
    ("Schmidt", "schmidt"),
    ("Weiß", "weiss"),
    ("Jansen", "jansen"),
    ("Dubois", "dubois"),
    ("Horváth", "horvath"),
    ("Popescu", "popescu"),
    ("Jõgi", "jogi"),
    ("Bērziņš", "berzins"),
    ("Kazlauskas", "kazlauskas"),
    ("Virtanen", "virtanen"),
    ("Hansen", "hansen"),
    ("Silva", "silva"),
    ("Williams", "williams"),
    ("Brown", "brown"),
];

/// Nicknames, shown in double quotes.
pub(super) const NICKNAMES: [&str; 4] = ["Ace", "Scooter", "Bär", "J+"];

/// Departments.
pub(super) const DEPARTMENTS: [&str; 9] = [
    "Engineering",
    "Research & Development",
    "Sales",
    "Finance",
    "Legal",
    "People",
    "Customer Support",
    "Qualitätssicherung",
    "Operations",
];

/// Job titles.
pub(super) const TITLES: [&str; 8] = [
    "Engineer",
    "Senior Engineer",
    "Analyst",
    "Head of \"Special Projects\"",
    "Account Executive",
    "Counsel",
    "Écrivaine technique",
    "C++ Specialist",
];

/// An office.
pub(super) struct Office {
    pub(super) street: &'static str,
    pub(super) city: &'static str,
    pub(super) postal_code: &'static str,
    pub(super) country: &'static str,
    pub(super) language: &'static str,
    pub(super) calling_code: &'static str,
}

const fn office(at: [&'static str; 6]) -> Office {
    let [street, city, postal_code, country, language, calling_code] = at;
    Office { street, city, postal_code, country, language, calling_code }
}

/// Offices.
pub(super) const OFFICES: [Office; 8] = [
    office(["1 St. James's Square", "London", "SW1Y 4LE", "GB", "en-GB", "+44"]),
    office(["Rua da Prata 80, 2.º", "Lisboa", "1100-420", "PT", "pt-PT", "+351"]),
    office(["Schellingstraße 4", "München", "80799", "DE", "de-DE", "+49"]),
    office(["12 rue de l'Église", "Québec", "G1K 4E3", "CA", "fr-CA", "+1"]),
    office(["ul. Świętokrzyska 3", "Kraków", "31-028", "PL", "pl-PL", "+48"]),
    office(["1 Chome-9-1 Marunouchi", "東京", "100-0005", "JP", "ja-JP", "+81"]),
    office(["45 Long Street", "Cape Town", "8001", "ZA", "en-ZA", "+27"]),
    office(["600 Pine St #300", "Seattle", "98101", "US", "en-US", "+1"]),
];

/// What groups are about.
pub(super) const TOPICS: [&str; 15] = [
    "Engineering",
    "R&D + Labs",
    "C++ Guild",
    "Women's Network",
    "Sales",
    "Finance (read only)",
    "Legal / Compliance",
    "People",
    "Support 24/7",
    "Qualitätssicherung",
    "Ops on call",
    "Łączność",
    "プロジェクト",
    "Newcomers",
    "Café, Kantine & Co.",
];

/// Whom groups are for.
pub(super) const SCOPES: [&str; 10] =
    ["global", "London", "Lisboa", "München", "Québec", "Kraków", "東京", "Cape Town", "Seattle", "managers only"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sign_in_parts_are_unique_ascii_without_digits() {
        for (list, stop_allowed) in [(&GIVEN[..], false), (&FAMILY[..], true)] {
            let parts: HashSet<&str> = list.iter().map(|(_, part)| *part).collect();
            assert_eq!(parts.len(), list.len());
            for part in parts {
                let allowed = |c: char| c.is_ascii_lowercase() || "-'".contains(c) || (stop_allowed && c == '.');
                assert!(part.chars().all(allowed), "{part}");
            }
        }
    }
}
