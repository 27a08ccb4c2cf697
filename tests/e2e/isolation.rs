//! Tenants cannot reach each other, and nobody calls without a credential: by enumeration, so that what is added is covered.

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
struct Rpc {
    path: String,
    /// Whether the first field of its request names the tenant.
    names_tenant: bool,
}

/// Every method of every service, from the descriptors; what is served only within the program is left out.
fn rpcs() -> Vec<Rpc> {
    let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap().file;
    let messages: Vec<&DescriptorProto> = files.iter().flat_map(|file| &file.message_type).collect();
    let names_tenant = |request: &str| {
        let name = request.rsplit('.').next().unwrap();
        let message = messages.iter().find(|message| message.name() == name).unwrap();
        message.field.iter().any(|field| field.name() == "tenant_id" && field.number() == 1)
    };
    let mut rpcs = Vec::new();
    for file in files.iter().filter(|file| file.package().starts_with("rollcall.")) {
        for service in file.service.iter().filter(|service| service.name() != "CredentialService") {
            for method in &service.method {
                rpcs.push(Rpc {
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    names_tenant: names_tenant(method.input_type()),
                });
            }
        }
    }
    assert!(rpcs.len() > 20);
    rpcs
}

async fn call(url: &str, path: &str, bearer: Option<&str>, message: Vec<u8>) -> Result<Bytes, Status> {
    let channel = proto::Channel::connect(url).unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unknown(format!("{:?}", error)))?;
    let mut request = Request::new(Bytes::from(message));
    if let Some(bearer) = bearer {
        request.metadata_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
    }
    let answer = grpc.unary(request, path.parse::<PathAndQuery>().unwrap(), Raw).await?;
    Ok(answer.into_inner())
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
async fn r05_no_rpc_reaches_another_tenant() {
    let (rollcall, _) = Rollcall::provisioned(UpSqlite).await.unwrap();
    let own = rollcall.json(&["tenant", "show", "default"])["id"].as_str().unwrap().to_owned();
    rollcall.succeed(&["tenant", "create", "globex"]);
    let stranger = rollcall.key(&["--name", "stranger", "--scope", "admin", "--tenant", "globex"]);
    for rpc in rpcs() {
        let refused = call(&rollcall.identity_url(), &rpc.path, Some(&stranger), first_field(&own)).await.unwrap_err();
        let expected: &[Code] = match (&*rpc.path, rpc.names_tenant) {
            (_, true) | ("/rollcall.identity.v1.TenantService/GetTenant", _) => &[Code::NotFound],
            // About no tenant in particular: the operator's alone.
            _ => &[Code::PermissionDenied],
        };
        assert!(expected.contains(&refused.code()), "{}: {refused:?}", rpc.path);
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
