//! What of the rules no recording shows.
