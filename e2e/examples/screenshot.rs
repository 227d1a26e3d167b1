//! Takes the README's picture: two participants playing drop-four, one of them with a pending disc.
//!
//! `cargo run -p reapply-e2e --example screenshot -- docs/demo.png`

use reapply_e2e::{Browser, Host, Proxy, repository};

/// The columns of a game in progress, in turn.
const GAME: [u8; 11] = [3, 3, 2, 4, 4, 2, 3, 5, 5, 3, 4];

/// The condition that nothing moves any more, except endless animations.
const STILL: &str = "[document, frames[0].document].flatMap((shown) => shown.getAnimations()).every((animation) =>
    animation.playState !== 'running' || animation.effect.getComputedTiming().endTime === Infinity)";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let host = Host::start();
    host.deploy("counter");
    host.deploy("drop-four");
    let proxy = Proxy::to(host.address());
    let browser = Browser::start().await;
    let page = browser.blank().await;
    page.resize(1280, 800).await;
    page.goto(&proxy.url("/drop-four/?room=friday-game&beside")).await;
    page.until("room.status === 'live' && frames[0]?.room?.status === 'live'").await;

    page.run("room.apply('Join')").await;
    page.until("frames[0].room.view.players[0] !== null").await;
    page.run("frames[0].room.apply('Join')").await;
    page.until("room.view.players[1] !== null").await;
    for (turn, column) in GAME.iter().enumerate() {
        let player = if turn % 2 == 0 { "room" } else { "frames[0].room" };
        page.run(&format!("{player}.apply({{ Drop: {column} }})")).await;
        page.until(&format!("room.seq === {seq} && frames[0].room.seq === {seq}", seq = turn + 3)).await;
    }
    // The timelines read the log, and the discs fall.
    page.until("document.querySelectorAll('#timeline > li').length >= 12").await;
    page.until(STILL).await;

    // From here on the host's answers are held back.
    proxy.hold();
    page.run("frames[0].document.querySelector(\"[data-col='5']\").click()").await;
    page.until("frames[0].room.pending === 1").await;
    page.until(STILL).await;

    let path = repository().join(std::env::args().nth(1).unwrap_or_else(|| "docs/demo.png".to_owned()));
    let folder = path.parent().expect("a file is in a folder");
    std::fs::create_dir_all(folder).expect("its folder can be made");
    std::fs::write(&path, page.screenshot().await).expect("the picture can be written");
    println!("wrote {}", path.display());
}
