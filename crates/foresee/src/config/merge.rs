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

/// The keys that an assignment sets: `train={epochs=3, lambda=0}` sets `train.epochs` and
/// `train.lambda`.
pub fn assigned_keys(assignment: &str) -> Vec<String> {
    let (key, text) = assignment.split_once('=').unwrap_or((assignment, ""));
    let mut keys = vec![];
    leaves(key.trim(), &text.trim().parse().unwrap_or(Value::Boolean(true)), &mut keys);
    keys
}

fn leaves(key: &str, value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(name, value)| leaves(&format!("{key}.{name}"), value, keys));
        }
        _ => keys.push(key.to_owned()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_assignment_sets_is_found_however_it_is_written() {
        for (assignment, keys) in [
            (" train.epochs = 3", &["train.epochs"][..]),
            ("train={epochs=3, lambda=1e-5}", &["train.epochs", "train.lambda"]),
            ("system = {name = \"moon\"}", &["system.name"]),
            ("train.epochs", &["train.epochs"]),
        ] {
            assert_eq!(assigned_keys(assignment), keys, "{assignment}");
        }
    }
}
