use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::tls::{KeyPair, Protocol};

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = crate::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--listen").await.unwrap();
    let address = crate::address_of(&listener).unwrap();
    (listener, address)
}

#[tokio::test]
async fn one_connection_more_than_there_are_places_waits() {
    let (listener, address) = listening().await;
    let listener = Listener::with_places(listener, None, 1);
    let (_first, _second) = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let held = listener.accept().await;
    let mut next = Box::pin(listener.accept());
    assert!(futures::poll!(next.as_mut()).is_pending());
    drop(held);
    next.await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (listener, address) = listening().await;
    let _peer = TcpStream::connect(address).await.unwrap();
    let connection = Listener::new(listener, None).accept().await;
    let Stage::Plain(stream) = &connection.stage else { panic!("a handshake without TLS") };
    assert_eq!(socket2::SockRef::from(stream).tcp_user_timeout().unwrap(), Some(SEND_TIMEOUT));
}

#[tokio::test]
async fn a_peer_that_does_not_say_what_it_speaks_is_given_up() {
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM"] {
        let (listener, address) = listening().await;
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(said).await.unwrap();
        let mut connection = Listener::new(listener, None).accept().await;
        let mut read = vec![0; said.len()];
        connection.read_exact(&mut read).await.unwrap();
        // As after the whole time.
        connection.opening.as_mut().unwrap().deadline.as_mut().reset(Instant::now());
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut, "{said:?}");
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::NotConnected, "{said:?}");
    }
}

#[tokio::test]
async fn a_peer_that_said_what_it_speaks_has_all_the_time_of_its_protocol() {
    for said in [&b"GET"[..], b"PUT", PREFACE] {
        let (listener, address) = listening().await;
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(said).await.unwrap();
        let mut connection = Listener::new(listener, None).accept().await;
        let mut read = vec![0; said.len()];
        connection.read_exact(&mut read).await.unwrap();
        assert!(connection.opening.is_none(), "{said:?}");
    }
}

#[tokio::test]
async fn a_peer_that_makes_no_handshake_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pair = KeyPair { certificate: directory.path().join("tls.crt"), key: directory.path().join("tls.key") };
    std::fs::write(&pair.certificate, made.cert.pem()).unwrap();
    std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
    let tls = ServerTls::public(pair, Protocol::Http).unwrap();
    let (listener, address) = listening().await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut connection = Listener::new(listener, Some(tls)).accept().await;
    let deadline = &mut connection.opening.as_mut().unwrap().deadline;
    assert!(deadline.deadline() <= Instant::now() + HANDSHAKE_TIMEOUT);
    // As after the whole time.
    deadline.as_mut().reset(Instant::now());
    assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
}
