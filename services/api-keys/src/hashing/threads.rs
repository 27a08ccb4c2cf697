//! Threads that hash and do nothing else.
//!
//! They are few and their own, because the allocator keeps for each thread the memory that a run has used: on the runtime's many threads for
//! blocking work, a flood of wrong keys would have it keep hundreds of megabytes. And they give way to all others, so that a flood takes the time
//! that nobody needs, and not that of requests whose credentials are known (`rules.md` R4).

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use tokio::sync::oneshot;

/// By how much a thread gives way. On a processor that is wanted by others it has still a tenth of the time, so that a credential is checked in
/// the end however busy the machine.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// They end when this is dropped and what was begun is done.
#[derive(Debug)]
pub(super) struct Threads(Sender<Job>);

impl Threads {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new().name("argon2".to_owned()).spawn(move || work_off(&receiver))?;
        }
        Ok(Self(sender))
    }

    /// Runs the work when a thread is free for it, whether or not its caller still waits; none if it panicked.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // Whoever does not wait any more needs no answer.
            let _ = answer.send(work());
        };
        self.0.send(Box::new(job)).ok()?;
        answered.await.ok()
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>) {
    give_way();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The panic itself has told what went wrong, and whoever waits is told that something did.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Elsewhere a priority is that of the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "argon2 runs at the priority of requests");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn all_work_is_done_by_so_many_threads() {
        let threads = Threads::start(2).unwrap();
        let used: HashSet<_> =
            join_all((0..100).map(|_| threads.run(|| thread::current().id()))).await.into_iter().collect();
        assert!((1..=2).contains(&used.len()) && !used.contains(&None), "{used:?}");
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_thread_goes_on() {
        let threads = Threads::start(1).unwrap();
        assert_eq!(threads.run(|| assert!(std::hint::black_box(false), "on purpose")).await, None);
        assert_eq!(threads.run(|| 1).await, Some(1));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn r04_the_threads_give_way_to_those_of_requests() {
        use rustix::process::getpriority_process;
        let own = getpriority_process(None).unwrap();
        let theirs = Threads::start(1).unwrap().run(|| getpriority_process(None)).await.unwrap().unwrap();
        assert_eq!((theirs, getpriority_process(None).unwrap()), ((own + NICE).min(19), own));
    }
}
