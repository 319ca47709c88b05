//! The tables of a TOML document while it is read, and the rules for adding to them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::structure_error::StructureError;
use crate::plan::limits::MAX_DEPTH;
use crate::plan::node::{Entry, Node, Value};

/// A key without dots: TOML's `simple-key`. A dotted key has several.
pub(super) struct SimpleKey<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) span: Range<usize>,
}

/// The index of a table in [`Tables`].
pub(super) type TableId = usize;

/// An id that no table has. Lookups find nothing under it, so what is added to it is dropped.
const NO_TABLE: TableId = usize::MAX;

/// The tables that are still open, in the order in which they begin. The first one is the document.
///
/// A table comes after the table that contains it. A complete inline table is not in the list: it is a [`Value`].
pub(super) struct Tables<'a> {
    tables: Vec<Table<'a>>,
}

struct Table<'a> {
    entries: Vec<Entry<'a>>,
    /// Pairs of an entry's index and its table; for an array of tables, the table of its last item. Sorted by index.
    subtables: Vec<(usize, TableId)>,
    /// Indexes of entries by key. `None` up to [`LINEAR_SEARCH_MAX`] entries.
    #[expect(clippy::box_collection, reason = "nearly every table is small and has none")]
    by_key: Option<Box<HashMap<Cow<'a, str>, usize>>>,
    defined_by: DefinedBy,
    destination: Destination,
    /// The number of tables and arrays around it.
    depth: usize,
}

/// The entry that a table becomes the value of when it is complete.
#[derive(Clone, Copy)]
struct Destination {
    table: TableId,
    entry: usize,
    /// The index in the array, if the entry is an array of tables.
    item: usize,
}

/// The syntax that defined a table. It decides which syntax may add to the table later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DefinedBy {
    /// Its own header, braces, or the document itself. Only subtables may be added.
    Explicit,
    /// A header with two brackets: the table is an item of an array.
    ArrayHeader,
    /// The header of a subtable. Its own header may follow.
    SubtableHeader,
    /// A dotted key. More dotted keys may follow.
    DottedKey,
}

/// The number of entries up to which a linear search is faster than a hash table. Smaller in tests, so that they
/// cover the hash table too.
const LINEAR_SEARCH_MAX: usize = if cfg!(test) { 2 } else { 16 };

impl<'a> Tables<'a> {
    pub(super) fn new() -> Tables<'a> {
        let destination = Destination { table: NO_TABLE, entry: 0, item: 0 };
        Tables { tables: vec![Table::new(DefinedBy::Explicit, destination, 0)] }
    }

    /// Returns the number of tables and arrays around a table.
    pub(super) fn depth(&self, id: TableId) -> usize {
        self.tables.get(id).map_or(0, |table| table.depth)
    }

    /// Returns the table that a header opens.
    ///
    /// # Errors
    ///
    /// The error, and a table for the fields below the header if they can still be checked.
    pub(super) fn header(
        &mut self,
        path: &[SimpleKey<'a>],
        span: Range<usize>,
        is_array: bool,
    ) -> Result<TableId, (StructureError, Option<TableId>)> {
        let refused = |error| (error, None);
        let Some((key, above)) = path.split_last() else { return Ok(NO_TABLE) };
        self.check_depth(0, path).map_err(refused)?;
        let parent = self.descend(0, above, DefinedBy::SubtableHeader).map_err(refused)?;
        let defined_by = if is_array { DefinedBy::ArrayHeader } else { DefinedBy::Explicit };
        let Some(entry) = self.find_or_reserve(parent, key) else {
            let value = match defined_by {
                DefinedBy::ArrayHeader => Value::Array(vec![empty_table(span.clone())]),
                _ => Value::Table(Vec::new()),
            };
            return Ok(self.add_table(parent, key, Node { span, value }, defined_by));
        };
        self.reopen(parent, entry, key, span, defined_by)
    }

    /// Returns the table of a header whose key exists. An array of tables gets another item. A table that only the
    /// header of a subtable had defined is now defined by its own header.
    fn reopen(
        &mut self,
        parent: TableId,
        index: usize,
        key: &SimpleKey<'a>,
        span: Range<usize>,
        defined_by: DefinedBy,
    ) -> Result<TableId, (StructureError, Option<TableId>)> {
        let next = self.tables.len();
        let subtable = self.subtable(parent, index);
        let subtable_defined_by =
            subtable.and_then(|id| self.tables.get(id)).map(|table| table.defined_by);
        let depth = self.depth(parent) + 1;
        let Some(entry) = self.entry_mut(parent, index) else { return Ok(NO_TABLE) };
        let mut destination = Destination { table: parent, entry: index, item: 0 };
        match (&mut entry.node.value, defined_by, subtable_defined_by) {
            (Value::Array(items), DefinedBy::ArrayHeader, Some(_)) => {
                destination.item = items.len();
                items.push(empty_table(span));
            }
            (Value::Table(_), DefinedBy::Explicit, Some(DefinedBy::SubtableHeader)) => {
                entry.key_span = key.span.clone();
                entry.node.span = span;
                if let Some(table) = subtable.and_then(|id| self.tables.get_mut(id)) {
                    table.defined_by = DefinedBy::Explicit;
                }
                return Ok(subtable.unwrap_or(NO_TABLE));
            }
            _ => {
                // The fields below go to a table without a destination. So a duplicate table is one error, not one
                // for each field.
                let error = StructureError::duplicate(key.span.clone(), entry.key_span.start);
                destination.table = NO_TABLE;
                self.tables.push(Table::new(DefinedBy::Explicit, destination, depth));
                self.set_subtable(parent, index, next);
                return Err((error, Some(next)));
            }
        }
        self.tables.push(Table::new(defined_by, destination, depth));
        self.set_subtable(parent, index, next);
        Ok(next)
    }

    /// Returns the table that the last key of a dotted key belongs to. Creates missing tables on the way.
    ///
    /// # Errors
    ///
    /// The key exists already, is too deep, or leads through a value that is not a table.
    pub(super) fn parent_of(
        &mut self,
        from: TableId,
        path: &[SimpleKey<'a>],
    ) -> Result<TableId, StructureError> {
        let Some((key, above)) = path.split_last() else { return Ok(NO_TABLE) };
        self.check_depth(from, path)?;
        let parent = self.descend(from, above, DefinedBy::DottedKey)?;
        match self.find(parent, &key.text).and_then(|index| self.entry(parent, index)) {
            Some(first) => Err(StructureError::duplicate(key.span.clone(), first.key_span.start)),
            None => Ok(parent),
        }
    }

    fn check_depth(&self, from: TableId, path: &[SimpleKey<'a>]) -> Result<(), StructureError> {
        match path.get(MAX_DEPTH - self.depth(from).min(MAX_DEPTH)) {
            Some(key) => Err(StructureError::too_deep(key.span.clone())),
            None => Ok(()),
        }
    }

    /// Returns the table at the end of the path. Creates missing tables on the way.
    fn descend(
        &mut self,
        from: TableId,
        path: &[SimpleKey<'a>],
        defined_by: DefinedBy,
    ) -> Result<TableId, StructureError> {
        let mut id = from;
        for (index, key) in path.iter().enumerate() {
            let Some(entry) = self.find_or_reserve(id, key) else {
                let node = empty_table(key.span.clone());
                id = self.add_table(id, key, node, defined_by);
                continue;
            };
            let parent = id;
            let Some(first) = self.entry(parent, entry) else { return Ok(NO_TABLE) };
            let Some(subtable) = self.subtable(parent, entry) else {
                return Err(StructureError::not_a_table(key.span.clone(), first));
            };
            let is_last = index + 1 == path.len();
            let at = first.key_span.start;
            let Some(table) = self.tables.get_mut(subtable) else { return Ok(NO_TABLE) };
            match (defined_by, table.defined_by) {
                (DefinedBy::DottedKey, DefinedBy::Explicit) => {
                    return Err(StructureError::duplicate(key.span.clone(), at));
                }
                // A dotted key may lead through the last item of an array to a deeper table, as in the `toml` crate.
                (DefinedBy::DottedKey, DefinedBy::ArrayHeader) if is_last => {
                    return Err(StructureError::duplicate(key.span.clone(), at));
                }
                (DefinedBy::DottedKey, DefinedBy::SubtableHeader) => {
                    table.defined_by = DefinedBy::DottedKey;
                }
                _ => {}
            }
            id = subtable;
        }
        Ok(id)
    }

    /// Adds an entry whose key is not in the table, as [`parent_of`](Tables::parent_of) has checked.
    pub(super) fn add(&mut self, id: TableId, key: SimpleKey<'a>, node: Node<'a>) {
        self.find_or_reserve(id, &key);
        self.push(id, key, node);
    }

    fn push(&mut self, id: TableId, key: SimpleKey<'a>, node: Node<'a>) {
        if let Some(table) = self.tables.get_mut(id) {
            table.entries.push(Entry { key: key.text, key_span: key.span, node });
        }
    }

    /// Adds a table under a key that [`find_or_reserve`](Tables::find_or_reserve) has reserved.
    fn add_table(
        &mut self,
        parent: TableId,
        key: &SimpleKey<'a>,
        node: Node<'a>,
        defined_by: DefinedBy,
    ) -> TableId {
        let id = self.tables.len();
        let Some(table) = self.tables.get_mut(parent) else { return NO_TABLE };
        let entry = table.entries.len();
        let depth = table.depth + 1;
        if table.entries.is_empty() {
            // Nested tables often have a single entry, so reserve one place and not four, the default of `Vec`.
            table.subtables.reserve_exact(1);
            table.entries.reserve_exact(1);
        }
        table.subtables.push((entry, id));
        let key = SimpleKey { text: key.text.clone(), span: key.span.clone() };
        self.push(parent, key, node);
        self.tables.push(Table::new(
            defined_by,
            Destination { table: parent, entry, item: 0 },
            depth,
        ));
        id
    }

    /// Begins an inline table. It has no destination: [`finish`](Tables::finish) returns its entries.
    pub(super) fn begin(&mut self, depth: usize) -> TableId {
        let destination = Destination { table: NO_TABLE, entry: 0, item: 0 };
        self.tables.push(Table::new(DefinedBy::Explicit, destination, depth));
        self.tables.len() - 1
    }

    /// Removes a table and returns its entries, complete with all subtables. These are the tables after it.
    pub(super) fn finish(&mut self, id: TableId) -> Vec<Entry<'a>> {
        while self.tables.len() > id + 1 {
            let Some(Table { destination, entries, .. }) = self.tables.pop() else { break };
            let Some(entry) = self.entry_mut(destination.table, destination.entry) else {
                continue;
            };
            match &mut entry.node.value {
                Value::Array(items) => {
                    if let Some(item) = items.get_mut(destination.item) {
                        item.value = Value::Table(entries);
                    }
                }
                value => *value = Value::Table(entries),
            }
        }
        self.tables.pop().map(|table| table.entries).unwrap_or_default()
    }

    /// Returns the index of the entry with this key. If there is none, reserves the key for the next entry, which
    /// the caller must add.
    fn find_or_reserve(&mut self, id: TableId, key: &SimpleKey<'a>) -> Option<usize> {
        let table = self.tables.get_mut(id)?;
        let next = table.entries.len();
        if let Some(by_key) = &mut table.by_key {
            let index = *by_key.entry(key.text.clone()).or_insert(next);
            return (index < next).then_some(index);
        }
        let found = table.entries.iter().position(|entry| entry.key == key.text);
        if found.is_none() && next >= LINEAR_SEARCH_MAX {
            let keys = table.entries.iter().map(|entry| &entry.key);
            let keys = keys.chain([&key.text]).cloned().zip(0..);
            table.by_key = Some(Box::new(keys.collect()));
        }
        found
    }

    fn find(&self, id: TableId, key: &str) -> Option<usize> {
        let table = self.tables.get(id)?;
        match &table.by_key {
            Some(by_key) => by_key.get(key).copied(),
            None => table.entries.iter().position(|entry| entry.key == key),
        }
    }

    fn entry(&self, id: TableId, index: usize) -> Option<&Entry<'a>> {
        self.tables.get(id)?.entries.get(index)
    }

    fn entry_mut(&mut self, id: TableId, index: usize) -> Option<&mut Entry<'a>> {
        self.tables.get_mut(id)?.entries.get_mut(index)
    }

    fn subtable(&self, id: TableId, entry: usize) -> Option<TableId> {
        let subtables = &self.tables.get(id)?.subtables;
        let at = subtables.binary_search_by_key(&entry, |(entry, _)| *entry).ok()?;
        subtables.get(at).map(|(_, id)| *id)
    }

    fn set_subtable(&mut self, id: TableId, entry: usize, subtable: TableId) {
        let Some(Table { subtables, .. }) = self.tables.get_mut(id) else { return };
        let at = subtables.binary_search_by_key(&entry, |(entry, _)| *entry);
        if let Some(pair) = at.ok().and_then(|at| subtables.get_mut(at)) {
            pair.1 = subtable;
        }
    }
}

impl<'a> Table<'a> {
    fn new(defined_by: DefinedBy, destination: Destination, depth: usize) -> Table<'a> {
        Table {
            entries: Vec::new(),
            subtables: Vec::new(),
            by_key: None,
            defined_by,
            destination,
            depth,
        }
    }
}

fn empty_table<'a>(span: Range<usize>) -> Node<'a> {
    Node { span, value: Value::Table(Vec::new()) }
}
