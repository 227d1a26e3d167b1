//! `just book`: renders the book, and says where it is.

fn main() -> anyhow::Result<()> {
    // Beside the sources, so that the links to files of the repository lead there.
    let page = reapply_book::build(&reapply_book::root().join("../target/book"))?;
    println!("{}", page.canonicalize()?.display());
    Ok(())
}
