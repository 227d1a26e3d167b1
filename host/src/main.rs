//! The command line: see `reapply help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reapply_host::cli::main()
}
