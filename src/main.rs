//! Parse, call, render the error, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubewright::cli::main()
}
