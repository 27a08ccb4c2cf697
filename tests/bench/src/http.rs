//! A client that costs little: a connection is one task's, is kept alive, and is opened again when the server has closed it.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    authorization: Option<String>,
    forwarded_for: Option<String>,
    body: Option<Value>,
}

impl Ask {
    /// A request without a key.
    pub(crate) fn anonymous(path: &str) -> Self {
        let path = path.to_owned();
        Self { method: Method::GET, path, authorization: None, forwarded_for: None, body: None }
    }

    /// A SCIM request to `path`, which begins behind the tenant URL.
    pub(crate) fn scim(method: Method, path: &str, key: &str, body: Option<Value>) -> Self {
        let (path, authorization) = (format!("/api/scim/v2{path}"), Some(format!("Bearer {key}")));
        Self { method, path, authorization, forwarded_for: None, body }
    }

    /// Looks for a user by name, as before each create.
    pub(crate) fn matching(key: &str, user_name: &str) -> Self {
        Self::scim(Method::GET, &format!("/Users?filter=userName%20eq%20%22{user_name}%22"), key, None)
    }

    /// The same as a proxy passes it on for a client at `address`.
    pub(crate) fn forwarded_for(self, address: String) -> Self {
        Self { forwarded_for: Some(address), ..self }
    }

    fn request(&self, server: SocketAddr) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(&self.method).uri(&self.path).header(header::HOST, server.to_string());
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(address) = &self.forwarded_for {
            request = request.header("x-forwarded-for", address);
        }
        let body = match &self.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/scim+json; charset=utf-8");
                Bytes::from(serde_json::to_vec(body)?)
            }
            None => Bytes::new(),
        };
        Ok(request.body(Full::new(body))?)
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Bytes,
}

impl Answer {
    /// The id of the resource that was answered.
    pub(crate) fn id(&self) -> Option<String> {
        let resource: Value = serde_json::from_slice(&self.body).ok()?;
        Some(resource["id"].as_str()?.to_owned())
    }
}

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Connection {
    server: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection that is opened by its first request.
    pub(crate) const fn to(server: SocketAddr) -> Self {
        Self { server, sender: None }
    }

    /// Opens it now, so that no request pays for that.
    pub(crate) async fn open(&mut self) -> anyhow::Result<()> {
        let stream = TcpStream::connect(self.server).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Whoever sends is told of every error.
            let _ = connection.await;
        });
        self.sender = Some(sender);
        Ok(())
    }

    pub(crate) async fn send(&mut self, ask: &Ask) -> anyhow::Result<Answer> {
        let request = ask.request(self.server)?;
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            self.open().await?;
        }
        let sender = self.sender.as_mut().context("no connection")?;
        sender.ready().await?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok(Answer { status: parts.status.as_u16(), body: body.collect().await?.to_bytes() })
    }
}
