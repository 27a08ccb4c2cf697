//! Every RPC, by enumeration: a new one without a row, or without a caller's tenant, fails here.

use authn::KeyText;
use database::testing::Engine;
use ids::TenantId;
use prost::Message;
use prost_types::FileDescriptorSet;
use proto::Channel;
use rstest::rstest;
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::testing::{World, by};

/// What every request of the service begins with.
#[derive(Clone, PartialEq, Message)]
struct AnyRequest {
    #[prost(string, tag = "1")]
    tenant_id: String,
}

fn methods() -> Vec<String> {
    let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap().file;
    let public = ["rollcall/api_keys/v1/api_keys.proto", "rollcall/api_keys/v1/trusts.proto"];
    let methods = files.iter().filter(|file| public.contains(&file.name())).flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            service.method.iter().map(move |method| {
                let request = method.input_type().rsplit('.').next().unwrap_or_default();
                let message = file.message_type.iter().find(|message| message.name() == request).unwrap();
                let first = message.field.iter().find(|field| field.number() == 1).unwrap();
                assert_eq!(first.name(), "tenant_id", "{request}");
                format!("/{}.{}/{}", file.package(), service.name(), method.name())
            })
        })
    });
    methods.collect()
}

async fn call(channel: &Channel, path: &str, request: Request<AnyRequest>) -> Status {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(path).unwrap();
    let codec = ProstCodec::<AnyRequest, ()>::default();
    client.unary(request, path, codec).await.map_or_else(|status| status, |_| Status::ok(""))
}

#[rstest]
#[tokio::test]
async fn every_rpc_refuses_strangers_and_other_tenants(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(world) = World::new(engine).await else { return };
    let replica = world.replica().await;
    let (own, other) = (TenantId::generate(), TenantId::generate());
    let admin = replica.create(own, &["admin"]).await;
    let lesser = replica.create(own, &["scim", "identity.read", "identity.write"]).await;
    let named = |tenant: &str| AnyRequest { tenant_id: tenant.to_owned() };
    let check = async |path: &str, key: Option<&KeyText>, tenant: &str| {
        let request = key.map_or_else(|| Request::new(named(tenant)), |key| by(key, named(tenant)));
        call(&replica.public, path, request).await.code()
    };
    let methods = methods();
    assert!(methods.len() >= 10);
    for path in methods {
        assert_eq!(check(&path, None, "").await, Code::Unauthenticated, "{path}");
        assert_eq!(check(&path, Some(&lesser), "").await, Code::PermissionDenied, "{path}");
        for tenant in [&other.to_string(), "default", &TenantId::OPERATOR.to_string()] {
            assert_eq!(check(&path, Some(&admin), tenant).await, Code::NotFound, "{path} {tenant}");
        }
        for tenant in ["", "default"] {
            assert_eq!(check(&path, Some(&replica.operator), tenant).await, Code::InvalidArgument, "{path} {tenant}");
        }
    }
}
