//! Whether a process lives and whether it is ready: over HTTP for load balancers, over gRPC by the standard health protocol. And what gRPC
//! services there are, by server reflection.

use std::time::Duration;

use anyhow::Context;
use axum::{Router, routing::get};
use http::StatusCode;
use tonic::service::RoutesBuilder;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::Shutdown;

/// How often the gRPC health status is brought up to date.
const READY_INTERVAL: Duration = Duration::from_millis(500);

/// `GET /livez` and `GET /readyz`. A process that is about to end is not ready.
pub fn routes<F, R>(ready: F, shutdown: Shutdown) -> Router
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = bool> + Send,
{
    let readyz = move || {
        let (ready, shutdown) = (ready.clone(), shutdown.clone());
        async move {
            if !shutdown.is_requested() && ready().await {
                (StatusCode::OK, "ready\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
            }
        }
    };
    Router::new().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(readyz))
}

/// Adds the health protocol and server reflection: v1, and v1alpha, which is all that Python's client library speaks.
/// `services` are the full names that reflection lists. The reporter says "not serving" until [`follow`] finds otherwise.
///
/// # Errors
/// When the descriptor set does not decode, which is a fault of the build.
pub async fn add_services(routes: &mut RoutesBuilder, services: &[&str]) -> anyhow::Result<HealthReporter> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        services.iter().fold(builder, |builder, service| builder.with_service_name(*service))
    };
    let undecodable = "the descriptor set does not decode";
    let v1 = reflection().build_v1().context(undecodable)?;
    let v1alpha = reflection().build_v1alpha().context(undecodable)?;
    routes.add_service(health).add_service(v1).add_service(v1alpha);
    Ok(reporter)
}

/// Keeps the status of the whole process (the empty service name) in step with `ready`, until the end is asked for.
pub async fn follow<F, R>(reporter: HealthReporter, ready: F, shutdown: Shutdown)
where
    F: Fn() -> R,
    R: Future<Output = bool>,
{
    let mut ticks = tokio::time::interval(READY_INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            _ = ticks.tick() => {}
        }
        let status = if ready().await { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
    }
    reporter.set_service_status("", ServingStatus::NotServing).await;
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use tonic_health::pb::{HealthCheckRequest, health_check_response, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    use tower::ServiceExt;

    use super::*;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn readiness_follows_the_closure_and_the_end() {
        let shutdown = Shutdown::default();
        let unready = routes(|| async { false }, shutdown.clone());
        assert_eq!(status(&unready, "/livez").await, StatusCode::OK);
        assert_eq!(status(&unready, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        let ready = routes(|| async { true }, shutdown.clone());
        assert_eq!(status(&ready, "/readyz").await, StatusCode::OK);
        shutdown.request();
        assert_eq!(status(&ready, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&ready, "/livez").await, StatusCode::OK);
    }

    #[tokio::test]
    async fn reflection_lists_what_is_served() {
        let mut builder = RoutesBuilder::default();
        add_services(&mut builder, &["rollcall.identity.v1.UserService"]).await.unwrap();
        let mut client =
            ServerReflectionClient::new(proto::Channel::in_process(builder.routes(), proto::Peer::default()));
        let list = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let mut answers = client.server_reflection_info(tokio_stream::once(list)).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
        let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
        assert!(names.contains(&"rollcall.identity.v1.UserService"), "{names:?}");
        assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
        assert!(!names.contains(&"rollcall.api_keys.v1.CredentialService"), "{names:?}");
    }

    #[tokio::test]
    async fn reflection_is_there_for_clients_of_its_earlier_version() {
        use tonic_reflection::pb::v1alpha::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let mut builder = RoutesBuilder::default();
        add_services(&mut builder, &["rollcall.identity.v1.UserService"]).await.unwrap();
        let mut client =
            ServerReflectionClient::new(proto::Channel::in_process(builder.routes(), proto::Peer::default()));
        let symbol = "rollcall.identity.v1.UserService".to_owned();
        let find = ServerReflectionRequest {
            message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
            ..ServerReflectionRequest::default()
        };
        let mut answers = client.server_reflection_info(tokio_stream::once(find)).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
    }

    #[tokio::test]
    async fn grpc_health_says_not_serving_until_ready() {
        let mut builder = RoutesBuilder::default();
        let reporter = add_services(&mut builder, &["rollcall.identity.v1.UserService"]).await.unwrap();
        let mut client = HealthClient::new(proto::Channel::in_process(builder.routes(), proto::Peer::default()));
        let unready = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(unready.status(), health_check_response::ServingStatus::NotServing);

        let shutdown = Shutdown::default();
        let following = tokio::spawn(follow(reporter, || async { true }, shutdown.clone()));
        let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        while watch.message().await.unwrap().unwrap().status() != health_check_response::ServingStatus::Serving {}
        shutdown.request();
        following.await.unwrap();
        let ended = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(ended.status(), health_check_response::ServingStatus::NotServing);
    }
}
