//! What a commit says that gives images other versions, and whether a commit is one.
//!
//! The trailers are for programs: `Leeboard-Change` names the set of versions, `Leeboard-Image` each of them.

use sha2::{Digest as _, Sha256};

use crate::promote::edit::{Found, Image};

/// Names a set of versions.
const CHANGE: &str = "Leeboard-Change";
/// Names one image with its version.
const IMAGE: &str = "Leeboard-Image";

/// Twelve hexadecimal digits that are the same for the same set of versions, in whichever order.
pub fn change(images: &[Image]) -> String {
    let mut lines: Vec<String> = images.iter().map(version).collect();
    lines.sort();
    let mut hash = Sha256::new();
    hash.update("images\n");
    lines.iter().for_each(|line| hash.update(format!("{line}\n")));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The message of a commit that gives an environment these versions.
pub fn message(environment: &str, images: &[Image], why: &str) -> String {
    let subject = match images {
        [image] => format!("Set {} to {} in {environment}", image.name(), short(image)),
        images => format!("Set {} images in {environment}", images.len()),
    };
    let mut paragraphs = vec![subject];
    let why = why.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    // What a person writes must not be read as a trailer: there is always one of ours in the last paragraph.
    paragraphs.extend((!why.trim().is_empty()).then(|| why.trim().to_owned()));
    let mut trailers = vec![format!("{CHANGE}: {}", change(images))];
    trailers.extend(images.iter().map(|image| format!("{IMAGE}: {}", version(image))));
    paragraphs.push(trailers.join("\n"));
    format!("{}\n", paragraphs.join("\n\n"))
}

/// True for the message of a commit that gave this image a version.
pub fn is_ours(message: &str, name: &str) -> bool {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let mark = format!("{IMAGE}: {name}=");
    last.contains(&format!("{CHANGE}: ")) && last.lines().any(|line| line.starts_with(&mark))
}

/// `web=1.4.2`, `web=ghcr.io/org/web:1.4.2`
fn version(image: &Image) -> String {
    let separator = if matches!(image.version(), crate::registry::Version::Tag(_)) { ':' } else { '@' };
    match image.new_name() {
        Some(new_name) => format!("{}={new_name}{separator}{}", image.name(), image.version()),
        None => format!("{}={}", image.name(), image.version()),
    }
}

/// The version of an image, for people.
pub fn short(image: &Image) -> String {
    match image.version() {
        crate::registry::Version::Tag(tag) => tag.to_string(),
        crate::registry::Version::Digest(digest) => digest.short().to_owned(),
    }
}

/// What a file said of an image, in a word.
pub fn said(found: Option<&Found>) -> String {
    let tag = found.and_then(|found| found.tag.as_ref()).map(ToString::to_string);
    let digest = found.and_then(|found| found.digest.as_ref()).map(|digest| digest.short().to_owned());
    match (tag, digest) {
        (Some(tag), Some(digest)) => format!("{tag}@{digest}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "nothing".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Tag, Version};

    fn image(name: &str, tag: &str) -> Image {
        Image::new(name, Version::Tag(Tag::new(tag).unwrap())).unwrap()
    }

    #[test]
    fn a_message_says_what_why_and_for_programs() {
        let web = image("web", "1.4.2").renamed("ghcr.io/org/web").unwrap();
        let why = "1.4.2 is the highest version in `^1.4`\n\nLeeboard-Image: forged=1";
        let text = message("dev", &[web], why);
        let id = text.split("Leeboard-Change: ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
        let expected = format!(
            "Set web to 1.4.2 in dev\n\n{why}\n\nLeeboard-Change: {id}\nLeeboard-Image: web=ghcr.io/org/web:1.4.2\n"
        );
        assert_eq!(text, expected);
        assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(is_ours(&text, "web") && !is_ours(&text, "we") && !is_ours(&text, "forged"));
        assert!(!is_ours("Set web to 1\n\nby hand\n", "web"));
        assert!(
            message("dev", &[image("a", "1"), image("b", "2")], "")
                .starts_with("Set 2 images in dev\n\nLeeboard-Change: ")
        );
    }

    #[test]
    fn a_change_is_the_set_of_its_versions() {
        let (a, b) = (image("a", "1"), image("b", "2"));
        assert_eq!(change(&[a.clone(), b.clone()]), change(&[b.clone(), a.clone()]));
        assert_ne!(change(&[image("a", "1")]), change(&[b]));
        assert_ne!(change(&[a]), change(&[image("a", "2")]));
    }
}
