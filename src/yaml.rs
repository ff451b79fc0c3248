//! YAML as the ecosystem reads and writes it, with spans, comments and styles kept.
//!
//! **In:** the bytes of a file and the name that a person knows it by. **Out:** [`Document`]s of [`Node`]s that know
//! where they were written; plain values; text. **May not:** do I/O, or know what a field means to Kubernetes beyond
//! what makes a mapping an object.
//!
//! Two readings exist in the field and differ in what a plain `yes` is: see [`Resolve`]. The grammar is that of
//! granit-parser (YAML 1.2, accepted as go-yaml v3 accepts it); everything after its events is ours.
//! Read `node`, then `parts` → `parse` → `resolve` → `value` → [`emit`]; `objects` is the short cut for plain manifests.
//! What go-yaml's scanner takes otherwise than the parser is found by a `rough` reading: `hanging` and `names` give the
//! parser a copy with blanks added (`shifts`). `folded` and `foot` tell what a round through go-yaml's writer changes.

mod borrowed;
pub mod emit;
mod error;
mod folded;
mod foot;
mod hanging;
mod json;
mod names;
mod node;
mod number;
mod objects;
mod order;
mod parse;
mod parts;
mod plain_blocks;
mod resolve;
mod rough;
mod shifts;
mod text;
mod value;

pub use borrowed::Borrowed;
pub use error::{Error, Problem};
pub use folded::written_folded;
pub use node::{
    CollectionStyle, Content, Document, Entry, Mapping, Node, Scalar, ScalarStyle, Sequence, Step, push_entry,
};
pub use number::{float_text, number_from_f64};
pub use objects::objects;
pub use parse::{Limits, parse, parse_as, parse_first, parse_within};
pub use parts::is_one_part;
pub use resolve::{Plain, Resolve, plain};
pub use text::{Span, Text};
pub use value::{DuplicateKey, has_duplicate_keys};

#[cfg(test)]
mod tests;
