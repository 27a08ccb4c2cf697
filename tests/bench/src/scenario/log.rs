//! What the provisioning log costs: the throughput of an incremental cycle with it and without.
//!
//! Two programs, one with the log and one without, each with its own database, get the same requests in turns: an incremental cycle reads each changed
//! user by its id, compares it, and patches it.

use http::Method;
use serde_json::json;

use crate::{
    Setup,
    http::{Answer, Ask, Connection},
    load::{Crowd, Script},
    program::Rollcall,
    progress::Progress,
    report::Report,
};

/// What a tenant may send, so that its budget decides nothing here.
const BUDGET: &str = "--tenant-requests-per-second=1000000";
/// The figures' names of the two.
const NAMES: [&str; 2] = ["with the log", "without the log"];

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// On how many connections the directory sends
    #[arg(long, default_value_t = 8, value_name = "NUMBER")]
    connections: u32,
    /// How many users each connection changes, one after another
    #[arg(long, default_value_t = 200, value_name = "NUMBER")]
    users: u32,
}

/// One connection's work: read a user, then patch it, on and on.
#[derive(Debug)]
struct Cycle {
    key: String,
    ids: Vec<String>,
    sent: usize,
}

impl Script for Cycle {
    fn next(&mut self) -> Ask {
        let id = &self.ids[self.sent / 2 % self.ids.len()];
        let (path, sent) = (format!("/Users/{id}"), self.sent);
        self.sent += 1;
        if sent.is_multiple_of(2) {
            return Ask::scim(Method::GET, &path, &self.key, None);
        }
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "Replace", "path": "displayName", "value": format!("Ada {sent}") }],
        });
        Ask::scim(Method::PATCH, &path, &self.key, Some(patch))
    }
}

/// A program and the work of each connection to it.
struct Side {
    rollcall: Rollcall,
    key: String,
    ids: Vec<Vec<String>>,
}

impl Side {
    async fn start(setup: &Setup, args: &Args, extra: &[&str]) -> anyhow::Result<Self> {
        let rollcall = Rollcall::start(setup, &[&[BUDGET], extra].concat()).await?;
        let key = rollcall.create_key("default", "directory")?;
        let (mut ids, mut connection) = (Vec::new(), Connection::to(rollcall.address()));
        for of in 0..args.connections {
            let mut users = Vec::new();
            for number in 0..args.users {
                let name = format!("u{of}-{number}@example.com");
                let user = json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                    "userName": name,
                    "externalId": name,
                    "active": true,
                    "displayName": "Ada Lovelace",
                    "name": { "givenName": "Ada", "familyName": "Lovelace" },
                    "emails": [{ "type": "work", "primary": true, "value": name }],
                });
                let answer: Answer = connection.send(&Ask::scim(Method::POST, "/Users", &key, Some(user))).await?;
                users.extend(answer.id());
            }
            anyhow::ensure!(users.len() == args.users as usize, "not every user was created");
            ids.push(users);
        }
        Ok(Self { rollcall, key, ids })
    }

    async fn part(&self, setup: &Setup, crowd: &Crowd, report: &mut Report, name: &str) -> f64 {
        let scripts = self.ids.iter().map(|ids| Cycle { key: self.key.clone(), ids: ids.clone(), sent: 0 });
        let flood = crowd.begin(self.rollcall.address(), scripts.collect());
        tokio::time::sleep(setup.part()).await;
        let (outcome, rate) = flood.end().await;
        report.answers(name, &outcome.answers);
        rate
    }
}

pub(crate) async fn run(setup: &Setup, args: &Args) -> anyhow::Result<Report> {
    let sides = [Side::start(setup, args, &[]).await?, Side::start(setup, args, &["--provisioning-log=off"]).await?];
    let (crowd, mut report) = (Crowd::new()?, Report::new("log", sides[0].rollcall.database()));
    let progress = Progress::of(u64::from(setup.runs) * 2 + 2);
    for (side, name) in sides.iter().zip(NAMES) {
        progress.begin("warming up");
        side.part(setup, &crowd, &mut report, name).await;
        progress.end();
    }
    let (mut rates, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for run in 0..setup.runs {
        // Whoever comes second finds a warmer machine, or a busier one.
        let order = if run.is_multiple_of(2) { [0, 1] } else { [1, 0] };
        let mut of_run = [0.0; 2];
        for at in order {
            progress.begin(NAMES[at]);
            of_run[at] = sides[at].part(setup, &crowd, &mut report, NAMES[at]).await;
            rates[at].push(of_run[at]);
            progress.end();
        }
        ratios.push(of_run[0] / of_run[1]);
    }
    for (name, rates) in NAMES.into_iter().zip(&rates) {
        report.figure(format!("incremental cycle {name}: requests a second"), "1/s", rates);
    }
    report.figure("ratio of the throughputs, with to without", "×", &ratios);
    for name in NAMES {
        report.count(format!("{name}: answers other than 200"), report.others(name, &[200]), 0);
    }
    for side in sides {
        side.rollcall.end().await?;
    }
    Ok(report)
}
