//! Starts the shop: `cargo run -p example-embedding -- DATA COMPONENT`, with the component that `reapply build guests/counter` writes.

use std::path::Path;

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, data, component] = &arguments[..] else { anyhow::bail!("usage: example-embedding DATA COMPONENT") };
    let component = std::fs::read(component).with_context(|| format!("cannot read {component}"))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("the shop is at http://{}", listener.local_addr()?);
    // ANCHOR: serve
    let host = example_embedding::open(Path::new(data), component).await?;
    let stopping = host.clone();
    axum::serve(listener, example_embedding::router(&host))
        .with_graceful_shutdown(async move {
            drop(tokio::signal::ctrl_c().await);
            // Sessions are told and end, so that the server's connections end as well.
            stopping.stop().await;
        })
        .await?;
    // ANCHOR_END: serve
    Ok(())
}
