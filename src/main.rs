//! Parses the command line and hands over; see `leeboard::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    leeboard::cli::main()
}
