//! Where a field is written, for objects that a file holds as they are.

use crate::error::Origin;
use crate::object::Object;
use crate::source::{Files, TreePath};
use crate::yaml::{self, Step};

/// The place of a field's value; where the object begins, when a renderer has changed or made the value.
pub(super) fn of_field(files: &dyn Files, object: &Object, field: &[&str]) -> Option<Origin> {
    let origin = object.origin.as_ref()?;
    Some(written(files, object, origin, field).unwrap_or_else(|| origin.clone()))
}

fn written(files: &dyn Files, object: &Object, origin: &Origin, field: &[&str]) -> Option<Origin> {
    let value = field.iter().try_fold(&object.body, |value, key| value.get(key))?.as_str()?;
    let bytes = files.read(&TreePath::new(&origin.file).ok()?).ok()?;
    let documents = yaml::parse(&origin.file, &bytes).ok()?;
    let document = documents.into_iter().find(|document| document.root.origin().as_ref() == Some(origin))?;
    let steps: Vec<Step<'_>> = field.iter().map(|key| Step::Key(key)).collect();
    document.root.at(&steps).filter(|node| node.as_str() == Some(value))?.origin()
}
