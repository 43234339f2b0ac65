//! Tables of settings, one put over the other.

use toml::{Table, Value};

/// What is wrong with a text, in words that follow its name.
pub type Result<T> = std::result::Result<T, String>;

/// Puts the keys of a TOML text over a table's.
pub fn merge_text(table: &mut Table, text: &str) -> Result<()> {
    merge(table, toml::from_str(text).map_err(|e| e.to_string())?, "")
}

/// Puts `train.epochs=3` over a table's keys. A value that is no TOML is taken as a string.
pub fn merge_assignment(table: &mut Table, assignment: &str) -> Result<()> {
    let expected = "expected KEY=VALUE, such as train.epochs=3";
    let (key, text) = assignment.split_once('=').ok_or(expected)?;
    let value = text.trim().parse::<Value>().unwrap_or_else(|_| text.into());
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let leaf = Table::from_iter([(last.to_owned(), value)]);
    let nested = parts
        .into_iter()
        .rev()
        .fold(leaf, |inner, part| Table::from_iter([(part.to_owned(), Value::Table(inner))]));
    merge(table, nested, "")
}

/// Puts the values of one table over another's. The base holds every key, so a key that it lacks is
/// unknown.
fn merge(base: &mut Table, over: Table, path: &str) -> Result<()> {
    for (key, value) in over {
        let known: Vec<String> = base.keys().map(|k| format!("{path}{k}")).collect();
        match (base.get_mut(&key), value) {
            (None, _) => {
                let known = known.join(", ");
                return Err(format!("there is no key `{path}{key}`; the keys are {known}"));
            }
            (Some(Value::Table(inner)), Value::Table(over)) => {
                merge(inner, over, &format!("{path}{key}."))?;
            }
            (Some(Value::Table(_)), _) => {
                return Err(format!(
                    "`{path}{key}` is a section; set one of its keys, such as {path}{key}.KEY=VALUE"
                ));
            }
            (Some(Value::Float(slot)), Value::Integer(value)) => *slot = value as f64,
            (Some(slot), value) if slot.type_str() == value.type_str() => *slot = value,
            (Some(slot), value) => {
                let (given, expected) = (value.type_str(), slot.type_str());
                return Err(format!(
                    "`{path}{key}` = {value} is of type {given}, \
                     expected {expected}, such as {slot}"
                ));
            }
        }
    }
    Ok(())
}
