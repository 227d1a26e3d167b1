//! Machines over HTTP: list, describe, deploy, and set the retention.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reapply_journal::{MachineRecord, Retention};
use reapply_sync::Name;
use serde::Deserialize;
use serde_json::json;
use std::num::NonZeroU64;

use super::body::Body;
use super::error::HttpError;
use super::extract::MachinePath;
use super::guard::Administrator;
use super::limits::{BODY_BYTES_MAX, DEPLOY_BYTES_MAX};
use super::spliced;
use super::state::HttpState;
use crate::clock::rfc3339;
use crate::log::Logs;

/// Handles `GET /machines`.
pub async fn list(State(served): State<HttpState>) -> Result<Response, HttpError> {
    let journal = &served.logs.journal;
    let mut machines = Vec::new();
    for MachineRecord { name, digest, deployed, .. } in journal.machines().await? {
        let rooms: u64 = journal.builds(&name).await?.iter().map(|(_, rooms)| rooms).sum();
        machines.push(json!({
            "name": name,
            "digest": digest.to_string(),
            "deployed": rfc3339(deployed),
            "rooms": rooms,
        }));
    }
    Ok(Json(json!({ "machines": machines })).into_response())
}

/// Handles `GET /machines/{machine}`.
pub async fn describe(State(served): State<HttpState>, MachinePath(name): MachinePath) -> Result<Response, HttpError> {
    let Logs { journal, machines, .. } = &served.logs;
    let current = machines.current(&name).await?;
    let current = current.ok_or_else(|| HttpError::not_found(format!("there is no machine {name}")))?;
    let described = machines.described(current.digest).await?;
    let described = described.ok_or_else(|| HttpError::host_fault(format!("{} is not stored", current.digest)))?;
    let builds = journal.builds(&name).await?;
    let builds = builds.iter().map(|(digest, rooms)| json!({ "digest": digest.to_string(), "rooms": rooms }));
    let machine = json!({
        "name": name,
        "digest": current.digest.to_string(),
        "deployed": rfc3339(current.deployed),
        "retention": current.retention,
        "bytes": described.bytes,
        "builds": builds.collect::<Vec<_>>(),
    });
    spliced::response(&machine, "description", described.description)
}

/// Handles `POST /machines`: deploys the component in the body, under the name that the component has itself. New rooms run it.
pub async fn deploy(
    State(served): State<HttpState>,
    administrator: Administrator,
    body: Body<DEPLOY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    deploy_as(&served, None, administrator, body).await
}

/// Handles `PUT /machines/{machine}`: deploys the component in the body under this name.
pub async fn deploy_named(
    State(served): State<HttpState>,
    administrator: Administrator,
    MachinePath(name): MachinePath,
    body: Body<DEPLOY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    deploy_as(&served, Some(name), administrator, body).await
}

async fn deploy_as(
    served: &HttpState,
    name: Option<Name>,
    Administrator { peer }: Administrator,
    body: Body<DEPLOY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let (name, build) = served.logs.machines.deploy(name, body.bytes().clone()).await?;
    tracing::info!(machine = %name, digest = %build.digest(), %peer, "deployed");
    let builds = served.logs.journal.builds(&name).await?;
    let others = builds.iter().filter(|(digest, _)| *digest != build.digest());
    let deployed = json!({
        "name": name,
        "digest": build.digest().to_string(),
        "bytes": build.component().len(),
        "rooms_of_other_builds": others.map(|(_, rooms)| rooms).sum::<u64>(),
    });
    Ok((StatusCode::CREATED, Json(deployed)).into_response())
}

/// The body of a request that sets a machine's retention. Fields that are left out have their default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionBody {
    snapshot_events: Option<NonZeroU64>,
    snapshot_bytes: Option<NonZeroU64>,
    trim: bool,
}

/// Handles `PUT /machines/{machine}/retention`: sets the part of their past that its rooms keep from now on.
pub async fn retain(
    State(served): State<HttpState>,
    Administrator { peer }: Administrator,
    MachinePath(name): MachinePath,
    body: Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let shape = "this is not a retention, which is JSON with the fields `snapshot_events`, `snapshot_bytes` and `trim`";
    let RetentionBody { snapshot_events, snapshot_bytes, trim } = body.object(shape)?;
    let (snapshot_events, snapshot_bytes) = (snapshot_events.map(u64::from), snapshot_bytes.map(u64::from));
    let retention = Retention { snapshot_events, snapshot_bytes, trim };
    served.rooms.retain(&name, retention.clone()).await?;
    tracing::info!(machine = %name, ?retention, %peer, "the retention was set");
    Ok(Json(json!({ "name": name, "retention": retention })).into_response())
}
