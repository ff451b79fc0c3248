//! Carrying commits that have proved themselves from one environment to the next.

pub mod vulnerability;
