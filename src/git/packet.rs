//! pkt-lines: the frames of git's protocol (gitprotocol-common).

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// With its content.
    Data(Bytes),
    /// `0000`: the end of a message.
    Flush,
    /// `0001`: a border inside a message.
    Delimiter,
    /// `0002`: the end of an answer over a connection that stays open.
    End,
}

impl Packet {
    /// Its text without the line break; `None` when it is no data or not UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Packet::Data(data) => std::str::from_utf8(data).ok().map(|text| text.trim_end_matches('\n')),
            _ => None,
        }
    }
}

/// The bytes do not follow the framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadFrame;

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer does not follow git's framing")
    }
}

/// Takes the first whole frame off `buffer`; `None` while there is none.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Packet>, BadFrame> {
    let Some(header) = buffer.get(..4) else { return Ok(None) };
    let length = std::str::from_utf8(header).ok().filter(|text| text.bytes().all(|c| c.is_ascii_hexdigit()));
    let length = length.and_then(|text| usize::from_str_radix(text, 16).ok()).ok_or(BadFrame)?;
    match length {
        0..=2 => {
            buffer.advance(4);
            Ok(Some(match length {
                0 => Packet::Flush,
                1 => Packet::Delimiter,
                _ => Packet::End,
            }))
        }
        3 => Err(BadFrame),
        length if buffer.len() < length => Ok(None),
        length => {
            let frame = buffer.split_to(length).freeze();
            Ok(Some(Packet::Data(frame.slice(4..))))
        }
    }
}

/// Appends a frame with `text` and a line break.
pub(super) fn put(message: &mut Vec<u8>, text: &str) {
    message.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

pub(super) const FLUSH: &[u8] = b"0000";
pub(super) const DELIMITER: &[u8] = b"0001";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_or_not_at_all() {
        let mut message = Vec::new();
        put(&mut message, "command=ls-refs");
        message.extend_from_slice(DELIMITER);
        message.extend_from_slice(FLUSH);
        for cut in 0..message.len() {
            let mut buffer = BytesMut::from(&message[..cut]);
            while take(&mut buffer).unwrap().is_some() {}
        }
        let mut buffer = BytesMut::from(&message[..]);
        assert_eq!(take(&mut buffer).unwrap().unwrap().text(), Some("command=ls-refs"));
        assert_eq!(take(&mut buffer), Ok(Some(Packet::Delimiter)));
        assert_eq!(take(&mut buffer), Ok(Some(Packet::Flush)));
        assert_eq!(take(&mut buffer), Ok(None));
    }

    #[test]
    fn other_answers_are_no_frames() {
        for answer in ["<!DOCTYPE html>", "0003", "+00f", "00g0"] {
            assert_eq!(take(&mut BytesMut::from(answer)), Err(BadFrame), "{answer}");
        }
    }
}
