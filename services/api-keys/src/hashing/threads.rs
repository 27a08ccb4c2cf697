//! Threads that hash and do nothing else.
//!
//! Each keeps the memory that a run needs for the next: given back and asked for again by many threads, so large a piece leaves holes in each
//! thread's heap, and a flood of wrong keys would have the allocator keep hundreds of megabytes. And they give way to all others, so that a flood
//! takes the time that nobody needs, and not that of requests whose credentials are known (`rules.md` R4).

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use argon2::{Block, Params};
use tokio::sync::oneshot;

/// By how much a thread gives way. On a processor that is wanted by others it has still a tenth of the time, so that a credential is checked in
/// the end however busy the machine.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// What argon2 works in. Each run overwrites it.
#[derive(Debug, Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// As much as a run with these parameters takes.
    pub(super) fn of(&mut self, params: &Params) -> &mut [Block] {
        if self.0.len() < params.block_count() {
            // The old piece first, or both would be held at once.
            self.0 = Vec::new();
            self.0.resize(params.block_count(), Block::default());
        }
        &mut self.0
    }
}

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
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = move |memory: &mut Memory| {
            // Whoever does not wait any more needs no answer.
            let _ = answer.send(work(memory));
        };
        self.0.send(Box::new(job)).ok()?;
        answered.await.ok()
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>) {
    give_way();
    let mut memory = Memory::default();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The panic itself has told what went wrong, and whoever waits is told that something did.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
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
            join_all((0..100).map(|_| threads.run(|_| thread::current().id()))).await.into_iter().collect();
        assert!((1..=2).contains(&used.len()) && !used.contains(&None), "{used:?}");
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_thread_goes_on() {
        let threads = Threads::start(1).unwrap();
        assert_eq!(threads.run(|_| assert!(std::hint::black_box(false), "on purpose")).await, None);
        assert_eq!(threads.run(|_| 1).await, Some(1));
    }

    #[test]
    fn memory_is_used_again_and_grows_when_a_run_needs_more() {
        let (less, more) = (Params::new(64, 1, 1, None).unwrap(), Params::new(128, 1, 1, None).unwrap());
        let mut memory = Memory::default();
        let sizes = [&less, &more, &less].map(|params| memory.of(params).len());
        assert_eq!(sizes, [64, 128, 128]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn r04_the_threads_give_way_to_those_of_requests() {
        use rustix::process::getpriority_process;
        let own = getpriority_process(None).unwrap();
        let theirs = Threads::start(1).unwrap().run(|_| getpriority_process(None)).await.unwrap().unwrap();
        assert_eq!((theirs, getpriority_process(None).unwrap()), ((own + NICE).min(19), own));
    }
}
