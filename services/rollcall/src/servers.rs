//! The listeners of a process, served together: when one of them fails or the end is asked for, all end.

use axum::Router;
use bootstrap::{Shutdown, forwarded::TrustedProxies, tls::ServerTls};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::service::Routes;

/// What a process serves.
pub(crate) struct Servers {
    tasks: JoinSet<anyhow::Result<()>>,
    shutdown: Shutdown,
}

impl Servers {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { tasks: JoinSet::new(), shutdown }
    }

    /// Begins to serve HTTP.
    pub(crate) fn http(&mut self, listener: TcpListener, router: Router, tls: Option<ServerTls>) {
        let served = bootstrap::http::serve_http(listener, router, tls, self.shutdown.clone());
        self.tasks.spawn(async move {
            served.await;
            Ok(())
        });
    }

    /// Begins to serve gRPC to clients, who may come through proxies.
    pub(crate) fn grpc(
        &mut self,
        listener: TcpListener,
        routes: Routes,
        (tls, proxies): (Option<ServerTls>, TrustedProxies),
    ) {
        self.tasks.spawn(bootstrap::grpc::serve_grpc(listener, routes, tls, proxies, self.shutdown.clone()));
    }

    /// Begins to serve gRPC to Rollcall's own services, between which nobody stands.
    pub(crate) fn internal(&mut self, listener: TcpListener, routes: Routes, tls: Option<ServerTls>) {
        self.grpc(listener, routes, (tls, TrustedProxies::default()));
    }

    /// Begins other work that ends with the process.
    pub(crate) fn beside(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            work.await;
            Ok(())
        });
    }

    /// Waits until everything has ended; the first failure is the answer.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            self.shutdown.request();
            let ended = ended.map_err(anyhow::Error::from).and_then(|ended| ended);
            first = first.and(ended);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn when_one_ends_all_end() {
        let shutdown = Shutdown::default();
        let mut servers = Servers::new(shutdown.clone());
        let asked = shutdown.clone();
        servers.beside(async move { asked.requested().await });
        servers.tasks.spawn(async { anyhow::bail!("the listener failed") });
        assert_eq!(servers.finish().await.unwrap_err().to_string(), "the listener failed");
        assert!(shutdown.is_requested());
    }
}
