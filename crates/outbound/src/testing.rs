//! A server with TLS to call in tests, under the names of this machine.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::Settings;

/// The longest head of a request.
const HEAD_LENGTH_MAX: usize = 8 * 1024;

/// The longest body of a request.
const BODY_LENGTH_MAX: usize = 1024 * 1024;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status, such as `200 OK`; empty is that.
    pub status: &'static str,
    /// A line of the head, or empty.
    pub header: String,
    /// The body.
    pub body: Vec<u8>,
    /// How long after its beginning the body goes on; zero is at once.
    pub pause: Duration,
    /// Whether the length of the body is left untold: it ends with the connection.
    pub is_endless: bool,
}

impl Answer {
    /// Success with a body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// A failure.
    #[must_use]
    pub fn failure(status: &'static str) -> Self {
        Self { status, ..Self::default() }
    }
}

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct Request {
    /// As in `GET`.
    pub method: String,
    /// The path, with what follows it.
    pub path: String,
    /// The fields of the head, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a field of the head; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split_ascii_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self { method, path, headers: lines.filter_map(field).collect(), body: Vec::new() }
    }
}

/// A server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    certificate_pem: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// A server at a port of its own that answers the path of each GET by `answer`.
    ///
    /// # Errors
    /// When this machine has no port or no random numbers for it.
    pub async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        Self::answering(move |request| answer(&request.path)).await
    }

    /// As [`Server::start`], of requests of any method with all that they hold.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|tls| tls.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key))
            .map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, Arc::new(tls), Arc::new(answer)));
        Ok(Self { address, certificate_pem: cert.pem(), task })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address by name, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port())
    }

    /// Settings by which it is called.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            allowed: vec![IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST))],
            root_certificates_pem: Some(self.certificate_pem.clone().into_bytes()),
        }
    }
}

async fn serve<A>(listener: TcpListener, tls: Arc<rustls::ServerConfig>, answer: Arc<A>)
where
    A: Fn(&Request) -> Answer + Send + Sync + 'static,
{
    let acceptor = TlsAcceptor::from(tls);
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            // A client that goes away is part of what is tested.
            let _ = one(&acceptor, stream, &*answer).await;
        });
    }
}

/// One request, and the end of its connection.
async fn one(acceptor: &TlsAcceptor, stream: TcpStream, answer: impl Fn(&Request) -> Answer) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_LENGTH_MAX {
        head.push(stream.read_u8().await?);
    }
    let mut request = Request::parse(&String::from_utf8_lossy(&head));
    let length = request.header("content-length").parse().unwrap_or_default();
    request.body = vec![0; Ord::min(length, BODY_LENGTH_MAX)];
    stream.read_exact(&mut request.body).await?;
    let Answer { status, header, body, pause, is_endless } = answer(&request);
    let status = if status.is_empty() { "200 OK" } else { status };
    let length = if is_endless { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let header = if header.is_empty() { header } else { format!("{header}\r\n") };
    stream.write_all(format!("HTTP/1.1 {status}\r\nconnection: close\r\n{length}{header}\r\n").as_bytes()).await?;
    let (beginning, rest) = body.split_at(body.len() / 2);
    stream.write_all(beginning).await?;
    stream.flush().await?;
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    stream.write_all(rest).await?;
    stream.shutdown().await
}
