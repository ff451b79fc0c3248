//! Parses the command line and hands over; see `leeboard::cli`.

fn main() {}
