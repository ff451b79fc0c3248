//! Loops over lists and the keys of maps.

use super::super::expression::{Fold, Step};
use super::super::value::{Key, Value};
use super::{Fault, NO_OVERLOAD, Run};

impl<'a> Run<'a> {
    /// What `all`, `exists`, `map` and the like say.
    pub(super) fn fold(&mut self, fold: &'a Fold) -> Result<Value, Fault> {
        let items: Vec<Value> = match self.known(&fold.over)? {
            Value::List(items) => items.to_vec(),
            Value::Map(entries) => entries.keys().map(Key::value).collect(),
            _ => return Fault::error(NO_OVERLOAD),
        };
        let begin = self.node(&fold.begin);
        let depth = self.locals.len();
        let result = self.turns(fold, items, begin);
        self.locals.truncate(depth);
        let result = result?;
        self.locals.push((&fold.result, result));
        let end = self.node(&fold.end);
        self.locals.truncate(depth);
        end
    }

    fn turns(
        &mut self,
        fold: &'a Fold,
        items: Vec<Value>,
        mut result: Result<Value, Fault>,
    ) -> Result<Result<Value, Fault>, Fault> {
        let mut list = Vec::new();
        for item in items {
            self.budget.spend(1)?;
            match &fold.step {
                Step::Push { when, item: pushed } => {
                    self.locals.push((&fold.name, Ok(item)));
                    let wanted = when.as_ref().map_or(Ok(Value::Bool(true)), |when| self.known(when));
                    match wanted? {
                        Value::Bool(true) => {
                            let value = self.node(pushed)?;
                            list.push(value);
                        }
                        Value::Bool(false) => {}
                        _ => return Fault::error(NO_OVERLOAD),
                    }
                    self.locals.pop();
                }
                Step::Set(step) => {
                    self.locals.push((&fold.result, result.clone()));
                    let goes_on = self.node(&fold.while_)?;
                    if matches!(goes_on, Value::Bool(false)) {
                        self.locals.pop();
                        break;
                    }
                    self.locals.push((&fold.name, Ok(item)));
                    result = self.known(step);
                    if result == Err(Fault::Exhausted) {
                        return Err(Fault::Exhausted);
                    }
                    self.locals.pop();
                    self.locals.pop();
                }
            }
        }
        Ok(match fold.step {
            Step::Push { .. } => Ok(Value::list(list)),
            Step::Set(_) => result,
        })
    }
}
