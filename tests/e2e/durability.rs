//! `kill -9` at any moment: what was acknowledged is there afterwards, once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use entra_client::{Acknowledged, Client, Dialect, Directory, Observer, Options, State};
use reqwest::Method;
use rstest::rstest;
use secrecy::SecretString;

use crate::harness::{
    Deployment::{self, UpPostgres, UpSqlite},
    Rollcall, eventually,
};

/// Remembers what the server acknowledged, whatever becomes of the run.
#[derive(Clone, Default)]
struct Memory {
    users: Arc<Mutex<BTreeMap<String, String>>>,
    created: Arc<AtomicUsize>,
}

impl Observer for Memory {
    fn acknowledged(&mut self, write: Acknowledged<'_>) {
        if let Acknowledged::UserCreated { user_name, id } = write {
            self.users.lock().unwrap().insert(user_name.to_owned(), id.to_owned());
            self.created.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn client(rollcall: &Rollcall, key: &str) -> Client {
    let options = Options { dialect: Dialect::Legacy, ..Options::default() };
    Client::new(&rollcall.scim_url(), SecretString::from(key), options).unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_user_is_lost_or_doubled_by_kill_9(
    #[values(UpSqlite, UpPostgres)] deployment: Deployment,
    #[values(1, 40, 110)] acknowledged: usize,
) {
    let Some((mut rollcall, key)) = Rollcall::provisioned(deployment).await else { return };
    let directory = Directory::sample(150, 6);
    let memory = Memory::default();
    let run = {
        let (client, directory, mut memory) = (client(&rollcall, &key), directory.clone(), memory.clone());
        tokio::spawn(async move { client.initial_cycle(&directory, &mut State::default(), &mut memory).await })
    };
    eventually("users are created", Duration::from_secs(60), async || {
        memory.created.load(Ordering::Relaxed) >= acknowledged || run.is_finished()
    })
    .await;
    rollcall.kill();
    assert!(run.await.unwrap().is_err(), "the run ended before the server was killed");
    let before = memory.users.lock().unwrap().clone();
    assert!(before.len() >= acknowledged);

    rollcall.run(&[]).await;
    for (name, id) in &before {
        let user = rollcall.scim(&key, Method::GET, &format!("/Users/{id}"), None).await;
        assert_eq!(user.json()["userName"], name.as_str(), "an acknowledged user is lost");
    }
    // Entra comes again, knowing nothing; it finds everyone once and makes the rest.
    let (again, mut state) = (client(&rollcall, &key), State::default());
    let summary = again.initial_cycle(&directory, &mut state, &mut ()).await.unwrap();
    assert!(summary.users_matched >= before.len(), "{summary:?}");
    again.verify(&directory, &state, &mut ()).await.unwrap();
    again.verify_members(&directory, &state, &mut ()).await.unwrap();
    let users = rollcall.json(&["user", "list"]);
    let users = users.as_array().unwrap();
    assert_eq!(users.len(), directory.users().count(), "a user is doubled or missing");
    for (name, id) in &before {
        let kept = users.iter().any(|user| user["userName"] == name.as_str() && user["id"] == id.as_str());
        assert!(kept, "{name} has another id than was acknowledged");
    }
}
