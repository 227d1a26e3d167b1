//! The host's whole surface over HTTP and WebSocket.
//!
//! | path | effect |
//! | --- | --- |
//! | `GET /healthz` | whether the host serves |
//! | `GET`, `POST /machines`; `GET`, `PUT /machines/{machine}` | list, deploy; describe, deploy by name ([`machines`]) |
//! | `PUT /machines/{machine}/retention` | set the part of their past that its rooms keep ([`machines`]) |
//! | `GET /components/{digest}.wasm`, `.json` | the bytes that everyone runs and the plan to start them, immutable ([`components`]) |
//! | `POST /machines/{machine}/upgrade`, `POST /rooms/{machine}/{room}/upgrade` | switch rooms to another build ([`upgrades`]) |
//! | `GET /rooms` | list ([`rooms`]) |
//! | `GET`, `PUT`, `POST /rooms/{machine}/{room}` | show, create, submit ([`rooms`]) |
//! | the same `GET` with `Upgrade: websocket` | a session ([`handshake`], [`socket`]) |
//! | `GET /rooms/{machine}/{room}/log` | the log as JSON lines or CSV, filtered, and followed ([`mod@log`]) |
//! | `GET /rooms/{machine}/{room}/rejections` | counts of rejections, by author and kind ([`mod@log`]) |
//! | `GET /rooms/{machine}/{room}/past` | the records that a page needs to rebuild a past state ([`past`]) |
//! | `GET /rooms/{machine}/{room}/export`; `POST .../import`, `.../fork` | the room as a file; rooms that share a past ([`archive`]) |
//! | `GET /backup` | the whole journal in one file ([`backup`]) |
//! | `GET /reapply.js` and what it loads | the browser's client ([`assets`]) |
//! | other paths | the pages given with `--pages`, or a start page ([`pages`]) |

pub mod archive;
pub mod assets;
pub mod backup;
pub mod body;
pub mod components;
mod compress;
pub mod error;
pub mod extract;
pub mod guard;
pub mod handshake;
pub mod kept;
pub mod limits;
pub mod log;
pub mod machines;
mod origins;
mod paced;
pub mod pages;
pub mod past;
mod policy;
pub mod rooms;
pub mod scrub;
pub mod server;
pub mod socket;
mod spliced;
pub mod state;
mod throttle;
pub mod token;
pub mod upgrades;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post, put};

use self::state::HttpState;

/// Returns the routes of the surface and the browser's client, to be mounted under any prefix.
pub fn router(state: HttpState) -> Router {
    whole(api(state))
}

/// Returns the routes of a host that has an address of its own: with the pages of this folder, or a start page.
pub fn site(state: HttpState, pages: Option<PathBuf>) -> Router {
    whole(api(state).merge(pages::router(pages)))
}

/// Adds the layers that apply to every answer.
fn whole(router: Router) -> Router {
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(policy::as_declared())
        .layer(axum::middleware::from_fn(body::drain))
}

fn api(state: HttpState) -> Router {
    // These are not compressed: sockets cannot be, exports already are, and each line of an upgrade's report is sent at once.
    let uncompressed = Router::new()
        .route("/rooms/{machine}/{room}", get(handshake::get_room_or_session).put(rooms::create).post(rooms::submit))
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
        .route("/rooms", get(rooms::list))
        .route("/rooms/{machine}/{room}/log", get(log::log))
        .route("/rooms/{machine}/{room}/past", get(past::past))
        .route("/rooms/{machine}/{room}/import", post(archive::import))
        .route("/rooms/{machine}/{room}/fork", post(archive::fork))
        .route("/rooms/{machine}/{room}/rejections", get(log::rejections))
        .layer(compress::layer());
    // These are compressed once, and not for each answer.
    let components = Router::new().route("/components/{file}", get(components::component));
    uncompressed
        .merge(plain)
        // Before the layers, since they answer preflights, which no route accepts.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&state.guard), origins::refuse_foreign_pages))
        .layer(origins::readable())
        .merge(components.layer(origins::public()))
        .with_state(state)
        .layer(policy::layer(policy::DATA))
        .merge(assets::router().layer(origins::public()).layer(policy::layer(policy::CLIENT)))
}

async fn healthz() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Refuses a request for an existing path with a method that the path does not support.
async fn method_not_allowed(method: Method, uri: Uri) -> error::HttpError {
    let message = format!("{} does not take {method}", uri.path());
    error::HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
}
