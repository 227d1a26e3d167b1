//! `cargo run -p reapply-web-bundle`: makes the npm package's files in `web-client/dist`.

use std::env;

use anyhow::{Context, Result};
use reapply_web_bundle::{bundle, workspace};

fn main() -> Result<()> {
    let out = workspace().join("web-client/dist");
    // This program is {target}/{profile}/reapply-web-bundle.
    let program = env::current_exe().context("could not find this program")?;
    let target =
        program.ancestors().nth(2).context("this program does not stand in a target folder: run it by cargo")?;
    bundle(&out, &target.join("web-client"))?;
    println!("made {}", out.display());
    Ok(())
}
