//! What a flood of wrong keys does to a client with a good one, and to memory.
//!
//! The keys are well formed, so each has to be looked up: half of them name no key, half name the valid client's own. They come from one address,
//! the valid client's too, or each from another (the server trusts this client to say so, as it trusts a proxy). The same number of connections
//! asks `/livez` as fast as it can for comparison: what that does to the valid client, the machine does, which is the sender's as well.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use authn::{KeyText, key::Kind};
use ids::ApiKeyId;

use crate::{
    Setup,
    http::Ask,
    load::{Crowd, Flood, Outcome, Steady},
    measure::quantile,
    program::Rollcall,
    progress::Progress,
    report::Report,
};

/// The valid client's pace.
const VALID_PER_SECOND: u32 = 50;
/// How many times as long a part takes at most in which answers are slow: those that wait for argon2.
const PART_TIMES_MAX: u32 = 4;
/// The valid client's requests in a report.
const VALID: &str = "the valid client";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many wrong keys are sent in each part of a round: more if the time is not over, fewer when four times that is over
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    requests: u64,
    /// On how many connections they are sent
    #[arg(long, default_value_t = 400, value_name = "NUMBER")]
    connections: u32,
}

/// What the valid client is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    Livez,
    OneAddress,
    ManyAddresses,
}

impl Beside {
    const ALL: [Self; 4] = [Self::Nothing, Self::Livez, Self::OneAddress, Self::ManyAddresses];

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "alone",
            Self::Livez => "beside as many requests of /livez",
            Self::OneAddress => "beside wrong keys from its own address",
            Self::ManyAddresses => "beside wrong keys from as many addresses",
        }
    }
}

/// What is known of one kind of part.
#[derive(Debug, Default)]
struct Parts {
    quantiles: [Vec<f64>; 3],
    ratios: Vec<f64>,
    rates: Vec<f64>,
    resident_max: Vec<f64>,
    resident_after: Vec<f64>,
}

struct Bench<'a> {
    setup: &'a Setup,
    args: &'a Args,
    rollcall: Rollcall,
    crowd: Crowd,
    client: Steady,
    key: String,
}

pub(crate) async fn run(setup: &Setup, args: &Args) -> anyhow::Result<Report> {
    let rollcall = Rollcall::start(setup, &["--trusted-proxy=127.0.0.1/32"]).await?;
    let key = rollcall.create_key("default", "valid")?;
    let client = Steady::to(rollcall.address());
    let bench = Bench { setup, args, rollcall, crowd: Crowd::new()?, client, key };
    let mut report = Report::new("flood", bench.rollcall.database());
    let mut parts: [Parts; 4] = Default::default();
    let progress = Progress::of(u64::from(setup.runs) * 4 + 1);

    progress.begin("warming up");
    bench.part(Beside::Nothing).await?;
    let before = bench.rollcall.process().resident()?;
    progress.end();
    for _ in 0..setup.runs {
        let mut alone = 0.0;
        for (beside, noted) in Beside::ALL.into_iter().zip(&mut parts) {
            progress.begin(beside.name());
            let Part { valid, flood, resident_max } = bench.part(beside).await?;
            for (values, part) in noted.quantiles.iter_mut().zip([0.5, 0.95, 0.99]) {
                values.push(quantile(&valid.latencies, part));
            }
            let p95 = quantile(&valid.latencies, 0.95);
            if beside == Beside::Nothing {
                alone = p95;
            }
            noted.ratios.push(p95 / alone);
            noted.resident_max.push(resident_max);
            noted.resident_after.push(bench.rollcall.process().resident()?);
            report.answers(VALID, &valid.answers);
            if let Some((outcome, rate)) = flood {
                report.answers(beside.name().trim_start_matches("beside "), &outcome.answers);
                noted.rates.push(rate);
            }
            progress.end();
        }
    }
    tell(&mut report, &parts, before, bench.rollcall.process().resident_peak()?);
    bench.rollcall.end().await?;
    Ok(report)
}

/// One part of a round.
struct Part {
    valid: Outcome,
    flood: Option<(Outcome, f64)>,
    resident_max: f64,
}

impl Bench<'_> {
    async fn part(&self, beside: Beside) -> anyhow::Result<Part> {
        let flood = match beside {
            Beside::Nothing => None,
            Beside::Livez => Some(self.flood(|_| Ok(|| Ask::anonymous("/livez")))?),
            Beside::OneAddress => Some(self.flood(|_| self.wrong_keys(None))?),
            Beside::ManyAddresses => Some(self.flood(|sender| self.wrong_keys(Some(sender)))?),
        };
        let process = self.rollcall.process();
        let (began, mut resident_max) = (std::time::Instant::now(), 0.0_f64);
        let resident = Mutex::new(&mut resident_max);
        let done = || {
            if let (Ok(mut max), Ok(now)) = (resident.lock(), process.resident()) {
                **max = max.max(now);
            }
            match &flood {
                Some(flood) => {
                    flood.has_sent(self.args.requests, self.setup.part())
                        || flood.has_sent(0, self.setup.part() * PART_TIMES_MAX)
                }
                None => began.elapsed() >= self.setup.part(),
            }
        };
        let key = self.key.clone();
        let script = Arc::new(Mutex::new(move || Ask::matching(&key, "nobody@example.com")));
        let valid = self.client.send(VALID_PER_SECOND, script, done).await;
        let flood = match flood {
            Some(flood) => Some(flood.end().await),
            None => None,
        };
        // What is still under way ends before the next part begins.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Part { valid, flood, resident_max })
    }

    fn flood<F>(&self, script: impl Fn(u32) -> anyhow::Result<F>) -> anyhow::Result<Flood>
    where
        F: FnMut() -> Ask + Send + 'static,
    {
        let scripts: Vec<F> = (0..self.args.connections).map(script).collect::<Result<_, _>>()?;
        Ok(self.crowd.begin(self.rollcall.address(), scripts))
    }

    /// Wrong keys without end, each with a client's address of its own if there is to be one.
    fn wrong_keys(&self, sender: Option<u32>) -> anyhow::Result<impl FnMut() -> Ask + Send + use<>> {
        let valid = self.key.parse::<KeyText>().context("the valid client's key")?.id();
        let mut number = 0_u32;
        Ok(move || {
            number = number.wrapping_add(1);
            let id = if number.is_multiple_of(2) { valid } else { ApiKeyId::generate() };
            let minted = KeyText::mint(Kind::Tenant, id).map(|key| key.expose().to_owned());
            let ask = Ask::matching(&minted.unwrap_or_default(), "nobody@example.com");
            match sender {
                Some(sender) => {
                    let [.., a, b] = sender.to_be_bytes();
                    let [.., c, d] = number.to_be_bytes();
                    ask.forwarded_for(format!("2001:db8:{a:x}{b:02x}:{c:x}{d:02x}::1"))
                }
                None => ask,
            }
        })
    }
}

fn tell(report: &mut Report, parts: &[Parts; 4], before: f64, peak: f64) {
    for (beside, noted) in Beside::ALL.into_iter().zip(parts) {
        for (name, values) in ["p50", "p95", "p99"].into_iter().zip(&noted.quantiles) {
            report.figure(format!("{name} {}", beside.name()), "ms", values);
        }
    }
    for (beside, noted) in Beside::ALL.into_iter().zip(parts).skip(1) {
        report.figure(format!("ratio of p95 {}", beside.name()), "×", &noted.ratios);
    }
    for (beside, noted) in Beside::ALL.into_iter().zip(parts).skip(1) {
        report.figure(format!("requests a second, {}", beside.name()), "1/s", &noted.rates);
    }
    report.figure("memory before", "MiB", &[before]);
    for (beside, noted) in Beside::ALL.into_iter().zip(parts) {
        report.figure(format!("memory at most, {}", beside.name()), "MiB", &noted.resident_max);
        report.figure(format!("memory after, {}", beside.name()), "MiB", &noted.resident_after);
    }
    report.figure("memory at most ever", "MiB", &[peak]);
    report.count("the valid client's requests that were not answered 200", report.others(VALID, &[200]), 0);
    for beside in [Beside::OneAddress, Beside::ManyAddresses] {
        let whose = beside.name().trim_start_matches("beside ");
        report.count(format!("{whose}: answers other than 401 and 503"), report.others(whose, &[401, 503]), 0);
    }
}
