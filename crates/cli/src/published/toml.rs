//! Rewriting a TOML document. Comments and layout stay.

use toml_edit::{Array, DocumentMut, Item, TableLike, Value};

use super::{Replacements, UserList};

pub(super) fn rewrite(text: &str, replacements: &Replacements<'_>) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    if let Some(groups) = document.get_mut("groups").and_then(Item::as_table_like_mut) {
        for (_, group) in groups.iter_mut() {
            let Some(group) = group.as_table_like_mut() else { continue };
            let file = group.get("users_file").and_then(Item::as_str);
            match file.and_then(|name| replacements.users.get(name)) {
                Some(UserList::Inline(keys)) => {
                    group.remove("users_file");
                    list(group, keys);
                }
                Some(UserList::File(path)) => set(group, "users_file", path),
                None => {}
            }
        }
    }
    if let Some(flags) = document.get_mut("flags").and_then(Item::as_table_like_mut) {
        for (key, flag) in flags.iter_mut() {
            let Some(declared) = replacements.flags.get(key.get()) else { continue };
            if let Some(table) = flag.as_table_mut() {
                // A flag that has only stages has no `[flags.KEY]` header yet.
                table.set_implicit(false);
            }
            let Some(flag) = flag.as_table_like_mut() else { continue };
            set(flag, "stage", &declared.stage);
            if let Some(reason) = &declared.skip_reason {
                set(flag, "skip_reason", reason);
            }
        }
    }
    Ok(document.to_string())
}

/// Sets a field and keeps the space and comments around its old value.
fn set(table: &mut dyn TableLike, key: &str, text: &str) {
    let mut value = Value::from(text);
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(found) => {
            *value.decor_mut() = found.decor().clone();
            *found = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

/// Adds users to a group, one per line.
fn list(group: &mut dyn TableLike, keys: &[String]) {
    if !group.contains_key("users") {
        group.insert("users", Item::Value(Array::new().into()));
    }
    if let Some(users) = group.get_mut("users").and_then(Item::as_array_mut) {
        for key in keys {
            users.push_formatted(Value::from(key.as_str()).decorated("\n    ", ""));
        }
        users.set_trailing_comma(true);
        users.set_trailing("\n");
    }
}
