//! What was told already, as Argo CD notes it on an Application: neither tells what the other has told.

use std::collections::BTreeMap;

/// The annotation.
pub const ANNOTATION: &str = "notified.notifications.argoproj.io";

/// So many entries are kept, the newest.
const MOST: usize = 100;

/// When each thing was told, in seconds since 1970, by a key of what, why and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notified(BTreeMap<String, i64>);

impl Notified {
    /// From the annotation; what makes no sense is nothing.
    pub fn read(annotation: Option<&str>) -> Self {
        Notified(annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    /// For the annotation; nothing when there is nothing to note.
    pub fn write(&self) -> Option<String> {
        // Texts and numbers can be written.
        (!self.0.is_empty()).then(|| serde_json::to_string(&self.0).unwrap_or_default())
    }

    /// Whether it was told.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// It was told at this second.
    pub fn tell(&mut self, key: &str, second: i64) {
        self.0.insert(key.to_owned(), second);
        while self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, second)| **second).map(|(key, _)| key.clone());
            oldest.map(|key| self.0.remove(&key));
        }
    }

    /// Its reason is gone: next time it is told again. False when nothing was known of it.
    pub fn forget(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_argo_cd_has_noted_is_kept_and_written_as_it_was() {
        let text = r#"{"abc:on-deployed:[0].y7b5sbwa2Q329JYH755peeq-fBs:slack:general":1763800000}"#;
        let notified = Notified::read(Some(text));
        assert!(notified.has("abc:on-deployed:[0].y7b5sbwa2Q329JYH755peeq-fBs:slack:general"));
        assert_eq!(notified.write().as_deref(), Some(text));
        assert_eq!(Notified::read(Some("{odd")).write(), None);
    }

    #[test]
    fn the_oldest_are_dropped() {
        let mut notified = Notified::default();
        for second in 0..150 {
            notified.tell(&format!("k{second}"), second);
        }
        assert!(!notified.has("k49") && notified.has("k50") && notified.has("k149"));
        assert!(notified.forget("k50") && !notified.forget("k50"));
    }
}
