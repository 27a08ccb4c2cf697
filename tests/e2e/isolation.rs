//! Tenants cannot reach each other, and nobody calls without a credential: by enumeration, so that what is added is covered.

use std::collections::BTreeSet;

use authn::{Scope, Scopes, access};
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};
use reqwest::Method;
use serde_json::json;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::harness::{Deployment::UpSqlite, Rollcall};

/// Messages as bytes, so that any method can be called by its name.
#[derive(Clone, Copy, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A method that the program serves to others.
pub(crate) struct Rpc {
    pub(crate) path: String,
    /// What lets a caller in.
    scopes: &'static [Scope],
    /// Whether the first field of its request names the tenant.
    names_tenant: bool,
}

/// Every method of every service, from the descriptors; what is served only within the program is left out.
pub(crate) fn rpcs() -> Vec<Rpc> {
    let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap().file;
    let messages: Vec<&DescriptorProto> = files.iter().flat_map(|file| &file.message_type).collect();
    let names_tenant = |request: &str| {
        let name = request.rsplit('.').next().unwrap();
        let message = messages.iter().find(|message| message.name() == name).unwrap();
        message.field.iter().any(|field| field.name() == "tenant_id" && field.number() == 1)
    };
    let mut rpcs = Vec::new();
    for file in files.iter().filter(|file| file.package().starts_with("rollcall.")) {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let row = access::row(&path).unwrap_or_else(|| panic!("{path} has no row in the access table"));
                let names_tenant = names_tenant(method.input_type());
                if !row.scopes.is_empty() {
                    rpcs.push(Rpc { path, scopes: row.scopes, names_tenant });
                }
            }
        }
    }
    assert!(rpcs.len() > 20);
    rpcs
}

pub(crate) async fn call(url: &str, path: &str, bearer: Option<&str>, message: Vec<u8>) -> Result<Bytes, Status> {
    let channel = proto::Channel::connect(url).unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unknown(format!("{:?}", error)))?;
    let mut request = Request::new(Bytes::from(message));
    if let Some(bearer) = bearer {
        request.metadata_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
    }
    // The first message is the answer of a method that has one, and the beginning of a stream.
    let answer = grpc.server_streaming(request, path.parse::<PathAndQuery>().unwrap(), Raw).await?;
    answer.into_inner().message().await?.ok_or_else(|| Status::unknown("the answer has no message"))
}

/// A message whose first field is this text.
fn first_field(text: &str) -> Vec<u8> {
    let mut message = vec![0x0a, u8::try_from(text.len()).unwrap()];
    message.extend(text.as_bytes());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_refuses_a_caller_without_a_credential() {
    let rollcall = Rollcall::start(UpSqlite).await.unwrap();
    for rpc in rpcs() {
        for bearer in [None, Some("nonsense"), Some("rollcallkey0"), Some("a.b.c")] {
            let refused = call(&rollcall.identity_url(), &rpc.path, bearer, vec![]).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{} {bearer:?}", rpc.path);
        }
    }
    // What only Rollcall's own services call is not there at all.
    let exchange = "/rollcall.api_keys.v1.CredentialService/ExchangeApiKey";
    let refused = call(&rollcall.identity_url(), exchange, Some(&rollcall.operator_key()), vec![]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_a_directorys_key_opens_no_rpc() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    for rpc in rpcs() {
        let refused = call(&rollcall.identity_url(), &rpc.path, Some(&key), vec![]).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{}", rpc.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_wants_one_of_its_scopes_and_no_other_will_do() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let scopes = [Scope::Scim, Scope::IdentityRead, Scope::IdentityWrite, Scope::Admin];
    let keys = scopes.map(|scope| (scope, rollcall.key(&["--name", "scoped", "--scope", scope.as_str()])));
    for rpc in rpcs() {
        for (scope, key) in &keys {
            let held: Scopes = [*scope].into_iter().collect();
            let allowed = rpc.scopes.iter().any(|asked| held.allows(*asked));
            let answer = call(&rollcall.identity_url(), &rpc.path, Some(key), vec![]).await;
            let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
            let denied = code == Code::PermissionDenied;
            assert!(code != Code::Unauthenticated && denied != allowed, "{} with {scope}: {code:?}", rpc.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_ask_for_no_credential() {
    let rollcall = Rollcall::start(UpSqlite).await.unwrap();
    let channel = proto::Channel::connect(&rollcall.identity_url()).unwrap();
    let mut health = HealthClient::new(channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut reflection = ServerReflectionClient::new(channel);
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut answers = reflection.server_reflection_info(futures::stream::iter([list])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let listed: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
    let called: BTreeSet<String> =
        rpcs().iter().map(|rpc| rpc.path[1..].split('/').next().unwrap().to_owned()).collect();
    assert!(listed.is_superset(&called), "{called:?} but {listed:?}");
    assert!(!listed.contains("rollcall.api_keys.v1.CredentialService"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_no_rpc_reaches_another_tenant() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let own = rollcall.json(&["tenant", "show", "default"])["id"].as_str().unwrap().to_owned();
    rollcall.succeed(&["tenant", "create", "globex"]);
    let stranger = rollcall.key(&["--name", "stranger", "--scope", "admin", "--tenant", "globex"]);
    for rpc in rpcs() {
        let refused = call(&rollcall.identity_url(), &rpc.path, Some(&stranger), first_field(&own)).await.unwrap_err();
        // About no tenant in particular: the operator's alone.
        let expected = if rpc.scopes == [Scope::Operator] { Code::PermissionDenied } else { Code::NotFound };
        assert!(
            rpc.names_tenant || expected == Code::PermissionDenied || rpc.path.ends_with("/GetTenant"),
            "{}",
            rpc.path
        );
        assert_eq!(refused.code(), expected, "{}: {refused:?}", rpc.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_tenant_is_there_for_anothers_directory() {
    let (rollcall, key) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let user = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@example.org", "externalId": "e1"});
    let user = rollcall.scim(&key, Method::POST, "/Users", Some(&user)).await.json()["id"].as_str().unwrap().to_owned();
    let group = json!({"displayName": "Ops", "members": [{"value": user}]});
    let group =
        rollcall.scim(&key, Method::POST, "/Groups", Some(&group)).await.json()["id"].as_str().unwrap().to_owned();
    rollcall.succeed(&["tenant", "create", "globex"]);
    rollcall.succeed(&["scim", "enable", "--tenant", "globex"]);
    let stranger = rollcall.key(&["--name", "stranger", "--tenant", "globex"]);

    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "displayName", "value": "taken over"}]});
    let replacement = json!({"userName": "x", "displayName": "x"});
    for (resource, id) in [("Users", &user), ("Groups", &group)] {
        for (method, body) in [
            (Method::GET, None),
            (Method::PUT, Some(&replacement)),
            (Method::PATCH, Some(&patch)),
            (Method::DELETE, None),
        ] {
            let foreign = rollcall.scim(&stranger, method.clone(), &format!("/{resource}/{id}"), body).await;
            // It looks just like an id that never was.
            let never = ids::UserId::generate().to_string();
            let absent = rollcall.scim(&stranger, method.clone(), &format!("/{resource}/{never}"), body).await;
            assert_eq!((foreign.status.as_u16(), absent.status.as_u16()), (404, 404), "{method} {resource}");
            assert_eq!(
                foreign.text.replace(id.as_str(), "ID"),
                absent.text.replace(&never, "ID"),
                "{method} {resource}"
            );
        }
    }
    for list in
        ["/Users", "/Users?filter=userName+eq+%22ada@example.org%22", "/Users?filter=externalId+eq+%22e1%22", "/Groups"]
    {
        assert_eq!(rollcall.scim(&stranger, Method::GET, list, None).await.json()["totalResults"], 0, "{list}");
    }
    let found = rollcall.scim(&stranger, Method::GET, &format!("/Users?filter=id+eq+%22{user}%22"), None).await;
    assert_eq!(found.json()["totalResults"], 0);
    // R16: another tenant's user cannot be made a member, and looks like an id that never was.
    let member = json!({"displayName": "Theirs", "members": [{"value": user}]});
    assert_eq!(rollcall.scim(&stranger, Method::POST, "/Groups", Some(&member)).await.status, 400);
    // The same names are free there.
    let namesake = json!({"userName": "ada@example.org"});
    assert_eq!(rollcall.scim(&stranger, Method::POST, "/Users", Some(&namesake)).await.status, 201);
    assert_eq!(rollcall.scim(&key, Method::GET, &format!("/Users/{user}"), None).await.json()["externalId"], "e1");
}
