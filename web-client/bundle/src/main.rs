//! `cargo run -p reapply-web-bundle`: makes the npm package's files in `web-client/dist`.

use anyhow::Result;
use reapply_web_bundle::{bundle, workspace};

fn main() -> Result<()> {
    let workspace = workspace();
    let out = workspace.join("web-client/dist");
    bundle(&out, &workspace.join("target/web-client"))?;
    println!("made {}", out.display());
    Ok(())
}
