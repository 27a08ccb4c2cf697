//! What one tenant at full load does to another.
//!
//! Tenant A looks for users, creates and patches them on many connections as fast as it can; tenant B does the same at a steady pace. The same
//! number of connections asks `/livez` as fast as it can for comparison: what that does to B, the machine does, which is the sender's as well.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Setup,
    http::{Answer, Ask},
    load::{Crowd, Outcome, Script, Steady},
    measure::quantile,
    program::Rollcall,
    progress::Progress,
    report::Report,
};

/// Tenant B's pace: below what a tenant is never told to slow down at.
const STEADY_PER_SECOND: u32 = 20;
/// The tenants' requests in a report.
const LOUD: &str = "tenant A";
const STEADY: &str = "tenant B";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// On how many connections tenant A sends
    #[arg(long, default_value_t = 32, value_name = "NUMBER")]
    connections: u32,
}

/// What tenant B is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    Livez,
    Tenant,
}

impl Beside {
    const ALL: [Self; 3] = [Self::Nothing, Self::Livez, Self::Tenant];

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "alone",
            Self::Livez => "beside as many connections to /livez",
            Self::Tenant => "beside tenant A",
        }
    }
}

/// A client's work on one user after another: look for it, create it, patch it.
#[derive(Debug)]
struct Provisioning {
    key: String,
    user_name: String,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Match,
    Create,
    Patch(String),
}

impl Provisioning {
    fn new(key: &str) -> Self {
        Self { key: key.to_owned(), user_name: user_name(), step: Step::Match }
    }
}

fn user_name() -> String {
    format!("{}@example.com", Uuid::new_v4().simple())
}

impl Script for Provisioning {
    fn next(&mut self) -> Ask {
        match std::mem::replace(&mut self.step, Step::Create) {
            Step::Match => {
                self.user_name = user_name();
                Ask::matching(&self.key, &self.user_name)
            }
            Step::Create => {
                self.step = Step::Match;
                let user = json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                    "userName": self.user_name,
                    "externalId": self.user_name,
                    "active": true,
                    "displayName": "Ada Lovelace",
                    "name": { "givenName": "Ada", "familyName": "Lovelace" },
                    "emails": [{ "type": "work", "primary": true, "value": self.user_name }],
                });
                Ask::scim(Method::POST, "/Users", &self.key, Some(user))
            }
            Step::Patch(id) => {
                self.step = Step::Match;
                let patch = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [{ "op": "Replace", "path": "displayName", "value": "Ada King" }],
                });
                Ask::scim(Method::PATCH, &format!("/Users/{id}"), &self.key, Some(patch))
            }
        }
    }

    fn answered(&mut self, answer: &Answer) {
        if answer.status == 201
            && let Some(id) = answer.id()
        {
            self.step = Step::Patch(id);
        }
    }
}

struct Bench<'a> {
    setup: &'a Setup,
    args: &'a Args,
    rollcall: Rollcall,
    crowd: Crowd,
    client: Steady,
    steady: Arc<Mutex<Provisioning>>,
    loud_key: String,
}

pub(crate) async fn run(setup: &Setup, args: &Args) -> anyhow::Result<Report> {
    let rollcall = Rollcall::start(setup, &[]).await?;
    rollcall.create_tenant("loud")?;
    let (loud_key, key) = (rollcall.create_key("loud", "loud")?, rollcall.create_key("default", "steady")?);
    let client = Steady::to(rollcall.address());
    let steady = Arc::new(Mutex::new(Provisioning::new(&key)));
    let bench = Bench { setup, args, rollcall, crowd: Crowd::new()?, client, steady, loud_key };
    let mut report = Report::new("fairness", bench.rollcall.database());
    let progress = Progress::of(u64::from(setup.runs) * 3 + 1);

    progress.begin("warming up");
    bench.part(Beside::Nothing).await?;
    progress.end();
    let mut quantiles = [const { [const { Vec::new() }; 3] }; 3];
    let (mut ratios, mut rates, mut served) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3], Vec::new());
    for _ in 0..setup.runs {
        let mut alone = 0.0;
        for (at, beside) in Beside::ALL.into_iter().enumerate() {
            progress.begin(beside.name());
            let (outcome, flood) = bench.part(beside).await?;
            for (values, part) in quantiles[at].iter_mut().zip([0.5, 0.95, 0.99]) {
                values.push(quantile(&outcome.latencies, part));
            }
            let p95 = quantile(&outcome.latencies, 0.95);
            if beside == Beside::Nothing {
                alone = p95;
            }
            ratios[at].push(p95 / alone);
            report.answers(STEADY, &outcome.answers);
            if let Some((flood, rate)) = flood {
                rates[at].push(rate);
                if beside == Beside::Tenant {
                    served.push(rate * served_part(&flood));
                    report.answers(LOUD, &flood.answers);
                }
            }
            progress.end();
        }
    }
    for (beside, quantiles) in Beside::ALL.into_iter().zip(&quantiles) {
        for (name, values) in ["p50", "p95", "p99"].into_iter().zip(quantiles) {
            report.figure(format!("tenant B: {name} {}", beside.name()), "ms", values);
        }
    }
    for (beside, ratios) in Beside::ALL.into_iter().zip(&ratios).skip(1) {
        report.figure(format!("tenant B: ratio of p95 {}", beside.name()), "×", ratios);
    }
    report.figure("/livez: requests a second", "1/s", &rates[1]);
    report.figure("tenant A: requests a second", "1/s", &rates[2]);
    report.figure("tenant A: requests a second that were served", "1/s", &served);
    report.count("tenant B: answers other than 200 and 201", report.others(STEADY, &[200, 201]), 0);
    report.count("tenant A: answers other than 200, 201, 429", report.others(LOUD, &[200, 201, 429]), 0);
    bench.rollcall.end().await?;
    Ok(report)
}

/// Which part of the requests was served.
fn served_part(outcome: &Outcome) -> f64 {
    let of = |counts: u64| f64::from(u32::try_from(counts).unwrap_or(u32::MAX));
    let served =
        outcome.answers.iter().filter(|(status, _)| (200..300).contains(*status)).map(|(_, count)| count).sum();
    of(served) / of(outcome.answers.values().sum()).max(1.0)
}

impl Bench<'_> {
    async fn part(&self, beside: Beside) -> anyhow::Result<(Outcome, Option<(Outcome, f64)>)> {
        let (senders, server) = (0..self.args.connections, self.rollcall.address());
        let flood = match beside {
            Beside::Nothing => None,
            Beside::Livez => Some(self.crowd.begin(server, senders.map(|_| || Ask::anonymous("/livez")).collect())),
            Beside::Tenant => {
                Some(self.crowd.begin(server, senders.map(|_| Provisioning::new(&self.loud_key)).collect()))
            }
        };
        let began = Instant::now();
        let done = || began.elapsed() >= self.setup.part();
        let outcome = self.client.send(STEADY_PER_SECOND, Arc::clone(&self.steady), done).await;
        let flood = match flood {
            Some(flood) => Some(flood.end().await),
            None => None,
        };
        // What is still under way ends before the next part begins.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok((outcome, flood))
    }
}
