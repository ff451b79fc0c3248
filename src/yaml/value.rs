//! From trees to plain values and back.

use serde_json::Value;

use super::error::Error;
use super::node::Node;
use super::resolve::{Plain, Resolve};

/// A key that stands twice in one mapping.
#[derive(Clone, Copy, Debug)]
pub struct DuplicateKey<'a> {
    /// The earlier one.
    pub first: &'a Node,
    /// The later one.
    pub second: &'a Node,
}

impl Node {
    /// What a scalar means; `None` for other nodes.
    ///
    /// # Errors
    /// When its tag and its text contradict each other.
    pub fn resolve(&self, _mode: Resolve) -> Result<Option<Plain>, Error> {
        Ok(None)
    }

    /// The plain value, as JSON has it.
    ///
    /// [`Resolve::V3`] refuses duplicate and non-string keys as kustomize does; with [`Resolve::V2`] the last one wins
    /// and keys become strings.
    ///
    /// # Errors
    /// The first thing in it that has no value in this reading.
    pub fn to_value(&self, _mode: Resolve) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    /// A tree with the same meaning in either reading, that no file says.
    pub fn from_value(_value: &Value) -> Node {
        Node::null()
    }

    /// All keys below this node that occur more than once in their mapping.
    pub fn duplicate_keys(&self) -> Vec<DuplicateKey<'_>> {
        Vec::new()
    }
}

/// A float as it comes back from the JSON that Go writes: integral ones are integers while they fit 64 bits.
/// `None` for what JSON cannot hold.
pub fn number_from_f64(number: f64) -> Option<Value> {
    serde_json::Number::from_f64(number).map(Value::Number)
}
