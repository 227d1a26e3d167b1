//! The configurations of the chapter "Behind a proxy", in the real proxies, with a real browser in front and a real host behind.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reapply_e2e::{Browser, Host, component, http, reapply, until_blocking};
use tempfile::TempDir;

use crate::blocks::{Mark, blocks, chapter};

/// The address of the host in the chapter.
const BOOK_HOST: &str = "127.0.0.1:8080";

/// A running proxy. It is ended on drop.
struct Proxy {
    process: Child,
    port: u16,
    _folder: TempDir,
}

#[tokio::test]
async fn a_page_behind_nginx_as_the_chapter_has_it_just_works() {
    let (pages, host) = host(&[]);
    let nginx = nginx(&of_site(&block("nginx.conf"), &host));
    assert_works(&nginx.url(""), &host, "nginx").await;
    let policy = http::get(&nginx.url("/")).header("content-security-policy").to_owned();
    assert!(policy.contains("'wasm-unsafe-eval'"), "{policy}");
    assert_administration_takes_the_token(&nginx.url(""), &host);
    drop(pages);
}

#[tokio::test]
async fn a_page_below_a_path_of_nginx_just_works() {
    let (pages, host) = host(&[]);
    let map = block("nginx.conf").split("server {").next().unwrap_or_default().to_owned();
    let location = block("prefix.conf").replace(BOOK_HOST, &host.address().to_string());
    // Browsers ask the rest of the site for its icon.
    let rest = "location = /favicon.ico { return 204; }";
    let nginx = nginx(&format!("{map}server {{ listen 127.0.0.1:PORT; {rest} {location} }}"));
    assert_works(&nginx.url("/live"), &host, "nginx-prefix").await;
    drop(pages);
}

#[tokio::test]
async fn a_page_behind_caddy_as_the_chapter_has_it_just_works() {
    let (pages, host) = host(&[]);
    let site = block("Caddyfile").replace(BOOK_HOST, &host.address().to_string());
    let caddy = caddy(&site.replace("app.example", "http://localhost:PORT"));
    assert_works(&caddy.url(""), &host, "caddy").await;
    assert_administration_takes_the_token(&caddy.url(""), &host);
    drop(pages);
}

/// nginx with a common first configuration: WebSockets are passed on, and the host is addressed by the name of the upstream.
#[tokio::test]
async fn behind_nginx_without_the_host_header_a_page_knows_what_is_wrong() {
    let (pages, refusing) = host(&[]);
    let without_host = block("nginx.conf").replace("proxy_set_header Host $http_host;", "");
    assert_ne!(without_host, block("nginx.conf"));
    let nginx = nginx(&of_site(&without_host, &refusing));
    assert_administration_takes_the_token(&nginx.url(""), &refusing);

    let browser = Browser::start().await;
    let page = browser.open(&nginx.url("/")).await;
    let origin = nginx.url("");
    page.until(&format!("room.reason?.includes('--allow-origin {origin}')")).await;
    assert_eq!(page.value("room.status").await, "offline");
    refusing.wait_for_log("a page was refused");
    assert!(refusing.log().contains(&origin), "{}", refusing.log());
    assert_eq!(browser.console().await, Vec::<String>::new());

    // The advice in the message helps.
    let allowing = host_with(&pages, &["--allow-origin", &origin]);
    let again = nginx_at(nginx.end(), &of_site(&without_host, &allowing));
    page.until("room.status === 'live'").await;
    drop(again);
}

#[test]
fn a_websocket_that_lost_its_upgrade_header_is_named_in_the_log() {
    let (pages, host) = host(&[]);
    let plain = "server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:8080; } }";
    let nginx = nginx(&of_site(plain, &host));
    let asking = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("sec-websocket-protocol", "reapply.v1"),
    ];
    let answer = http::send("GET", &nginx.url("/rooms/counter/lobby"), &asking, None);
    assert_eq!((answer.status, answer.error().0.as_str()), (426, "upgrade-required"), "{}", answer.text());
    host.wait_for_log("a WebSocket came without its Upgrade header");
    drop(pages);
}

/// Starts a host with the counter and a page for it.
fn host(arguments: &[&str]) -> (TempDir, Host) {
    let pages = tempfile::tempdir().unwrap();
    let page = "<!doctype html><meta charset=utf-8><title>Counter</title><script type=module src=page.js></script>";
    fs::write(pages.path().join("index.html"), page).unwrap();
    fs::write(pages.path().join("favicon.ico"), "").unwrap();
    let script = "import { connect } from './reapply.js';\nglobalThis.room = connect('rooms/counter/lobby');\n";
    fs::write(pages.path().join("page.js"), script).unwrap();
    let host = host_with(&pages, arguments);
    (pages, host)
}

fn host_with(pages: &TempDir, arguments: &[&str]) -> Host {
    let folder = pages.path().to_string_lossy();
    let host = Host::start_program(reapply(), &[&["--pages", &*folder], arguments].concat());
    host.deploy("counter");
    host
}

/// Checks that two pages share a room through the proxy, and that a log can be followed live through it.
async fn assert_works(url: &str, host: &Host, room: &str) {
    let browser = Browser::start().await;
    let [one, two] = [browser.open(&format!("{url}/")).await, browser.open(&format!("{url}/")).await];
    for page in [&one, &two] {
        page.until("room.status === 'live'").await;
    }
    one.run("room.apply({ Increment: 3 })").await;
    two.until("room.view.count === 3").await;
    assert_eq!(host.room("counter/lobby")["view"]["count"], 3);
    assert_eq!(browser.console().await, Vec::<String>::new());

    let path = url.split_once("localhost:").unwrap().1;
    let (port, prefix) = path.split_once('/').map_or((path, String::new()), |(port, rest)| (port, format!("/{rest}")));
    let mut following = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    let request = format!(
        "GET {prefix}/rooms/counter/{room}/log?follow=true HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(host.submit(&format!("counter/{room}"), "{\"Increment\":1}").status, 200);
    following.write_all(request.as_bytes()).unwrap();
    read_until(&mut following, "\"seq\":1");
    assert_eq!(host.submit(&format!("counter/{room}"), "{\"Increment\":1}").status, 200);
    read_until(&mut following, "\"seq\":2");
}

fn read_until(from: &mut TcpStream, words: &str) {
    from.set_read_timeout(Some(reapply_e2e::DEADLINE)).unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(words) {
        let mut chunk = [0; 4096];
        let count = from.read(&mut chunk).unwrap();
        assert!(count > 0, "{words} did not come, but {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..count]);
    }
}

fn assert_administration_takes_the_token(url: &str, host: &Host) {
    let counter = fs::read(component(reapply(), "counter")).unwrap();
    let deploy = |headers: &[(&str, &str)]| {
        http::send("PUT", &format!("{url}/machines/counter"), headers, Some(&counter)).status
    };
    assert_eq!(deploy(&[]), 401);
    assert_eq!(http::get(&format!("{url}/backup")).status, 401);
    assert_eq!(deploy(&[("authorization", &format!("Bearer {}", host.token()))]), 201);
}

/// Returns a file that the chapter shows.
fn block(name: &str) -> String {
    let blocks = blocks(&chapter("behind-a-proxy.md"));
    let block = blocks.into_iter().find(|block| block.mark == Mark::File(name.to_owned()));
    block.unwrap_or_else(|| panic!("the chapter has no {name}")).text
}

/// Returns the chapter's site without TLS, for a running host.
fn of_site(config: &str, host: &Host) -> String {
    let plain = |line: &&str| !line.trim_start().starts_with("ssl_certificate");
    let config: Vec<&str> = config.lines().filter(plain).collect();
    config
        .join("\n")
        .replace("listen 443 ssl;", "listen 127.0.0.1:PORT;")
        .replace(BOOK_HOST, &host.address().to_string())
}

fn nginx(site: &str) -> Proxy {
    nginx_at(free_port(), site)
}

fn nginx_at(port: u16, site: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut config = format!(
        "daemon off; master_process off; pid {}; error_log stderr; events {{ worker_connections 256; }}\nhttp {{ access_log off;",
        at("pid")
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        config.push_str(&format!(" {kind}_temp_path {};", at(kind)));
    }
    config.push_str(&format!("\n{}\n}}\n", site.replace("PORT", &port.to_string())));
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).arg("-c").arg(file);
    Proxy::start(command, port, folder)
}

fn caddy(site: &str) -> Proxy {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let file = folder.path().join("Caddyfile");
    let options = "{\n\tadmin off\n\tauto_https off\n}\n";
    fs::write(&file, format!("{options}{}", site.replace("PORT", &port.to_string()))).unwrap();
    let mut command = Command::new(program("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", folder.path()).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
    Proxy::start(command, port, folder)
}

impl Proxy {
    fn start(mut command: Command, port: u16, folder: TempDir) -> Self {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut proxy = Self { process, port, _folder: folder };
        until_blocking("the proxy listens", || match proxy.process.try_wait() {
            Ok(Some(status)) => panic!("{command:?} ended with {status}"),
            _ => TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string()),
        });
        proxy
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Ends the proxy, and returns its port.
    fn end(self) -> u16 {
        self.port
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Returns a port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Returns the path of a system program, which may be outside an ordinary user's `PATH`.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; on Debian: apt-get install nginx-light caddy"))
}
