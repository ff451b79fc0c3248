//! The name of a container image.

/// Its parts: name, tag, digest. `registry.example:5000/web:1.4@sha256:…` has all of them.
pub fn split(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash is a port's.
    let start = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[start..].find(':') {
        Some(at) => (&rest[..start + at], Some(&rest[start + at + 1..]), digest),
        None => (rest, None, digest),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_port_is_no_tag() {
        let cases = [
            // image, its parts
            ("web", ("web", None, None)),
            ("web:1.4", ("web", Some("1.4"), None)),
            ("registry.example:5000/shop/web", ("registry.example:5000/shop/web", None, None)),
            ("registry.example:5000/web:1.4", ("registry.example:5000/web", Some("1.4"), None)),
            ("web@sha256:3f9a", ("web", None, Some("sha256:3f9a"))),
            ("example/web:1.4@sha256:3f9a", ("example/web", Some("1.4"), Some("sha256:3f9a"))),
        ];
        for (image, parts) in cases {
            assert_eq!(split(image), parts, "{image}");
        }
    }
}
