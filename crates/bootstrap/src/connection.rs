//! What a listener accepts, alike for HTTP and gRPC: a connection with or without TLS, that is counted, that must speak soon, and of which it is
//! known who is at its other end.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::{Extensions, uri::Scheme};
use proto::{Peer, Service};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::tls::{ServerTls, service_of};

/// How many connections one listener holds; more wait in the system's backlog.
pub const CONNECTIONS_MAX: usize = 10_000;
/// How long a handshake of TLS may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take from there to the bytes that tell which protocol it speaks.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long what was sent may wait to be received: a peer that stops reading holds nothing for longer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What an HTTP/2 connection begins with. Until it is known whether that is said, no timeout of a protocol runs.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A listener that counts what it accepts.
pub(crate) struct Listener {
    listener: TcpListener,
    tls: Option<ServerTls>,
    places: Arc<Semaphore>,
}

impl Listener {
    pub(crate) fn new(listener: TcpListener, tls: Option<ServerTls>) -> Self {
        Self::with_places(listener, tls, CONNECTIONS_MAX)
    }

    fn with_places(listener: TcpListener, tls: Option<ServerTls>, places: usize) -> Self {
        Self { listener, tls, places: Arc::new(Semaphore::new(places)) }
    }

    /// The next connection. Its handshake is made when it is first read or written, by whoever serves it.
    pub(crate) async fn accept(&self) -> Connection {
        // The semaphore is never closed.
        let place = self.places.clone().acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => match prepare(&stream) {
                    Ok(()) => return Connection::new(stream, address, self.tls.as_ref(), place),
                    Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early"),
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Keepalive of HTTP/2 finds a peer that is gone. This finds one that is there and takes nothing.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(SEND_TIMEOUT))?;
    Ok(())
}

/// A connection that was accepted.
pub(crate) struct Connection {
    stage: Stage,
    /// None once it is known which protocol is spoken.
    opening: Option<Opening>,
    arrival: Arc<Arrival>,
    _place: Option<OwnedSemaphorePermit>,
}

enum Stage {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// Of no use any more.
    Ended,
}

/// The time until a connection has said what it speaks.
struct Opening {
    deadline: Pin<Box<Sleep>>,
    /// What of [`PREFACE`] is still to come.
    awaited: &'static [u8],
}

/// Who came, and how.
#[derive(Debug)]
pub(crate) struct Arrival {
    address: SocketAddr,
    scheme: Scheme,
    /// What the peer's certificate says, once the handshake is made.
    service: OnceLock<Option<Service>>,
}

impl Arrival {
    /// Says in a request's extensions who is at its other end: [`Peer`], [`ConnectInfo`], and the [`Scheme`] that is spoken. The one place for it.
    pub(crate) fn introduce(&self, extensions: &mut Extensions) {
        extensions.insert(Peer {
            address: Some(self.address.ip().to_canonical()),
            service: self.service.get().copied().flatten(),
        });
        extensions.insert(ConnectInfo(self.address));
        extensions.insert(self.scheme.clone());
    }
}

impl Connection {
    fn new(
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<&ServerTls>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let (stage, scheme, timeout) = match tls {
            None => (Stage::Plain(stream), Scheme::HTTP, OPENING_TIMEOUT),
            Some(tls) => {
                let handshake = TlsAcceptor::from(tls.current()).accept(stream);
                (Stage::Handshake(Box::new(handshake)), Scheme::HTTPS, HANDSHAKE_TIMEOUT)
            }
        };
        let opening = Opening { deadline: Box::pin(tokio::time::sleep(timeout)), awaited: PREFACE };
        let arrival = Arrival { address, scheme, service: OnceLock::new() };
        Self { stage, opening: Some(opening), arrival: Arc::new(arrival), _place: place }
    }

    pub(crate) fn arrival(&self) -> Arc<Arrival> {
        self.arrival.clone()
    }

    /// Makes the handshake, and ends the connection when its time is over.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Stage>> {
        if let Some(opening) = &mut self.opening
            && opening.deadline.as_mut().poll(cx).is_ready()
        {
            self.stage = Stage::Ended;
            self.opening = None;
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Stage::Handshake(handshake) = &mut self.stage {
            match ready!(Pin::new(handshake).poll(cx)) {
                Ok(stream) => {
                    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    // Nobody else sets it.
                    let _ = self.arrival.service.set(certificates.first().and_then(service_of));
                    self.stage = Stage::Tls(Box::new(stream));
                    if let Some(opening) = &mut self.opening {
                        opening.deadline.as_mut().reset(Instant::now() + OPENING_TIMEOUT);
                        // So that this task hears of the new deadline.
                        return self.poll_open(cx);
                    }
                }
                Err(error) => {
                    self.stage = Stage::Ended;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(&mut self.stage))
    }
}

impl Opening {
    /// Whether these bytes end it: HTTP/2 has begun, or something else.
    fn ends_with(&mut self, read: &[u8]) -> bool {
        match self.awaited.strip_prefix(read) {
            Some(awaited) => {
                self.awaited = awaited;
                awaited.is_empty()
            }
            None => true,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Arrival>;

    fn connect_info(&self) -> Arc<Arrival> {
        self.arrival()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match ready!(self.poll_open(cx))? {
            Stage::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, buffer))?,
            Stage::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, buffer))?,
            Stage::Handshake(_) | Stage::Ended => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        if self.opening.as_mut().is_some_and(|opening| opening.ends_with(read)) {
            self.opening = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(self.poll_open(cx))? {
            Stage::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stage::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stage::Handshake(_) | Stage::Ended => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_open(cx))? {
            Stage::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stage::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stage::Handshake(_) | Stage::Ended => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.poll_open(cx))? {
            Stage::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stage::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stage::Handshake(_) | Stage::Ended => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stage::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            // Nothing was said that would have to be ended in order.
            Stage::Handshake(_) | Stage::Ended => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests;
