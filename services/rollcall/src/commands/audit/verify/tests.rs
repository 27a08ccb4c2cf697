use ::audit::Content;
use proto::{api_keys::v1::KeyAuditEntry, identity::v1::AuditEntry};

use super::*;
use crate::commands::audit::log::{Export, read_export};

fn name(service: Service) -> Name {
    Name { service, tenant_id: "t".to_owned() }
}

/// Three entries of identity's log after an anchor, and where they begin and end.
fn entries() -> (Vec<AuditEntry>, Chain) {
    let anchor = Link { position: 4, hash: Content::default().digest(b"anchor") };
    let (log, mut last, mut entries) = (Log::new("identity", "t"), anchor, Vec::new());
    for position in 5..8 {
        let time = Some(pbjson_types::Timestamp { seconds: position, nanos: 123_456_000 });
        let after = [("role".to_owned(), "admin".to_owned())].into();
        let salt = vec![1, 2, 3];
        let mut entry = AuditEntry { position, time, actor: "key:x".into(), after, salt, ..AuditEntry::default() };
        let held = Entry::Identity(entry.clone());
        let (parts, content) = (held.parts(), held.parts().content());
        let digest = content.digest(&entry.salt);
        last = Link { position, hash: log.hash(&last.hash, &parts.stored(&content).entry, &digest) };
        entry.values_digest = digest.as_bytes().to_vec();
        entry.hash = last.hash.as_bytes().to_vec();
        entries.push(entry);
    }
    (entries, Chain { anchor, head: last })
}

/// An export of these, and of an empty log of api-keys.
fn export(entries: &[AuditEntry], chain: Chain) -> Vec<u8> {
    let mut export = Export(Vec::new());
    export.begin(&name(Service::Identity), chain).unwrap();
    for entry in entries {
        export.entry(&name(Service::Identity), Entry::Identity(entry.clone())).unwrap();
    }
    export.begin(&name(Service::ApiKeys), Chain { anchor: Link::START, head: Link::START }).unwrap();
    export.0
}

fn verify(export: &[u8], expected: &[NotedHead]) -> Result<Vec<Verified>, Failure> {
    let mut check = Check::new(expected);
    read_export(export, &mut check)?;
    check.end()
}

fn head(service: Service, head: Link) -> [NotedHead; 1] {
    [NotedHead { service, head }]
}

#[track_caller]
fn breaks(verified: Result<Vec<Verified>, Failure>, sentence: &str) {
    match verified {
        Err(Failure::Broken(broken)) => assert!(broken.starts_with(sentence), "{broken}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r24_an_export_verifies_from_its_anchor_to_its_head() {
    let (entries, chain) = entries();
    let verified = verify(&export(&entries, chain), &head(Service::Identity, chain.head)).unwrap();
    assert_eq!((verified[0].service, verified[0].entries, verified[0].from), ("identity", 3, 5));
    assert_eq!(verified[0].head, chain.head.to_string());
    assert_eq!((verified[1].service, verified[1].entries, verified[1].from), ("api-keys", 0, 1));
    let line = String::from_utf8(export(&entries, chain)).unwrap().lines().nth(1).unwrap().to_owned();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["service"], &line["tenant_id"], &line["position"]),
        (&"identity".into(), &"t".into(), &"5".into())
    );
}

#[test]
fn r24_a_changed_export_does_not() {
    let (entries, chain) = entries();
    let text = String::from_utf8(export(&entries, chain)).unwrap();
    breaks(
        verify(text.replacen("admin", "other", 1).as_bytes(), &[]),
        "identity: the chain breaks at position 5: the values",
    );
    breaks(verify(&export(&entries[1..], chain), &[]), "identity: the chain breaks at position 5: position 6");
    breaks(verify(&export(&entries[..2], chain), &[]), "identity: the chain breaks at position 7: the log ends");
    let mut other = entries;
    other[1].actor = "key:y".to_owned();
    breaks(verify(&export(&other, chain), &[]), "identity: the chain breaks at position 6: the hash differs");
}

#[test]
fn r24_an_expected_head_is_part_of_the_chain() {
    let (entries, chain) = entries();
    let whole = export(&entries, chain);
    let at = |position: i64, hash| head(Service::Identity, Link { position, hash });
    let second = ::audit::Hash::from_bytes(&entries[1].hash).unwrap();
    assert!(verify(&whole, &at(6, second)).is_ok());
    assert!(verify(&whole, &at(4, chain.anchor.hash)).is_ok());
    breaks(verify(&whole, &at(5, second)), "identity: at position 5 stands another entry");
    breaks(verify(&whole, &at(4, second)), "identity: at position 4 stands another entry");
    // The tail is cut off, and the head set to what is left.
    let cut = export(&entries[..2], Chain { head: Link { position: 6, hash: second }, ..chain });
    assert!(verify(&cut, &[]).is_ok());
    breaks(
        verify(&cut, &head(Service::Identity, chain.head)),
        "identity: the chain breaks at position 7: the log ends",
    );
    breaks(verify(&whole, &at(3, second)), "identity: the expected head at position 3 lies before");
    let missing = verify(&[], &at(6, second));
    assert!(matches!(missing, Err(Failure::NotFound(_))), "{missing:?}");
}

#[test]
fn a_head_is_expected_of_one_tenants_log() {
    let (entries, chain) = entries();
    let empty = Chain { anchor: Link::START, head: Link::START };
    let mut several = Export(export(&entries, chain));
    several.begin(&Name { service: Service::Identity, tenant_id: "u".to_owned() }, empty).unwrap();
    assert!(verify(&several.0, &[]).is_ok());
    let expected = verify(&several.0, &head(Service::Identity, chain.head));
    assert!(matches!(expected, Err(Failure::Failed(_))), "{expected:?}");
}

#[test]
fn a_file_without_a_log_does_not_verify() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let verified = run_file(&Args { expect_head: Vec::new(), file: None }, &file.path().to_owned(), Format::Json);
    assert!(matches!(verified, Err(Failure::Failed(_))), "{verified:?}");
}

#[test]
fn what_is_no_export_is_refused() {
    let entry = Entry::ApiKeys(KeyAuditEntry::default());
    let mut orphan = Export(Vec::new());
    orphan.entry(&name(Service::ApiKeys), entry).unwrap();
    let (entries, chain) = entries();
    let twice = [export(&entries, chain), export(&entries, chain)].concat();
    for file in [&b"x"[..], b"{}", b"[]\n", b"{\"chain\":1}", &orphan.0, &twice, b"\xff"] {
        assert!(matches!(verify(file, &[]), Err(Failure::Failed(_))), "{}", String::from_utf8_lossy(file));
    }
    assert_eq!(verify(b"\n", &[]).unwrap(), []);
}

#[test]
fn a_head_is_written_as_it_is_printed() {
    let zero = "0".repeat(64);
    let parsed: NotedHead = format!("api-keys=0:{zero}").parse().unwrap();
    assert_eq!(parsed, NotedHead { service: Service::ApiKeys, head: Link::START });
    for text in ["", "identity", "scim=0:00", "identity=0", "identity=x:00"] {
        assert!(text.parse::<NotedHead>().is_err(), "{text}");
    }
}
