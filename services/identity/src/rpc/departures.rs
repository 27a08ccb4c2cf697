//! `DepartureService`.

use futures::stream::{self, BoxStream, StreamExt};
use ids::{TenantId, UserId};
use proto::identity::v1::{
    self as wire, AcknowledgeDeparturesRequest, AcknowledgeDeparturesResponse, CheckAccessRequest, CheckAccessResponse,
    WatchDeparturesRequest, WatchDeparturesResponse, departure_service_server::DepartureService,
};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::{
    domain::{Access, DEPARTURES_MAX, Departure, Error, Holder, InvalidField, SUBJECTS_CHECKED_MAX, Timestamp},
    rpc::Rpc,
};

#[async_trait]
impl DepartureService for Rpc {
    type WatchDeparturesStream = BoxStream<'static, Result<WatchDeparturesResponse, Status>>;

    async fn watch_departures(
        &self,
        _: Request<WatchDeparturesRequest>,
    ) -> Result<Response<Self::WatchDeparturesStream>, Status> {
        let messages = stream::try_unfold(self.store.departures(), |mut departures| async move {
            let next = departures.next().await?;
            let message = WatchDeparturesResponse { departures: next.into_iter().map(Into::into).collect() };
            Ok(Some((message, departures)))
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn acknowledge_departures(
        &self,
        request: Request<AcknowledgeDeparturesRequest>,
    ) -> Result<Response<AcknowledgeDeparturesResponse>, Status> {
        let AcknowledgeDeparturesRequest { departures } = request.into_inner();
        check_count("departures", departures.len(), DEPARTURES_MAX)?;
        let departures = departures.iter().map(departure).collect::<Result<_, _>>()?;
        self.store.acknowledge_departures(departures).await?;
        Ok(Response::new(AcknowledgeDeparturesResponse {}))
    }

    async fn check_access(
        &self,
        request: Request<CheckAccessRequest>,
    ) -> Result<Response<CheckAccessResponse>, Status> {
        let CheckAccessRequest { subjects } = request.into_inner();
        check_count("subjects", subjects.len(), SUBJECTS_CHECKED_MAX)?;
        let holders = subjects.iter().map(|subject| holder("subjects", &subject.tenant_id, &subject.user_id));
        let holders = holders.collect::<Result<Vec<_>, _>>()?;
        let access = self.store.access(&holders).await?;
        Ok(Response::new(CheckAccessResponse {
            access: access.into_iter().map(|access| wire::Access::from(access).into()).collect(),
        }))
    }
}

fn check_count(field: &'static str, count: usize, max: usize) -> Result<(), Error> {
    if count <= max { Ok(()) } else { Err(InvalidField::new(field, format!("are more than {max}")).into()) }
}

fn holder(field: &'static str, tenant: &str, user: &str) -> Result<Holder, Error> {
    let invalid = || InvalidField::new(field, "name tenants and users by their ids");
    let tenant = tenant.parse::<TenantId>().map_err(|_| invalid())?;
    let user = match user {
        "" => None,
        user => Some(user.parse::<UserId>().map_err(|_| invalid())?),
    };
    Ok(Holder { tenant, user })
}

fn departure(departure: &wire::Departure) -> Result<Departure, Error> {
    let id = Uuid::try_parse(&departure.id).map_err(|_| InvalidField::new("departures", "have ids"))?;
    let holder = holder("departures", &departure.tenant_id, &departure.user_id)?;
    Ok(Departure { id, holder, at: Timestamp(0) })
}

impl From<Departure> for wire::Departure {
    fn from(departure: Departure) -> Self {
        Self {
            id: departure.id.to_string(),
            tenant_id: departure.holder.tenant.to_string(),
            user_id: departure.holder.user.map(|user| user.to_string()).unwrap_or_default(),
            time: Some(departure.at.into()),
        }
    }
}

impl From<Access> for wire::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Granted => Self::Granted,
            Access::Lost => Self::Lost,
            Access::Unknown => Self::Unknown,
        }
    }
}
