//! Durations as Go writes them: `1h30m`, `5s`, `250ms`.

use std::time::Duration;

/// Reads a duration; a number without a unit is seconds, as Argo CD reads retry back-offs. `None` when it is neither,
/// or negative.
pub fn parse(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            // text, seconds
            ("5s", Some(5.0)),
            ("3m", Some(180.0)),
            ("1h30m", Some(5400.0)),
            ("1.5h", Some(5400.0)),
            ("250ms", Some(0.25)),
            ("10", Some(10.0)),
            ("0", Some(0.0)),
            ("", None),
            ("s", None),
            ("5 s", None),
            ("5d", None),
            ("-5s", None),
            ("1.2.3s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(|d| d.as_secs_f64()), expected, "{text}");
        }
    }
}
