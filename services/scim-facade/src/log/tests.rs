use proto::identity::v1::ProvisioningOperation;
use tonic::Status;

use super::*;
use crate::tests::identity::{Fault, Identity};

fn entry(tenant: TenantId) -> ProvisioningEntry {
    ProvisioningEntry {
        id: Uuid::now_v7().to_string(),
        tenant_id: tenant.to_string(),
        operation: ProvisioningOperation::List.into(),
        ..ProvisioningEntry::default()
    }
}

/// A log that nothing sends by itself.
fn quiet(identity: &Identity) -> (ProvisioningLog, Arc<Log>) {
    let log = ProvisioningLog::start(identity.channel());
    let running = log.0.as_ref().unwrap();
    running.task.abort();
    let inner = Arc::clone(&running.log);
    (log, inner)
}

fn fault(identity: &Identity, statuses: impl IntoIterator<Item = Status>) {
    let faults = statuses.into_iter().map(Fault::Status);
    identity.directory().faults.entry("AppendProvisioningEntries").or_default().extend(faults);
}

#[tokio::test]
async fn d16_what_overflows_is_counted_and_the_count_is_an_entry() {
    let (identity, tenant, other) = (Identity::default(), TenantId::generate(), TenantId::generate());
    let (handle, log) = quiet(&identity);
    for _ in 0..QUEUE_MAX {
        log.keep(tenant, entry(tenant));
    }
    assert_eq!(log.queue().lost.len(), 0);
    log.keep(tenant, entry(tenant));
    log.keep(tenant, entry(tenant));
    log.keep(other, entry(other));
    handle.flush().await;
    let kept = &identity.directory().log;
    let lost: Vec<_> = kept.iter().filter(|entry| entry.outcome() == ProvisioningOutcome::Lost).collect();
    assert_eq!((kept.len(), lost.len()), (QUEUE_MAX + 2, 2));
    for (lost_of, count) in [(tenant, 2), (other, 1)] {
        let row = lost.iter().find(|entry| entry.tenant_id == lost_of.to_string()).unwrap();
        assert_eq!(row.lost_count, count);
    }
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_too() {
    let (identity, tenant) = (Identity::default(), TenantId::generate());
    let (_handle, log) = quiet(&identity);
    let large = || ProvisioningEntry { seen_user_ids: vec![vec![0; 16]; 1000], ..entry(tenant) };
    let fits = QUEUE_BYTES_MAX / large().encoded_len();
    for _ in 0..fits {
        log.keep(tenant, large());
    }
    assert_eq!(log.queue().entries.len(), fits);
    assert!(log.queue().lost.is_empty());
    log.keep(tenant, large());
    assert_eq!(log.queue().lost[&tenant], 1);
    // No batch is larger than identity takes.
    loop {
        let batch = log.next();
        if batch.is_empty() {
            break;
        }
        let bytes: usize = batch.iter().map(ProvisioningEntry::encoded_len).sum();
        assert!(bytes <= BATCH_BYTES_MAX && batch.len() <= BATCH_MAX);
    }
    assert_eq!(log.queue().bytes, 0);
}

#[tokio::test]
async fn d16_the_end_of_the_process_sends_what_waits_and_tries_again() {
    let (identity, tenant) = (Identity::default(), TenantId::generate());
    let (handle, log) = quiet(&identity);
    let entries: Vec<_> = (0..BATCH_MAX + 1).map(|_| entry(tenant)).collect();
    for entry in &entries {
        log.keep(tenant, entry.clone());
    }
    fault(&identity, [Status::unavailable("restarting")]);
    handle.flush().await;
    assert_eq!(identity.directory().log, entries);
}

#[tokio::test]
async fn d16_a_batch_that_is_never_taken_is_lost_visibly_and_holds_up_nothing() {
    let (identity, tenant) = (Identity::default(), TenantId::generate());
    let (handle, log) = quiet(&identity);
    log.keep(tenant, entry(tenant));
    fault(&identity, [Status::invalid_argument("no")]);
    handle.flush().await;
    let kept = identity.directory().log.clone();
    assert_eq!((kept.len(), kept[0].lost_count, kept[0].outcome()), (1, 1, ProvisioningOutcome::Lost));
    // What tells of a loss is not told of by another, for ever.
    log.lose(tenant, 1);
    fault(&identity, [Status::invalid_argument("no")]);
    handle.flush().await;
    assert_eq!(identity.directory().log.len(), 1);
    assert_eq!(log.queue().entries.len(), 0);
}

#[tokio::test]
async fn a_full_batch_waits_for_nobody() {
    let (identity, tenant) = (Identity::default(), TenantId::generate());
    let handle = ProvisioningLog::start(identity.channel());
    let log = Arc::clone(&handle.0.as_ref().unwrap().log);
    let begun = Instant::now();
    for _ in 0..BATCH_MAX {
        log.keep(tenant, entry(tenant));
    }
    while identity.directory().log.len() < BATCH_MAX {
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() < FLUSH_INTERVAL, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_no_full_batch_waits_for_more() {
    let (identity, tenant) = (Identity::default(), TenantId::generate());
    let (handle, log) = quiet(&identity);
    let keep = |count: usize| (0..count).for_each(|_| log.keep(tenant, entry(tenant)));
    keep(2 * BATCH_MAX + 7);
    log.send(Until::NoneIsFull).await.unwrap();
    assert_eq!((identity.directory().log.len(), log.queue().entries.len()), (2 * BATCH_MAX, 7));
    // What has waited its time goes, however little it is.
    log.send(Until::NoneIsFull).await.unwrap();
    assert_eq!(identity.directory().log.len(), 2 * BATCH_MAX + 7);
    keep(BATCH_MAX + 1);
    handle.flush().await;
    assert_eq!(log.queue().entries.len(), 0, "the end of the process leaves nothing");
}

#[tokio::test]
async fn a_log_that_is_off_keeps_nothing() {
    let log = ProvisioningLog::off();
    assert!(!log.begin(Target::other()).is_on());
    log.flush().await;
}
