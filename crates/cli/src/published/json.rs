//! Rewriting a JSON document. Unchanged values keep their text, numbers included.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{FlagDeclaration, Replacements, UserList};

/// A JSON object that keeps the order of its fields and the text of their values.
struct Object(Vec<(String, Box<RawValue>)>);

pub(super) fn rewrite(text: &str, replacements: &Replacements<'_>) -> Result<String, String> {
    edit(text, replacements).map_err(|error| error.to_string())
}

fn edit(text: &str, replacements: &Replacements<'_>) -> serde_json::Result<String> {
    let mut document: Object = serde_json::from_str(text)?;
    for (key, value) in &mut document.0 {
        match &**key {
            "flags" => each(value, |key, flag| match replacements.flags.get(key) {
                Some(declared) => declare(flag, declared),
                None => Ok(()),
            })?,
            "groups" => each(value, |_, group| list(group, replacements))?,
            _ => {}
        }
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Edits each object within an object.
fn each(
    objects: &mut Box<RawValue>,
    edit: impl Fn(&str, &mut Object) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    let mut all: Object = serde_json::from_str(objects.get())?;
    for (key, value) in &mut all.0 {
        let mut object: Object = serde_json::from_str(value.get())?;
        edit(key, &mut object)?;
        *value = raw(&object)?;
    }
    *objects = raw(&all)?;
    Ok(())
}

fn declare(flag: &mut Object, declared: &FlagDeclaration) -> serde_json::Result<()> {
    flag.set("stage", raw(&declared.stage)?);
    if let Some(reason) = &declared.skip_reason {
        flag.set("skip_reason", raw(reason)?);
    }
    Ok(())
}

fn list(group: &mut Object, replacements: &Replacements<'_>) -> serde_json::Result<()> {
    let Some(name) = group.get("users_file") else { return Ok(()) };
    let keys = match replacements.users.get(&serde_json::from_str::<String>(name.get())?) {
        Some(UserList::Inline(keys)) => keys,
        Some(UserList::File(path)) => {
            group.set("users_file", raw(path)?);
            return Ok(());
        }
        None => return Ok(()),
    };
    let listed = group.get("users").map(|users| serde_json::from_str(users.get())).transpose()?;
    let mut users: Vec<String> = listed.unwrap_or_default();
    users.extend(keys.iter().cloned());
    group.0.retain(|(key, _)| key != "users_file");
    group.set("users", raw(&users)?);
    Ok(())
}

fn raw(value: &impl Serialize) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value)
}

impl Object {
    fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }

    fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, found)) => *found = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
