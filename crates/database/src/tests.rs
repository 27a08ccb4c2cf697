//! What every write may rely on, on both engines.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rstest::rstest;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use crate::{
    Database, Error, Location, ran_out_of_time,
    testing::{
        Engine::{self, Postgres, Sqlite},
        TestDatabase,
    },
};

async fn open(engine: Engine) -> Option<(Database, TestDatabase)> {
    let place = TestDatabase::empty(engine).await.unwrap()?;
    let database = Database::open(place.location(), "public").await.unwrap();
    let created = database
        .write(|tx| {
            Box::pin(async move {
                tx.execute_unprepared("CREATE TABLE numbers (number BIGINT PRIMARY KEY, again BIGINT NOT NULL)")
                    .await?;
                Ok::<_, Error<()>>(())
            })
        })
        .await;
    created.unwrap();
    Some((database, place))
}

async fn insert(tx: &DatabaseTransaction, number: u32) -> Result<(), DbErr> {
    tx.execute_unprepared(&format!("INSERT INTO numbers VALUES ({number}, 0)")).await.map(drop)
}

async fn numbers(database: &Database) -> BTreeSet<i64> {
    let mut select = sea_orm::sea_query::Query::select();
    select.column("number").from("numbers");
    let rows = database.read().query_all(&select).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn d02_a_refused_work_undoes_itself_and_no_other(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some((database, _place)) = open(engine).await else { return };
    let writes = (0..100_u32).map(|number| {
        database.write(move |tx| {
            Box::pin(async move {
                insert(tx, number).await?;
                if number % 3 == 0 { Err(Error::Refused(number)) } else { Ok(number) }
            })
        })
    });
    let outcomes = futures::future::join_all(writes).await;
    for (number, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(done) => assert!(done == number && number % 3 != 0),
            Err(Error::Refused(refused)) => assert!(refused == number && number % 3 == 0),
            Err(Error::Database(error)) => panic!("{error}"),
        }
    }
    assert_eq!(numbers(&database).await, (0..100).filter(|number| number % 3 != 0).collect());
}

#[rstest]
#[tokio::test]
async fn what_was_answered_is_there_when_the_database_is_opened_again(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some((database, place)) = open(engine).await else { return };
    database.write(|tx| Box::pin(async move { Ok::<_, Error<()>>(insert(tx, 7).await?) })).await.unwrap();
    drop(database);
    let again = Database::open(place.location(), "public").await.unwrap();
    assert_eq!(numbers(&again).await, BTreeSet::from([7]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_work_that_panics_fails_and_the_next_goes_on(#[values(Sqlite)] engine: Engine) {
    let Some((database, _place)) = open(engine).await else { return };
    let panicked = database
        .write(|tx| {
            Box::pin(async move {
                insert(tx, 1).await?;
                if numbers_are_true() {
                    panic!("on purpose");
                }
                Ok::<_, Error<()>>(())
            })
        })
        .await;
    assert!(matches!(panicked, Err(Error::Database(_))));
    database.write(|tx| Box::pin(async move { Ok::<_, Error<()>>(insert(tx, 2).await?) })).await.unwrap();
    assert_eq!(numbers(&database).await, BTreeSet::from([2]));
}

/// Keeps the compiler from seeing that the rest is never reached.
fn numbers_are_true() -> bool {
    std::hint::black_box(true)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn works_that_deadlock_are_tried_again_until_both_are_done(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some((database, _place)) = open(engine).await else { return };
    for number in [1, 2] {
        database.write(move |tx| Box::pin(async move { Ok::<_, Error<()>>(insert(tx, number).await?) })).await.unwrap();
    }
    let runs = Arc::new(AtomicU32::new(0));
    // Both take both rows, in opposite orders; the pause between is long enough that on PostgreSQL each holds its first.
    let writes = [[1, 2], [2, 1]].map(|order| {
        let runs = Arc::clone(&runs);
        database.write(move |tx| {
            let runs = Arc::clone(&runs);
            Box::pin(async move {
                runs.fetch_add(1, Ordering::Relaxed);
                for number in order {
                    let update = format!("UPDATE numbers SET again = again + 1 WHERE number = {number}");
                    tx.execute_unprepared(&update).await?;
                    if engine == Postgres {
                        tx.execute_unprepared("SELECT pg_sleep(0.2)").await?;
                    }
                }
                Ok::<_, Error<()>>(())
            })
        })
    });
    for outcome in futures::future::join_all(writes).await {
        outcome.unwrap();
    }
    let expected = if engine == Postgres { 3 } else { 2 };
    assert_eq!(runs.load(Ordering::Relaxed), expected, "the one that gave way ran again");
    let mut select = sea_orm::sea_query::Query::select();
    select.column("again").from("numbers");
    let rows = database.read().query_all(&select).await.unwrap();
    let again: Vec<i64> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(again, [2, 2]);
}

/// Lets this process write files up to a size, as a disk that is full would; SIGXFSZ is ignored so that the write fails instead.
fn limit_file_size(limit: &str) {
    let limited = std::process::Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), format!("--fsize={limit}:unlimited")])
        .status();
    assert!(limited.unwrap().success());
}

#[test]
fn what_is_answered_after_a_failing_disk_is_durable() {
    // In a process of its own: the limit is a process's, and other tests write files at the same time.
    const CHILD: &str = "ROLLCALL_TEST_FAILING_DISK";
    if std::env::var_os(CHILD).is_none() {
        let program = std::env::current_exe().unwrap();
        let status = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(program)
            .args(["--exact", "tests::what_is_answered_after_a_failing_disk_is_durable", "--nocapture"])
            .env(CHILD, "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(failing_disk());
}

async fn failing_disk() {
    let (database, place) = open(Sqlite).await.unwrap();
    let write = |number: u32, padding: usize| {
        database.write(move |tx| {
            Box::pin(async move {
                insert(tx, number).await?;
                let table = format!("CREATE TABLE padding{number} AS SELECT '{}' AS text", "x".repeat(padding));
                tx.execute_unprepared(&table).await?;
                Ok::<_, Error<()>>(())
            })
        })
    };
    limit_file_size("120000");
    let mut failed = 0;
    for number in 0..8 {
        failed += u32::from(write(number, 30_000).await.is_err());
    }
    assert!(failed >= 2, "the disk did not fail");
    limit_file_size("unlimited");
    let mut answered = BTreeSet::new();
    for number in 10..16 {
        if write(number, 10).await.is_ok() {
            answered.insert(i64::from(number));
        }
    }
    assert!(!answered.is_empty(), "no write succeeds on a disk that is well again");
    // What a process that dies now leaves: the files as they are.
    let Location::Sqlite(path) = place.location() else { panic!() };
    let copy = path.with_extension("copy");
    for suffix in ["", "-wal"] {
        let file = |path: &std::path::Path| format!("{}{suffix}", path.display());
        std::fs::copy(file(path), file(&copy)).unwrap();
    }
    let left = Database::open(&Location::Sqlite(copy), "public").await.unwrap();
    assert!(numbers(&left).await.is_superset(&answered), "an acknowledged write is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn d02_a_work_that_panics_fails_alone_and_refusals_are_judged_by_what_is_committed() {
    let (database, _place) = open(Sqlite).await.unwrap();
    let (began, release) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let holding = {
        let (database, began, release) = (database.clone(), Arc::clone(&began), Arc::clone(&release));
        tokio::spawn(async move {
            let work = database.write(move |_| {
                let (began, release) = (Arc::clone(&began), Arc::clone(&release));
                Box::pin(async move {
                    began.notify_one();
                    release.notified().await;
                    Ok::<_, Error<&str>>(())
                })
            });
            work.await
        })
    };
    began.notified().await;
    // These wait together, and run together: one makes a row, one is refused for it, one panics.
    let made = database.write(|tx| Box::pin(async move { Ok::<_, Error<&str>>(insert(tx, 1).await?) }));
    let refused =
        database.write(|tx| Box::pin(async move { insert(tx, 1).await.map_err(|_| Error::Refused("taken")) }));
    let panics = database.write(|tx| {
        Box::pin(async move {
            insert(tx, 2).await?;
            if std::hint::black_box(true) {
                panic!("on purpose");
            }
            Ok::<_, Error<&str>>(())
        })
    });
    let others = futures::future::join3(made, refused, panics);
    let (outcomes, ()) = futures::future::join(others, async { release.notify_one() }).await;
    let (made, refused, panics) = outcomes;
    made.unwrap();
    assert!(matches!(refused, Err(Error::Refused("taken"))));
    assert!(matches!(panics, Err(Error::Database(_))));
    holding.await.unwrap().unwrap();
    assert_eq!(numbers(&database).await, BTreeSet::from([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_for_a_stalled_process_hold_up_no_reader() {
    let Some((database, place)) = open(Postgres).await else { return };
    database.write(|tx| Box::pin(async move { Ok::<_, Error<()>>(insert(tx, 1).await?) })).await.unwrap();
    let (begun, release) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    // Another process has changed the row and then stands still.
    let stalled = {
        let other = Database::open(place.location(), "public").await.unwrap();
        let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
        tokio::spawn(async move {
            let work = other.write(move |tx| {
                let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
                Box::pin(async move {
                    tx.execute_unprepared("UPDATE numbers SET again = again + 1").await?;
                    begun.notify_one();
                    release.notified().await;
                    Ok::<_, Error<()>>(())
                })
            });
            work.await
        })
    };
    begun.notified().await;
    // More of these than there are connections for.
    let waiting = (0..40).map(|_| {
        let database = database.clone();
        tokio::spawn(async move {
            let work = database.write(|tx| {
                Box::pin(async move {
                    tx.execute_unprepared("UPDATE numbers SET again = again + 1").await?;
                    Ok::<_, Error<()>>(())
                })
            });
            work.await
        })
    });
    let waiting: Vec<_> = waiting.collect();
    for _ in 0..40 {
        assert_eq!(numbers(&database).await, BTreeSet::from([1]));
    }
    assert!(!stalled.is_finished() && waiting.iter().all(|write| !write.is_finished()));
    release.notify_one();
    stalled.await.unwrap().unwrap();
    for write in waiting {
        write.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn sqlites_reading_connections_cannot_write() {
    let (database, _place) = open(Sqlite).await.unwrap();
    assert!(database.read().execute_unprepared("INSERT INTO numbers VALUES (1, 0)").await.is_err());
}

#[rstest]
#[tokio::test]
async fn a_statement_that_reads_too_long_is_ended_and_the_next_is_not(#[values(Sqlite, Postgres)] engine: Engine) {
    let Some((_database, place)) = open(engine).await else { return };
    let timeout = std::time::Duration::from_millis(200);
    let database = Database::open_reading_within(place.location(), "public", timeout).await.unwrap();
    let count = |to: u32| {
        let sql = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) SELECT count(*) FROM n"
        );
        sea_orm::Statement::from_string(sea_orm::ConnectionTrait::get_database_backend(database.read()), sql)
    };
    for _ in 0..3 {
        let ended = database.read().query_one_raw(count(2_000_000_000)).await.unwrap_err();
        assert!(ran_out_of_time(&ended) && !crate::will_fail_again(&ended), "{ended:?}");
        assert!(database.read().query_one_raw(count(1000)).await.is_ok());
    }
}
