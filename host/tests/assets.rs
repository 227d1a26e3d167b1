//! The browser's client as the host serves it.

use axum::Router;
use reapply_host::http::assets::{self, ASSETS, Asset};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The maximum cost of the first visit to a page, compressed.
const CLIENT_GZIP_BYTES_MAX: usize = 150 * 1024;

#[test]
fn the_client_is_small() {
    let bytes: usize = ASSETS.iter().filter(|asset| !asset.path.ends_with(".d.ts")).map(|asset| asset.gzip.len()).sum();
    println!("the client has {bytes} bytes, compressed");
    assert!(bytes <= CLIENT_GZIP_BYTES_MAX, "the client has {bytes} bytes; the limit is {CLIENT_GZIP_BYTES_MAX}");
}

#[test]
fn whatever_a_file_imports_is_served() {
    for asset in ASSETS.iter().filter(|asset| asset.path.ends_with(".js")) {
        let folder = asset.path.rsplit_once('/').unwrap().0;
        let text = std::str::from_utf8(asset.plain).unwrap();
        let static_imports = text.lines().filter(|line| line.starts_with("import ") || line.starts_with("export {"));
        for import in static_imports.filter_map(|line| line.split("\"./").nth(1)?.split('"').next()) {
            assert!(find(&format!("{folder}/{import}")).is_some(), "{} imports ./{import}", asset.path);
        }
    }
    let client = client();
    assert!(std::str::from_utf8(client.plain).unwrap().contains("reapply_wasm_bg.wasm"));
    assert!(
        ASSETS.iter().any(|asset| asset.path.ends_with("/reapply_wasm_bg.wasm") && asset.kind == "application/wasm")
    );
}

#[test]
fn the_types_that_types_import_are_served() {
    let mut imports = Vec::new();
    for asset in ASSETS.iter().filter(|asset| asset.path.ends_with(".d.ts")) {
        let text = std::str::from_utf8(asset.plain).unwrap();
        for line in text.lines().filter(|line| line.starts_with("import ") || line.starts_with("export {")) {
            let Some(module) = line.split_once(" from \"").and_then(|(_, from)| from.split('"').next()) else {
                continue;
            };
            let types = beside(asset.path, module).replace(".js", ".d.ts");
            assert!(find(&types).is_some(), "{} imports {module}, and no {types} is served", asset.path);
            imports.push((asset.path, types));
        }
    }
    assert_eq!(imports, [("/reapply/scrubber.d.ts", "/reapply.d.ts".to_owned())]);
}

#[test]
fn all_modules_of_the_client_are_one_file() {
    let entry = std::str::from_utf8(find("/reapply.js").unwrap().plain).unwrap();
    assert_eq!(entry, format!("export {{ connect, Room }} from \".{}\";\n", client().path));
    let text = std::str::from_utf8(client().plain).unwrap();
    assert!(!text.lines().any(|line| line.starts_with("import ")), "it asks for no other module");
    let modules = ASSETS.iter().filter(|asset| asset.path.ends_with(".js") && asset.immutable).count();
    assert_eq!(modules, 1);
}

#[tokio::test]
async fn the_entry_is_asked_for_anew_and_its_parts_are_kept() {
    let entry = get("/reapply.js", "").await;
    assert!(entry.starts_with("HTTP/1.1 200"), "{entry}");
    assert!(entry.contains("cache-control: no-cache"), "{entry}");
    assert!(entry.contains("content-type: text/javascript"), "{entry}");
    assert!(entry.contains("export { connect"), "{entry}");

    let etag = find("/reapply.js").unwrap().etag;
    let again = get("/reapply.js", &format!("if-none-match: W/{etag}\r\n")).await;
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");

    let part = get(client().path, "accept-encoding: br, gzip;q=0.8\r\n").await;
    assert!(part.contains("immutable") && part.contains("content-encoding: gzip"), "{part}");
    let refused = get("/reapply.js", "accept-encoding: gzip;q=0\r\n").await;
    assert!(!refused.contains("content-encoding"), "{refused}");
}

/// Returns the file that contains all modules of the client.
fn client() -> &'static Asset {
    ASSETS.iter().find(|asset| asset.immutable && asset.path.ends_with("/reapply.js")).expect("the client is served")
}

/// Returns the path that a file means by a relative one.
fn beside(file: &str, relative: &str) -> String {
    let mut path: Vec<&str> = file.split('/').collect();
    path.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

async fn get(path: &str, headers: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let app: Router = assets::router();
    let server = tokio::spawn(axum::serve(listener, app).into_future());
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    client.read_to_end(&mut response).await.unwrap();
    server.abort();
    String::from_utf8_lossy(&response).into_owned()
}
