//! `just book`: renders the book, and prints where it is.

fn main() -> anyhow::Result<()> {
    // Beside the sources, so that links to files of the repository resolve.
    let page = reapply_book::build(&reapply_book::root().join("../target/book"))?;
    println!("{}", page.canonicalize()?.display());
    Ok(())
}
