//! What the process log says, and what it never says (rules R12 and R26).

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::json;
use tonic::Status;
use tracing::subscriber::DefaultGuard;

use super::{harness::Service, identity::Fault};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Collects what this thread logs.
    fn collect() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        (lines, tracing::subscriber::set_default(subscriber.finish()))
    }

    fn with(&self, text: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn r12_a_dropped_attribute_is_logged_once_with_its_fix() {
    let service = Service::new().await;
    let (lines, _guard) = Lines::collect();
    for name in ["ada", "eva"] {
        service.post("/Users", json!({"userName": name, "shoeSize": 42, "password": "secret"})).await;
    }
    let [line] = &lines.with("shoeSize")[..] else { panic!("{:?}", lines.with("")) };
    assert!(line.contains("WARN") && line.contains(&service.tenant.to_string()), "{line}");
    assert!(line.contains("define the attribute or remove its mapping"), "{line}");
    assert_eq!(lines.with("password").len(), 1);
}

#[tokio::test]
async fn r26_no_value_of_a_request_is_logged() {
    let service = Service::new().await;
    let (lines, _guard) = Lines::collect();
    let body = json!({"userName": "ada@secret.example", "shoeSize": "secret", "password": "secret", "title": 5,
        "emails": [{"secret": 1}]});
    service.post("/Users", body).await;
    service.get("/Users?filter=userName+eq+%22secret%22").await;
    service.get("/Users?filter=secret").await;
    service.fault("ListUsers", [Fault::Status(Status::internal("x"))]);
    service.get("/Users?filter=userName+eq+%22secret%22").await.refused(500);
    assert_eq!(lines.with("identity failed").len(), 1);
    let told: Vec<_> = lines.with("secret").into_iter().filter(|line| !line.contains("scim.attribute")).collect();
    assert_eq!(told, Vec::<String>::new());
}
