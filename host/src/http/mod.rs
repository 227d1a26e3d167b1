//! HTTP and WebSocket: the host's whole surface.
//!
//! | path | what |
//! | --- | --- |
//! | `GET /healthz` | whether the host serves |
//! | `GET`, `POST /machines`; `GET`, `PUT /machines/{machine}` | list, deploy; describe, deploy by name ([`machines`]) |
//! | `PUT /machines/{machine}/retention` | how much of their past its rooms keep ([`machines`]) |
//! | `GET /components/{digest}.wasm`, `.json` | the bytes that everyone runs and the plan to start them, immutable ([`machines`]) |
//! | `POST /machines/{machine}/upgrade`, `POST /rooms/{machine}/{room}/upgrade` | another build for rooms ([`upgrades`]) |
//! | `GET /rooms` | list ([`rooms`]) |
//! | `GET`, `PUT`, `POST /rooms/{machine}/{room}` | see, begin, submit ([`rooms`]) |
//! | the same `GET` with `Upgrade: websocket` | a session ([`socket`]) |
//! | `GET /rooms/{machine}/{room}/log` | the log as JSON lines or CSV, filtered, and followed ([`mod@log`]) |
//! | `GET /rooms/{machine}/{room}/rejections` | how often whose transitions were rejected ([`mod@log`]) |
//! | `GET /rooms/{machine}/{room}/past` | what it takes to see a moment again, elsewhere ([`past`]) |
//! | `GET /rooms/{machine}/{room}/export`; `POST .../import`, `.../fork` | the room as a file; rooms that share a past ([`archive`]) |
//! | `GET /backup` | all that the host keeps, in one file ([`backup`]) |
//! | `GET /reapply.js` and what it loads | the browser's client ([`assets`]) |
//! | all else | the pages given with `--pages`, or a start page ([`pages`]) |

pub mod archive;
pub mod assets;
pub mod backup;
pub mod body;
pub mod error;
pub mod extract;
pub mod guard;
pub mod limits;
pub mod log;
pub mod machines;
pub mod pages;
pub mod past;
mod policy;
pub mod rooms;
pub mod scrub;
pub mod server;
pub mod socket;
mod spliced;
mod throttle;
pub mod token;
pub mod upgrades;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version};
use axum::routing::{get, post, put};
use reapply_sync::{NameError, RoomId};
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

use crate::room::Rooms;
use crate::upgrade::Upgrades;

/// What the host serves with.
#[derive(Clone)]
pub struct Served {
    /// The rooms, and through them the machines and the journal.
    pub rooms: Rooms,
    /// Has them run other builds.
    pub upgrades: Upgrades,
    /// Who may administer, and which pages may use the host.
    pub guard: Arc<guard::Guard>,
    /// Transitions that one session may submit in a second; it is read no faster than that.
    pub submits_per_second_max: u32,
    /// The request bodies that are under way.
    pub bodies: body::Bodies,
    /// A permit for each session that the host may have.
    pub sessions: Arc<Semaphore>,
    /// A permit for each import, fork and backup that may be under way.
    pub archives: Arc<Semaphore>,
    /// A permit for each export that may be under way. Anyone may ask for one, and read it slowly, so they stand in nobody else's way.
    pub exports: Arc<Semaphore>,
    /// Where files are made that are sent and removed.
    pub scratch: Arc<Path>,
    /// A permit for each log that may be followed.
    pub followers: Arc<Semaphore>,
}

/// Marks a response that is not compressed: it goes on as things happen, and a compressor would keep back what it has; or it is so large that
/// compressing it would take too long.
#[derive(Clone, Copy, Debug)]
struct AsItIs;

const CONTENT_TYPE_JSON: &str = "application/json";

/// How the surface is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may administer, and which pages may use the host.
    pub guard: guard::Guard,
    /// Static pages to serve at `/`.
    pub pages: Option<PathBuf>,
    /// A folder for files that are made to be sent, and then removed. Made where it is missing.
    pub scratch: PathBuf,
    /// Transitions that one session may submit in a second.
    pub submits_per_second_max: u32,
}

/// How long a client may cache an answer that its digest names for ever.
const IMMUTABLE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The host's routes. `sessions` holds [`limits::SESSIONS_MAX`] permits, and `followers` [`limits::LOG_FOLLOWERS_MAX`]; when all are back,
/// all have ended.
pub fn router(rooms: Rooms, options: Options, sessions: Arc<Semaphore>, followers: Arc<Semaphore>) -> Router {
    let served = Served {
        upgrades: Upgrades::new(rooms.clone()),
        rooms,
        guard: Arc::new(options.guard),
        submits_per_second_max: options.submits_per_second_max,
        bodies: body::Bodies::default(),
        sessions,
        archives: Arc::new(Semaphore::new(limits::ARCHIVES_MAX)),
        exports: Arc::new(Semaphore::new(limits::EXPORTS_MAX)),
        scratch: options.scratch.into(),
        followers,
    };
    let is_done =
        |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| extensions.get::<AsItIs>().is_none();
    let compression = CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_done));
    // These are not compressed: sockets cannot be, exports are, and of an upgrade each line is to be read when it is told.
    let uncompressed = Router::new()
        .route("/rooms/{machine}/{room}", get(socket::get_room_or_session).put(rooms::create).post(rooms::submit))
        .route("/rooms/{machine}/{room}/export", get(archive::export))
        .route("/backup", get(backup::backup))
        .route("/machines/{machine}/upgrade", post(upgrades::machine))
        .route("/rooms/{machine}/{room}/upgrade", post(upgrades::room));
    let plain = Router::new()
        .route("/healthz", get(healthz))
        .route("/scrub", get(scrub::scrub).post(scrub::scrub))
        .route("/machines", post(machines::deploy).get(machines::list))
        .route("/machines/{machine}", put(machines::deploy_named).get(machines::describe))
        .route("/machines/{machine}/retention", put(machines::retain))
        .route("/components/{file}", get(machines::component))
        .route("/rooms", get(rooms::list))
        .route("/rooms/{machine}/{room}/log", get(log::log))
        .route("/rooms/{machine}/{room}/past", get(past::past))
        .route("/rooms/{machine}/{room}/import", post(archive::import))
        .route("/rooms/{machine}/{room}/fork", post(archive::fork))
        .route("/rooms/{machine}/{room}/rejections", get(log::rejections))
        .layer(compression);
    uncompressed
        .merge(plain)
        // Before the layers: they answer preflights, which no route takes.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(served.clone(), guard::cross_origin))
        .with_state(served)
        .layer(policy::layer(policy::DATA))
        .merge(assets::router().layer(policy::layer(policy::CLIENT)))
        .merge(pages::router(options.pages))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(policy::as_declared())
        .layer(axum::middleware::from_fn(body::drain))
}

async fn healthz() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Answers a request for a path that is there by a method that it does not take.
async fn method_not_allowed(method: Method, uri: Uri) -> error::HttpError {
    let message = format!("{} does not take {method}", uri.path());
    error::HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
}

/// The room that a path names.
fn room_id(machine: &str, room: &str) -> Result<RoomId, error::HttpError> {
    let parse = || Ok::<_, NameError>(RoomId { machine: machine.parse()?, room: room.parse()? });
    Ok(parse()?)
}
