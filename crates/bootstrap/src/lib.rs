//! What every process of Rollcall does alike: listen, serve, tell what proxies say, say whether it is ready, end in order, keep secret files, speak TLS, begin logging.

pub mod connection;
pub mod files;
pub mod forwarded;
pub mod grpc;
pub mod health;
pub mod http;
pub mod settings;
mod shutdown;
pub mod tls;

use std::{io, net::SocketAddr, time::Duration};

use anyhow::Context;
use tokio::net::TcpListener;

pub use shutdown::Shutdown;

/// How long requests that have begun may take once the end was asked for.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests one HTTP/2 connection may have under way; a client waits with more.
pub const STREAMS_MAX: u32 = 250;

/// How long an HTTP/2 connection may be silent before it is asked for a sign of life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long that sign may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Listens on `address`. `flag` is the one that chose it, for the error.
///
/// # Errors
/// When the address is taken, not this machine's, or not allowed.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
            io::ErrorKind::AddrNotAvailable => "it is no address of this machine".to_owned(),
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("cannot listen on {address}: {why}; choose another address with {flag}")
    })
}

/// The address that a listener got, for one that asked for port 0.
///
/// # Errors
/// When the system does not say.
pub fn address_of(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener.local_addr().context("the address of a listener cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_names_the_flag_to_change() {
        let holder = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--listen").await.unwrap();
        let error = bind(address_of(&holder).unwrap(), "--grpc-listen").await.unwrap_err().to_string();
        assert!(error.contains("another program listens there"), "{error}");
        assert!(error.ends_with("with --grpc-listen"), "{error}");
    }
}
