//! Assertions of a provider that runs here, with keys of each kind.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use outbound::testing::{Answer, Server};
use serde_json::{Value, json};

use super::{
    issuers::{LIFE, REFETCH_INTERVAL, REFRESH_AGE, RETRY_INTERVAL},
    *,
};
use crate::testing::until;

const AUDIENCE: &str = "api://rollcall";
const SUBJECT: &str = "an enterprise application";
const NOW: u64 = 1_700_000_000;
const DISCOVERY: &str = "/tenant/.well-known/openid-configuration";
const KEYS: &str = "/keys";
const SECOND: Duration = Duration::from_secs(1);

/// A key that the provider may sign with.
enum Signing {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Signing {
    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn p256() -> Self {
        Self::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                // Of 2048 bits and with the exponent 65537, the modulus always stands at the same place of the DER.
                let modulus = &pair.public_key().as_ref()[9..265];
                json!({"kty": "RSA", "use": "sig", "kid": kid, "n": text(modulus), "e": "AQAB"})
            }
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "use": "sig", "kid": kid, "crv": "P-256", "x": text(x), "y": text(y)})
            }
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let encoding = if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
        }
    }

    fn assertion(&self, algorithm: &str, kid: &str, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": algorithm, "kid": kid});
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.sign(algorithm, message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// What the provider does now.
#[derive(Default)]
struct Playing {
    keys: Vec<Value>,
    is_down: bool,
    /// What its discovery document says, where that is not what is right.
    discovery: Option<Value>,
    /// The paths that were asked for.
    calls: Vec<String>,
}

/// A provider, and who verifies by it.
struct Provider {
    server: Server,
    playing: Arc<Mutex<Playing>>,
    federation: Federation,
    begun: Instant,
}

impl Provider {
    async fn new(keys: Vec<Value>) -> Self {
        let playing = Arc::new(Mutex::new(Playing { keys, ..Playing::default() }));
        let answers = Arc::clone(&playing);
        // The port is known only when it has begun.
        let url = Arc::new(Mutex::new(String::new()));
        let own = Arc::clone(&url);
        let server = Server::start(move |path| {
            let mut playing = answers.lock().unwrap();
            playing.calls.push(path.to_owned());
            let url = own.lock().unwrap().clone();
            let right = json!({"issuer": format!("{url}/tenant"), "jwks_uri": format!("{url}{KEYS}")});
            match path {
                _ if playing.is_down => Answer::failure("503 Service Unavailable"),
                DISCOVERY => Answer::ok(playing.discovery.clone().unwrap_or(right).to_string()),
                KEYS => Answer::ok(json!({"keys": playing.keys}).to_string()),
                _ => Answer::failure("404 Not Found"),
            }
        });
        let server = server.await.unwrap();
        *url.lock().unwrap() = server.url();
        let federation = Federation::new(outbound::Client::new(&server.settings()).unwrap());
        Self { server, playing, federation, begun: Instant::now() }
    }

    fn issuer(&self) -> String {
        format!("{}/tenant", self.server.url())
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer(), "aud": AUDIENCE, "sub": SUBJECT, "uti": "x",
            "iat": NOW, "nbf": NOW, "exp": NOW + 3600
        })
    }

    fn play(&self, change: impl FnOnce(&mut Playing)) {
        change(&mut self.playing.lock().unwrap());
    }

    /// How often the keys were asked for, and how often anything was.
    fn calls(&self) -> (usize, usize) {
        let calls = &self.playing.lock().unwrap().calls;
        (calls.iter().filter(|path| *path == KEYS).count(), calls.len())
    }

    async fn verify(&self, assertion: &str) -> Result<(), Error> {
        self.verify_after(Duration::ZERO, assertion).await
    }

    /// Verifies when so much time has passed since the beginning, by the clock that keys age by.
    async fn verify_after(&self, passed: Duration, assertion: &str) -> Result<(), Error> {
        let issuer = self.issuer();
        let expected = Expected { issuer: &issuer, audience: AUDIENCE, subject: SUBJECT };
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        self.federation.verify_at(expected, assertion, (now, self.begun + passed)).await
    }
}

#[tokio::test]
async fn r09_an_assertion_is_verified_by_each_algorithm() {
    let (rsa, p256) = (Signing::rsa(), Signing::p256());
    let provider = Provider::new(vec![rsa.jwk("r"), p256.jwk("e")]).await;
    for (signing, algorithm, kid) in [(&rsa, "RS256", "r"), (&rsa, "PS256", "r"), (&p256, "ES256", "e")] {
        let good = signing.assertion(algorithm, kid, &provider.claims());
        assert_eq!(provider.verify(&good).await, Ok(()), "{algorithm}");
        // Another key of the same kind under its name, and a signature of other words.
        let other = if kid == "r" { Signing::rsa() } else { Signing::p256() };
        let forged = other.assertion(algorithm, kid, &provider.claims());
        assert_eq!(provider.verify(&forged).await, Err(Error::Refused(Fault::Signature)), "{algorithm}");
        let (_, signature) = good.rsplit_once('.').unwrap();
        let mut claims = provider.claims();
        claims["exp"] = json!(NOW + 7200);
        let words = signing.assertion(algorithm, kid, &claims);
        let mixed = format!("{}.{signature}", words.rsplit_once('.').unwrap().0);
        assert_eq!(provider.verify(&mixed).await, Err(Error::Refused(Fault::Signature)), "{algorithm}");
    }
    assert_eq!(provider.calls(), (1, 2), "one set of keys serves them all");
}

#[tokio::test]
async fn r09_a_key_is_not_used_for_an_algorithm_of_another_kind() {
    let (rsa, p256) = (Signing::rsa(), Signing::p256());
    let mut one = rsa.jwk("one");
    one["alg"] = json!("RS256");
    let provider = Provider::new(vec![one, rsa.jwk("r"), p256.jwk("e")]).await;
    for (signing, algorithm, kid) in [(&rsa, "PS256", "one"), (&rsa, "RS256", "e"), (&p256, "ES256", "r")] {
        let assertion = signing.assertion(algorithm, kid, &provider.claims());
        assert_eq!(provider.verify(&assertion).await, Err(Error::Refused(Fault::Key)), "{algorithm} {kid}");
    }
    // PKCS #1 and PSS are told apart by the header alone, which is signed.
    let pkcs1 = rsa.assertion("RS256", "r", &provider.claims());
    assert_eq!(provider.verify(&pkcs1).await, Ok(()));
    let (_, rest) = pkcs1.split_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "PS256", "kid": "r"}).to_string());
    assert_eq!(provider.verify(&format!("{header}.{rest}")).await, Err(Error::Refused(Fault::Signature)));
}

#[tokio::test]
async fn r09_what_fits_no_trust_causes_no_call() {
    let rsa = Signing::rsa();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    for (name, value, fault) in [
        ("iss", json!(provider.issuer() + "/"), Fault::Issuer),
        ("iss", json!("https://login.microsoftonline.com/common/v2.0"), Fault::Issuer),
        ("aud", json!("8adf8e6e-67b2-4cf2-a259-e3dc5476c621"), Fault::Audience),
        ("aud", json!([AUDIENCE, AUDIENCE]), Fault::Form),
        ("sub", json!("another"), Fault::Subject),
        ("exp", json!(NOW - 60), Fault::Time),
        ("exp", Value::Null, Fault::Form),
        ("nbf", json!(NOW + 61), Fault::Time),
        ("iat", json!(NOW + 61), Fault::Time),
    ] {
        let mut claims = provider.claims();
        claims[name] = value.clone();
        let assertion = rsa.assertion("RS256", "r", &claims);
        assert_eq!(provider.verify(&assertion).await, Err(Error::Refused(fault)), "{name} {value}");
    }
    let good = rsa.assertion("RS256", "r", &provider.claims());
    let long = format!("{good}{}", "A".repeat(assertion::LENGTH_MAX));
    for none in ["", "a.b.c", &long, &rsa.assertion("HS256", "r", &provider.claims())] {
        assert_eq!(provider.verify(none).await, Err(Error::Refused(Fault::Form)));
    }
    assert_eq!(provider.calls(), (0, 0));
    assert_eq!(provider.verify(&good).await, Ok(()));
}

#[tokio::test]
async fn the_clock_that_is_given_decides() {
    let rsa = Signing::rsa();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let good = rsa.assertion("RS256", "r", &provider.claims());
    let at = async |second: u64| {
        let now = UNIX_EPOCH + Duration::from_secs(second);
        provider.federation.verify(&provider.issuer(), AUDIENCE, SUBJECT, &good, now).await
    };
    assert_eq!(at(NOW + 3659).await, Ok(()));
    assert_eq!(at(NOW + 3660).await, Err(Error::Refused(Fault::Time)));
    assert_eq!(at(NOW - 60).await, Ok(()));
    assert_eq!(at(NOW - 61).await, Err(Error::Refused(Fault::Time)));
}

#[tokio::test]
async fn a_hundred_first_verifications_at_once_fetch_once() {
    let rsa = Signing::rsa();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let good = rsa.assertion("RS256", "r", &provider.claims());
    let all = futures::future::join_all((0..100).map(|_| provider.verify(&good))).await;
    assert!(all.into_iter().all(|verified| verified == Ok(())));
    assert_eq!(provider.calls(), (1, 2));
}

#[tokio::test]
async fn a_fetch_outlives_the_caller_that_began_it() {
    let rsa = Signing::rsa();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let good = rsa.assertion("RS256", "r", &provider.claims());
    // It is given up as soon as the fetch has begun.
    let mut first = Box::pin(provider.verify(&good));
    while provider.calls().1 == 0 {
        let _ = tokio::time::timeout(Duration::from_millis(1), &mut first).await;
    }
    drop(first);
    assert_eq!(provider.verify(&good).await, Ok(()));
    assert_eq!(provider.calls(), (1, 2));
}

#[tokio::test]
async fn a_provider_that_changes_its_keys_is_asked_again_at_most_every_five_minutes() {
    let (first, second, third) = (Signing::p256(), Signing::p256(), Signing::p256());
    let provider = Provider::new(vec![first.jwk("1")]).await;
    let by = |signing: &Signing, kid: &str| signing.assertion("ES256", kid, &provider.claims());
    assert_eq!(provider.verify(&by(&first, "1")).await, Ok(()));

    provider.play(|playing| playing.keys = vec![second.jwk("2")]);
    let passed = Duration::from_secs(60);
    assert_eq!(provider.verify_after(passed, &by(&second, "2")).await, Ok(()), "a new key is looked for at once");
    assert_eq!(
        provider.verify_after(passed, &by(&first, "1")).await,
        Err(Error::Refused(Fault::Key)),
        "a withdrawn one is gone"
    );
    assert_eq!(provider.calls().0, 2);

    provider.play(|playing| playing.keys.push(third.jwk("3")));
    for _ in 0..10 {
        let early = passed + REFETCH_INTERVAL - SECOND;
        // Somebody else may have sent a senseless key id: a good one is not called wrong because of that.
        assert_eq!(provider.verify_after(early, &by(&third, "3")).await, Err(Error::Unavailable));
    }
    assert_eq!(provider.calls().0, 2);
    assert_eq!(provider.verify_after(passed + REFETCH_INTERVAL, &by(&third, "3")).await, Ok(()));
    assert_eq!(provider.calls().0, 3);
}

#[tokio::test]
async fn a_hundred_unknown_keys_at_once_fetch_once() {
    let rsa = Signing::p256();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    assert_eq!(provider.verify(&rsa.assertion("ES256", "r", &provider.claims())).await, Ok(()));
    let unknown: Vec<_> =
        (0..100).map(|at| rsa.assertion("ES256", &format!("unknown {at}"), &provider.claims())).collect();
    let all = unknown.iter().map(|assertion| provider.verify_after(Duration::from_secs(60), assertion));
    assert!(
        futures::future::join_all(all).await.into_iter().all(|verified| verified == Err(Error::Refused(Fault::Key)))
    );
    assert_eq!(provider.calls().0, 2);
}

#[tokio::test]
async fn a_provider_that_is_down_at_first_is_not_asked_at_each_call() {
    let rsa = Signing::rsa();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    provider.play(|playing| playing.is_down = true);
    let good = rsa.assertion("RS256", "r", &provider.claims());
    let all = futures::future::join_all((0..100).map(|_| provider.verify(&good))).await;
    assert!(all.into_iter().all(|verified| verified == Err(Error::Unavailable)));
    assert_eq!(provider.calls(), (0, 1));
    provider.play(|playing| playing.is_down = false);
    assert_eq!(provider.verify(&good).await, Err(Error::Unavailable), "not yet");
    assert_eq!(provider.calls(), (0, 1));
    // The fetch itself took some time, from whose end it counts.
    let passed = provider.begun.elapsed() + RETRY_INTERVAL;
    assert_eq!(provider.verify_after(passed, &good).await, Ok(()));
}

#[tokio::test]
async fn keys_that_are_remembered_serve_while_the_provider_is_down() {
    let rsa = Signing::p256();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let good = rsa.assertion("ES256", "r", &provider.claims());
    assert_eq!(provider.verify(&good).await, Ok(()));
    provider.play(|playing| playing.is_down = true);
    assert_eq!(provider.verify_after(LIFE - SECOND, &good).await, Ok(()));
    until(async || provider.calls().1 == 3).await;
    let unknown = rsa.assertion("ES256", "unknown", &provider.claims());
    for _ in 0..2 {
        let verified = provider.verify_after(LIFE - SECOND, &unknown).await;
        assert_eq!(verified, Err(Error::Unavailable), "the provider may have it");
    }
    assert_eq!(provider.calls().1, 4);
    let end = LIFE + Duration::from_secs(60);
    assert_eq!(provider.verify_after(end, &good).await, Err(Error::Unavailable));
    provider.play(|playing| playing.is_down = false);
    assert_eq!(provider.verify_after(end + Duration::from_secs(60), &good).await, Ok(()));
}

#[tokio::test]
async fn keys_are_fetched_again_behind_their_use_from_half_their_life_on() {
    let (first, second) = (Signing::p256(), Signing::p256());
    let provider = Provider::new(vec![first.jwk("1")]).await;
    let by = |signing: &Signing, kid: &str| signing.assertion("ES256", kid, &provider.claims());
    let old = by(&first, "1");
    assert_eq!(provider.verify(&old).await, Ok(()));
    provider.play(|playing| playing.keys = vec![second.jwk("2")]);
    assert_eq!(provider.verify_after(REFRESH_AGE - SECOND, &old).await, Ok(()));
    assert_eq!(provider.calls().0, 1);

    // Counted from the fetch's end.
    let passed = provider.begun.elapsed() + REFRESH_AGE;
    let all = futures::future::join_all((0..100).map(|_| provider.verify_after(passed, &old))).await;
    assert!(all.contains(&Ok(())));
    until(async || provider.verify_after(passed, &by(&second, "2")).await == Ok(())).await;
    assert_eq!(provider.calls(), (2, 4), "one fetch for all");
    assert_eq!(provider.verify_after(passed, &old).await, Err(Error::Refused(Fault::Key)));
}

#[tokio::test]
async fn a_refresh_that_fails_is_tried_again_after_five_minutes() {
    let rsa = Signing::p256();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let good = rsa.assertion("ES256", "r", &provider.claims());
    assert_eq!(provider.verify(&good).await, Ok(()));
    provider.play(|playing| playing.is_down = true);
    let passed = provider.begun.elapsed() + REFRESH_AGE;
    assert_eq!(provider.verify_after(passed, &good).await, Ok(()));
    until(async || provider.calls().1 == 3).await;
    // When the failure is noted, no verification asks again.
    until(async || {
        let before = provider.calls().1;
        assert_eq!(provider.verify_after(passed + SECOND, &good).await, Ok(()));
        tokio::task::yield_now().await;
        provider.calls().1 == before
    })
    .await;
    let before = provider.calls().1;
    assert_eq!(provider.verify_after(passed + 2 * REFETCH_INTERVAL, &good).await, Ok(()));
    until(async || provider.calls().1 > before).await;
}

#[tokio::test]
async fn r09_a_discovery_document_that_is_not_the_issuers_is_refused() {
    let rsa = Signing::p256();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let good = rsa.assertion("ES256", "r", &provider.claims());
    let (url, issuer) = (provider.server.url(), provider.issuer());
    let mut passed = Duration::ZERO;
    for (discovery, calls) in [
        (json!({"issuer": format!("{issuer}/"), "jwks_uri": format!("{url}{KEYS}")}), 1),
        (json!({"issuer": format!("{url}/{{tenantid}}"), "jwks_uri": format!("{url}{KEYS}")}), 1),
        (json!({"jwks_uri": format!("{url}{KEYS}")}), 1),
        (json!({"issuer": issuer}), 1),
        (json!({"issuer": issuer, "jwks_uri": format!("http://localhost:{}{KEYS}", provider.server.port())}), 1),
        (json!({"issuer": issuer, "jwks_uri": "https://169.254.169.254/keys"}), 1),
        (json!({"issuer": issuer, "jwks_uri": format!("{url}/nothing")}), 2),
        (json!([]), 1),
    ] {
        let before = provider.calls().1;
        provider.play(|playing| playing.discovery = Some(discovery.clone()));
        assert_eq!(provider.verify_after(passed, &good).await, Err(Error::Unavailable), "{discovery}");
        assert_eq!(provider.calls().1 - before, calls, "{discovery}");
        passed += Duration::from_secs(60);
    }
    provider.play(|playing| playing.discovery = None);
    assert_eq!(provider.verify_after(passed, &good).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_that_the_operator_does_not_allow_is_not_called() {
    let rsa = Signing::p256();
    let provider = Provider::new(vec![rsa.jwk("r")]).await;
    let settings = outbound::Settings { allowed: Vec::new(), ..provider.server.settings() };
    let federation = Federation::new(outbound::Client::new(&settings).unwrap());
    let good = rsa.assertion("ES256", "r", &provider.claims());
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let verified = federation.verify(&provider.issuer(), AUDIENCE, SUBJECT, &good, now).await;
    assert_eq!(verified, Err(Error::Unavailable));
    assert_eq!(provider.calls(), (0, 0));
}

#[tokio::test]
async fn issuers_are_apart() {
    let (ours, theirs) = (Signing::p256(), Signing::p256());
    let here = Provider::new(vec![ours.jwk("k")]).await;
    let there = Provider::new(vec![theirs.jwk("k")]).await;
    // The key of another provider under the same name signs in nobody here.
    let forged = theirs.assertion("ES256", "k", &here.claims());
    assert_eq!(here.verify(&forged).await, Err(Error::Refused(Fault::Signature)));
    assert_eq!(there.verify(&forged).await, Err(Error::Refused(Fault::Issuer)));
    assert_eq!(there.calls(), (0, 0));
}
