//! What it costs to know a key, and what a key costs that was never shown before.
//!
//! The first half runs api-keys and the authenticator within this process, where their calls and argon2 runs can be counted; the second asks the
//! whole program over HTTP.

mod in_process;

use std::{sync::Arc, time::Instant};

use anyhow::ensure;
use authn::{KeyText, key::Kind};
use ids::ApiKeyId;
use tokio::sync::Barrier;

use crate::{
    Setup,
    http::{Ask, Connection},
    measure::{microseconds, milliseconds, thread_cpu},
    program::Rollcall,
    progress::Progress,
    report::{Answers, Report},
};
use in_process::Service;

/// How many requests share a reading of the process's time, which is in hundredths of a second.
const REQUESTS: u32 = 5_000;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many requests come at once with a key that nobody has shown yet
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    at_once: u32,
    /// How many calls with a known key share a reading of the clock
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER")]
    calls: u32,
}

pub(crate) async fn run(setup: &Setup, args: &Args) -> anyhow::Result<Report> {
    // More than anybody sends: what is measured is what a request costs, not what a tenant may send.
    let rollcall = Rollcall::start(setup, &["--tenant-requests-per-second=1000000"]).await?;
    let mut report = Report::new("authentication", rollcall.database());
    let progress = Progress::of(u64::from(setup.runs) * 4);
    let service = Service::start().await?;
    known_key(setup, args, &service, &mut report, &progress).await?;
    new_key(setup, args, &service, &mut report, &progress).await?;
    requests(setup, &rollcall, &mut report, &progress).await?;
    requests_at_once(setup, args, &rollcall, &mut report, &progress).await?;
    rollcall.end().await?;
    Ok(report)
}

/// A key that is known: what `Authenticator::authenticate_client` takes of a processor.
async fn known_key(
    setup: &Setup,
    args: &Args,
    service: &Service,
    report: &mut Report,
    progress: &Progress,
) -> anyhow::Result<()> {
    let key = service.create_key().await?;
    service.authenticate(&key).await?;
    let (exchanges, runs) = (service.exchanges(), service.argon2_runs());
    let calls = service.calls();
    let mut costs = Vec::new();
    for _ in 0..setup.runs {
        progress.begin("a known key");
        let (service, key, calls) = (service.clone(), key.clone(), args.calls);
        // On a thread of its own, whose clock counts nothing else.
        let cost = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let before = thread_cpu();
                for _ in 0..calls {
                    service.authenticate(&key).await?;
                }
                anyhow::Ok((thread_cpu() - before) / calls)
            })
        });
        costs.push(microseconds(cost.await??));
        progress.end();
    }
    report.figure("known key: authenticate_client, CPU", "µs", &costs);
    report.count("known key: exchanges at api-keys", service.exchanges() - exchanges, 0);
    report.count("known key: other calls that a request waits for", service.calls() - calls, 0);
    report.count("known key: argon2 runs", service.argon2_runs() - runs, 0);
    Ok(())
}

/// Many at once with a key that is not known: one exchange and one argon2 run for all of them.
async fn new_key(
    setup: &Setup,
    args: &Args,
    service: &Service,
    report: &mut Report,
    progress: &Progress,
) -> anyhow::Result<()> {
    let (mut times, mut exchanges, mut runs) = (Vec::new(), 0, 0);
    for _ in 0..setup.runs {
        progress.begin("a new key");
        let key = service.create_key().await?;
        let before = (service.exchanges(), service.argon2_runs());
        let began = Instant::now();
        let callers = (0..args.at_once).map(|_| {
            let (service, key) = (service.clone(), key.clone());
            tokio::spawn(async move { service.authenticate(&key).await })
        });
        for caller in futures::future::join_all(callers).await {
            caller??;
        }
        times.push(milliseconds(began.elapsed()));
        exchanges += service.exchanges() - before.0;
        runs += service.argon2_runs() - before.1;
        progress.end();
    }
    let of = format!("new key, {} at once", args.at_once);
    report.figure(format!("{of}: until all are let in"), "ms", &times);
    report.count(format!("{of}: exchanges, all runs"), exchanges, setup.runs.into());
    report.count(format!("{of}: argon2 runs, all runs"), runs, setup.runs.into());
    Ok(())
}

/// A match query with a known key beside a route that asks for none, and one that is refused by the key's checksum.
async fn requests(setup: &Setup, rollcall: &Rollcall, report: &mut Report, progress: &Progress) -> anyhow::Result<()> {
    let key = rollcall.create_key("default", "known")?;
    let mistyped = mistyped(&KeyText::mint(Kind::Tenant, ApiKeyId::generate())?);
    let asks = [
        ("GET /livez", Ask::anonymous("/livez"), 200),
        ("GET /Users with a mistyped key", Ask::matching(&mistyped, "nobody@example.com"), 401),
        ("GET /ServiceProviderConfig", Ask::scim(http::Method::GET, "/ServiceProviderConfig", &key, None), 200),
        ("GET /Users?filter=userName eq …", Ask::matching(&key, "nobody@example.com"), 200),
    ];
    let mut connection = Connection::to(rollcall.address());
    let mut costs = vec![Vec::new(); asks.len()];
    for _ in 0..setup.runs {
        progress.begin("requests with a known key");
        for ((what, ask, status), costs) in asks.iter().zip(&mut costs) {
            let before = rollcall.process().cpu()?;
            for _ in 0..REQUESTS {
                let answer = connection.send(ask).await?;
                ensure!(answer.status == *status, "{what} was answered {}", answer.status);
            }
            costs.push(microseconds((rollcall.process().cpu()? - before) / REQUESTS));
        }
        progress.end();
    }
    for ((what, _, _), costs) in asks.iter().zip(&costs) {
        report.figure(format!("{what}: CPU of the server"), "µs", costs);
    }
    Ok(())
}

/// Many requests at once, each on a connection of its own, with a key that nobody has shown yet; then the same again, when it is known.
async fn requests_at_once(
    setup: &Setup,
    args: &Args,
    rollcall: &Rollcall,
    report: &mut Report,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut figures = [("new", Vec::new(), Vec::new()), ("known", Vec::new(), Vec::new())];
    for round in 0..setup.runs {
        progress.begin("requests with a new key");
        let key = rollcall.create_key("default", &format!("new {round}"))?;
        let ask = Arc::new(Ask::matching(&key, "nobody@example.com"));
        for (whose, times, costs) in &mut figures {
            let cpu = rollcall.process().cpu()?;
            let (answers, time) = at_once(rollcall, args.at_once, &ask).await?;
            costs.push(milliseconds(rollcall.process().cpu()? - cpu));
            times.push(time);
            report.answers(&format!("{} at once with a {whose} key", args.at_once), &answers);
        }
        progress.end();
    }
    for (whose, times, costs) in &figures {
        let of = format!("{} requests at once with a {whose} key", args.at_once);
        report.figure(format!("{of}: until all are answered"), "ms", times);
        report.figure(format!("{of}: CPU of the server"), "ms", costs);
        let whose = format!("{} at once with a {whose} key", args.at_once);
        report.count(format!("{of}: answers other than 200"), report.others(&whose, &[200]), 0);
    }
    Ok(())
}

async fn at_once(rollcall: &Rollcall, requests: u32, ask: &Arc<Ask>) -> anyhow::Result<(Answers, f64)> {
    let ready = Arc::new(Barrier::new(usize::try_from(requests)? + 1));
    let mut senders = Vec::new();
    for _ in 0..requests {
        let mut connection = Connection::to(rollcall.address());
        connection.open().await?;
        let (ready, ask) = (Arc::clone(&ready), Arc::clone(ask));
        senders.push(tokio::spawn(async move {
            ready.wait().await;
            connection.send(&ask).await.map_or(0, |answer| answer.status)
        }));
    }
    ready.wait().await;
    let began = Instant::now();
    let mut answers = Answers::new();
    for status in futures::future::try_join_all(senders).await? {
        *answers.entry(status).or_default() += 1;
    }
    Ok((answers, milliseconds(began.elapsed())))
}

/// The key with another last character, which its checksum does not allow.
fn mistyped(key: &KeyText) -> String {
    let mut text = key.expose().to_owned();
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    text
}
