//! Who sends: a client with a steady pace, and one that sends as fast as it can.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::{
    http::{Answer, Ask, Connection},
    measure::milliseconds,
    report::Answers,
};

/// Somebody who says what is sent next and is told what was answered.
pub(crate) trait Script: Send + 'static {
    fn next(&mut self) -> Ask;

    fn answered(&mut self, _: &Answer) {}
}

impl<F: FnMut() -> Ask + Send + 'static> Script for F {
    fn next(&mut self) -> Ask {
        self()
    }
}

/// What somebody's requests came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How long each took, in milliseconds.
    pub(crate) latencies: Vec<f64>,
    pub(crate) answers: Answers,
}

impl Outcome {
    fn note(&mut self, began: Instant, answer: &anyhow::Result<Answer>) {
        self.latencies.push(milliseconds(began.elapsed()));
        *self.answers.entry(answer.as_ref().map_or(0, |answer| answer.status)).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
    }
}

/// The connections of a client with a steady pace. A request takes one that is free, or opens one: none waits for an earlier one's answer, so
/// that a slow answer is not hidden by requests that were never sent.
#[derive(Clone, Debug)]
pub(crate) struct Steady {
    server: SocketAddr,
    free: Arc<Mutex<Vec<Connection>>>,
}

impl Steady {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self { server, free: Arc::default() }
    }

    /// Sends so many requests a second until `done` says so, which is asked before each.
    pub(crate) async fn send<S: Script>(
        &self,
        per_second: u32,
        script: Arc<Mutex<S>>,
        done: impl Fn() -> bool,
    ) -> Outcome {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        loop {
            ticks.tick().await;
            if done() {
                break;
            }
            let (client, script) = (self.clone(), Arc::clone(&script));
            under_way.spawn(async move { client.send_one(&script).await });
        }
        let mut outcome = Outcome::default();
        for one in under_way.join_all().await {
            outcome.add(one);
        }
        outcome
    }

    async fn send_one<S: Script>(&self, script: &Mutex<S>) -> Outcome {
        let mut outcome = Outcome::default();
        let ask = script.lock().unwrap_or_else(PoisonError::into_inner).next();
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = free.unwrap_or_else(|| Connection::to(self.server));
        let began = Instant::now();
        let answer = connection.send(&ask).await;
        outcome.note(began, &answer);
        if let Ok(answer) = answer {
            script.lock().unwrap_or_else(PoisonError::into_inner).answered(&answer);
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        outcome
    }
}

/// A thread of its own for those who send as fast as they can, so that they take no more than one processor and none of the time of whoever is
/// measured beside them.
#[derive(Debug)]
pub(crate) struct Crowd {
    runtime: Option<Runtime>,
}

impl Crowd {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("crowd").enable_all().build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Begins to send: each script on a connection of its own, the next request when the one before it is answered.
    pub(crate) fn begin<S: Script>(&self, server: SocketAddr, scripts: Vec<S>) -> Flood {
        let (sent, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut senders = JoinSet::new();
        if let Some(runtime) = &self.runtime {
            for mut script in scripts {
                let (sent, ended) = (Arc::clone(&sent), Arc::clone(&ended));
                let sender = async move {
                    let (mut outcome, mut connection) = (Outcome::default(), Connection::to(server));
                    while !ended.load(Ordering::Relaxed) {
                        let ask = script.next();
                        let began = Instant::now();
                        let answer = connection.send(&ask).await;
                        sent.fetch_add(1, Ordering::Relaxed);
                        outcome.note(began, &answer);
                        match answer {
                            Ok(answer) => script.answered(&answer),
                            Err(_) => connection = Connection::to(server),
                        }
                    }
                    outcome
                };
                senders.spawn_on(sender, runtime.handle());
            }
        }
        Flood { began: Instant::now(), sent, ended, senders }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It is dropped within another runtime, which must not be blocked.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Requests that come as fast as they can.
#[derive(Debug)]
pub(crate) struct Flood {
    began: Instant,
    sent: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    senders: JoinSet<Outcome>,
}

impl Flood {
    /// Whether it went on for so long and so many were answered.
    pub(crate) fn has_sent(&self, requests: u64, time: Duration) -> bool {
        self.began.elapsed() >= time && self.sent.load(Ordering::Relaxed) >= requests
    }

    /// Ends it; answers what came of it, and how many a second were answered.
    pub(crate) async fn end(self) -> (Outcome, f64) {
        let elapsed = self.began.elapsed();
        self.ended.store(true, Ordering::Relaxed);
        let sent = u32::try_from(self.sent.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let mut outcome = Outcome::default();
        for one in self.senders.join_all().await {
            outcome.add(one);
        }
        (outcome, f64::from(sent) / elapsed.as_secs_f64())
    }
}
