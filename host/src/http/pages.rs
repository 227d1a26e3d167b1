//! Static pages: a folder that the operator names, or the host's own start page.

use std::path::PathBuf;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use super::error::HttpError;
use super::policy;

/// Returns the routes of everything that no other route serves.
pub(super) fn router(pages: Option<PathBuf>) -> Router {
    let missing = any(not_found).layer(policy::layer(policy::MISSING));
    let router = match pages {
        Some(folder) => Router::new()
            .fallback_service(ServeDir::new(folder).call_fallback_on_method_not_allowed(true).fallback(missing)),
        None => own_pages().fallback_service(missing),
    };
    // Browsers revalidate pages, so an edited page shows on reload, and an unchanged page is not sent again.
    let revalidate = axum::http::HeaderValue::from_static("no-cache");
    router
        .layer(SetResponseHeaderLayer::if_not_present(axum::http::header::CACHE_CONTROL, revalidate))
        .layer(CompressionLayer::new())
}

/// Returns the routes of the host's own page and the files that it loads.
fn own_pages() -> Router {
    let typed = |kind: &'static str, text: &'static str| get(async move || ([(header::CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/", get(start_page))
        .route("/start_page.css", typed("text/css; charset=utf-8", include_str!("start_page.css")))
        .route("/start_page.js", typed("text/javascript; charset=utf-8", include_str!("start_page.js")))
        .layer(policy::layer(policy::PAGE))
}

async fn start_page() -> Html<&'static str> {
    Html(include_str!("start_page.html"))
}

/// Returns a page for browsers, and an error in the usual form for programs.
async fn not_found(headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let is_browser = accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"));
    let vary = [(header::VARY, "accept")];
    if is_browser {
        return (StatusCode::NOT_FOUND, vary, Html(include_str!("not_found.html"))).into_response();
    }
    (vary, HttpError::not_found("there is nothing at this path; see /")).into_response()
}
