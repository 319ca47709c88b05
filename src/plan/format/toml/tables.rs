//! The tables of a document while it is read: which key stands where, and what may still be added.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::mistake::Mistake;
use crate::plan::limits::MAX_DEPTH;
use crate::plan::node::{Entry, Node, Value};

/// One key of a dotted key.
pub(super) struct Key<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) span: Range<usize>,
}

/// A table, by its index in [`Tables`].
pub(super) type Id = usize;

/// The table that a header of which nothing can be made stands for: no table has it as its place.
const NOWHERE: Id = usize::MAX;

/// Tables in the order they begin, so each after the one it stands in; the first is the document.
///
/// A table that nothing can be added to any more is none of these but a value.
pub(super) struct Tables<'a> {
    tables: Vec<Table<'a>>,
}

struct Table<'a> {
    entries: Vec<Entry<'a>>,
    /// Index of an entry, and the table it is or ends with; ascending, as entries are only added.
    inner: Vec<(usize, Id)>,
    /// Indexes of entries by key, from [`FEW`] entries on.
    #[expect(clippy::box_collection, reason = "nearly every table is small and has none")]
    by_key: Option<Box<HashMap<Cow<'a, str>, usize>>>,
    made: Made,
    place: Place,
    /// Tables and arrays it stands in.
    depth: usize,
}

/// Where a table goes when it is complete.
#[derive(Clone, Copy)]
struct Place {
    table: Id,
    entry: usize,
    /// The item of the array that the entry is.
    item: usize,
}

/// What a table was made by, which decides what may add to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// Its header, its braces, or the document itself: complete but for tables inside it.
    Named,
    /// A header with two brackets: an item of an array.
    Item,
    /// The header of a table inside it: its own may follow.
    Above,
    /// A dotted key: more of those may follow.
    Dotted,
}

/// Entries that are faster looked at one by one than hashed. Few in tests, where tables are small.
const FEW: usize = if cfg!(test) { 2 } else { 16 };

impl<'a> Tables<'a> {
    pub(super) fn new() -> Tables<'a> {
        let place = Place { table: NOWHERE, entry: 0, item: 0 };
        Tables { tables: vec![Table::new(Made::Named, place, 0)] }
    }

    pub(super) fn depth(&self, id: Id) -> usize {
        self.tables.get(id).map_or(0, |table| table.depth)
    }

    /// The table that a header begins, or why it cannot.
    pub(super) fn header(
        &mut self,
        path: &[Key<'a>],
        span: Range<usize>,
        is_item: bool,
    ) -> Result<Id, (Mistake, Option<Id>)> {
        let refused = |mistake| (mistake, None);
        let Some((key, above)) = path.split_last() else { return Ok(NOWHERE) };
        self.check_depth(0, path).map_err(refused)?;
        let parent = self.descend(0, above, Made::Above).map_err(refused)?;
        let made = if is_item { Made::Item } else { Made::Named };
        let Some(entry) = self.claim(parent, key) else {
            let value = match made {
                Made::Item => Value::Array(vec![empty_table(span.clone())]),
                _ => Value::Table(Vec::new()),
            };
            return Ok(self.add_table(parent, key, Node { span, value }, made));
        };
        self.reopen(parent, entry, key, span, made)
    }

    /// The same where the key stands already: an array of tables gets one more, a table that was
    /// only made for one inside it becomes itself.
    fn reopen(
        &mut self,
        parent: Id,
        index: usize,
        key: &Key<'a>,
        span: Range<usize>,
        made: Made,
    ) -> Result<Id, (Mistake, Option<Id>)> {
        let next = self.tables.len();
        let inner = self.inner(parent, index);
        let inner_made = inner.and_then(|id| self.tables.get(id)).map(|table| table.made);
        let depth = self.depth(parent) + 1;
        let Some(entry) = self.entry_mut(parent, index) else { return Ok(NOWHERE) };
        let mut place = Place { table: parent, entry: index, item: 0 };
        match (&mut entry.node.value, made, inner_made) {
            (Value::Array(items), Made::Item, Some(_)) => {
                place.item = items.len();
                items.push(empty_table(span));
            }
            (Value::Table(_), Made::Named, Some(Made::Above)) => {
                entry.key_span = key.span.clone();
                entry.node.span = span;
                if let Some(table) = inner.and_then(|id| self.tables.get_mut(id)) {
                    table.made = Made::Named;
                }
                return Ok(inner.unwrap_or(NOWHERE));
            }
            _ => {
                // What follows is compared with itself only: told is told.
                let mistake = Mistake::twice(key.span.clone(), entry.key_span.start);
                place.table = NOWHERE;
                self.tables.push(Table::new(Made::Named, place, depth));
                self.set_inner(parent, index, next);
                return Err((mistake, Some(next)));
            }
        }
        self.tables.push(Table::new(made, place, depth));
        self.set_inner(parent, index, next);
        Ok(next)
    }

    /// The table that the last key of a dotted key belongs to, in which it does not stand yet.
    pub(super) fn parent_of(&mut self, from: Id, path: &[Key<'a>]) -> Result<Id, Mistake> {
        let Some((key, above)) = path.split_last() else { return Ok(NOWHERE) };
        self.check_depth(from, path)?;
        let parent = self.descend(from, above, Made::Dotted)?;
        match self.find(parent, &key.text).and_then(|index| self.entry(parent, index)) {
            Some(first) => Err(Mistake::twice(key.span.clone(), first.key_span.start)),
            None => Ok(parent),
        }
    }

    fn check_depth(&self, from: Id, path: &[Key<'a>]) -> Result<(), Mistake> {
        match path.get(MAX_DEPTH - self.depth(from).min(MAX_DEPTH)) {
            Some(key) => Err(Mistake::too_deep(key.span.clone())),
            None => Ok(()),
        }
    }

    /// The table at the end of the path, with what is not there made.
    fn descend(&mut self, from: Id, path: &[Key<'a>], made: Made) -> Result<Id, Mistake> {
        let mut id = from;
        for (index, key) in path.iter().enumerate() {
            let Some(entry) = self.claim(id, key) else {
                let node = empty_table(key.span.clone());
                id = self.add_table(id, key, node, made);
                continue;
            };
            let parent = id;
            let Some(first) = self.entry(parent, entry) else { return Ok(NOWHERE) };
            let Some(inner) = self.inner(parent, entry) else {
                return Err(Mistake::no_table(key.span.clone(), first));
            };
            let is_last = index + 1 == path.len();
            let at = first.key_span.start;
            let Some(table) = self.tables.get_mut(inner) else { return Ok(NOWHERE) };
            match (made, table.made) {
                (Made::Dotted, Made::Named) => return Err(Mistake::twice(key.span.clone(), at)),
                // The `toml` crate takes a dotted key through the last item of an array.
                (Made::Dotted, Made::Item) if is_last => {
                    return Err(Mistake::twice(key.span.clone(), at));
                }
                (Made::Dotted, Made::Above) => table.made = Made::Dotted,
                _ => {}
            }
            id = inner;
        }
        Ok(id)
    }

    /// Adds an entry whose key [is not there](Tables::parent_of).
    pub(super) fn add(&mut self, id: Id, key: Key<'a>, node: Node<'a>) {
        self.claim(id, &key);
        self.push(id, key, node);
    }

    fn push(&mut self, id: Id, key: Key<'a>, node: Node<'a>) {
        if let Some(table) = self.tables.get_mut(id) {
            table.entries.push(Entry { key: key.text, key_span: key.span, node });
        }
    }

    /// Makes a table of which the key [is claimed](Tables::claim).
    fn add_table(&mut self, parent: Id, key: &Key<'a>, node: Node<'a>, made: Made) -> Id {
        let id = self.tables.len();
        let Some(table) = self.tables.get_mut(parent) else { return NOWHERE };
        let entry = table.entries.len();
        let depth = table.depth + 1;
        if table.entries.is_empty() {
            // Often one in one in one, by a single key: not room for four at each.
            table.inner.reserve_exact(1);
            table.entries.reserve_exact(1);
        }
        table.inner.push((entry, id));
        let key = Key { text: key.text.clone(), span: key.span.clone() };
        self.push(parent, key, node);
        self.tables.push(Table::new(made, Place { table: parent, entry, item: 0 }, depth));
        id
    }

    /// Begins a table in braces; the value it is stands nowhere before it is complete.
    pub(super) fn begin(&mut self, depth: usize) -> Id {
        let place = Place { table: NOWHERE, entry: 0, item: 0 };
        self.tables.push(Table::new(Made::Named, place, depth));
        self.tables.len() - 1
    }

    /// Takes the table with all tables in it, which are those after it.
    pub(super) fn finish(&mut self, id: Id) -> Vec<Entry<'a>> {
        while self.tables.len() > id + 1 {
            let Some(Table { place, entries, .. }) = self.tables.pop() else { break };
            let Some(entry) = self.entry_mut(place.table, place.entry) else { continue };
            match &mut entry.node.value {
                Value::Array(items) => {
                    if let Some(item) = items.get_mut(place.item) {
                        item.value = Value::Table(entries);
                    }
                }
                value => *value = Value::Table(entries),
            }
        }
        self.tables.pop().map(|table| table.entries).unwrap_or_default()
    }

    /// As [`find`](Tables::find); where there is no such entry, the next one has to be it.
    fn claim(&mut self, id: Id, key: &Key<'a>) -> Option<usize> {
        let table = self.tables.get_mut(id)?;
        let next = table.entries.len();
        if let Some(by_key) = &mut table.by_key {
            let index = *by_key.entry(key.text.clone()).or_insert(next);
            return (index < next).then_some(index);
        }
        let found = table.entries.iter().position(|entry| entry.key == key.text);
        if found.is_none() && next >= FEW {
            let keys = table.entries.iter().map(|entry| &entry.key);
            let keys = keys.chain([&key.text]).cloned().zip(0..);
            table.by_key = Some(Box::new(keys.collect()));
        }
        found
    }

    fn find(&self, id: Id, key: &str) -> Option<usize> {
        let table = self.tables.get(id)?;
        match &table.by_key {
            Some(by_key) => by_key.get(key).copied(),
            None => table.entries.iter().position(|entry| entry.key == key),
        }
    }

    fn entry(&self, id: Id, index: usize) -> Option<&Entry<'a>> {
        self.tables.get(id)?.entries.get(index)
    }

    fn entry_mut(&mut self, id: Id, index: usize) -> Option<&mut Entry<'a>> {
        self.tables.get_mut(id)?.entries.get_mut(index)
    }

    fn inner(&self, id: Id, entry: usize) -> Option<Id> {
        let inner = &self.tables.get(id)?.inner;
        let at = inner.binary_search_by_key(&entry, |(entry, _)| *entry).ok()?;
        inner.get(at).map(|(_, id)| *id)
    }

    fn set_inner(&mut self, id: Id, entry: usize, inner_id: Id) {
        let Some(Table { inner, .. }) = self.tables.get_mut(id) else { return };
        let at = inner.binary_search_by_key(&entry, |(entry, _)| *entry);
        if let Some(pair) = at.ok().and_then(|at| inner.get_mut(at)) {
            pair.1 = inner_id;
        }
    }
}

impl<'a> Table<'a> {
    fn new(made: Made, place: Place, depth: usize) -> Table<'a> {
        Table { entries: Vec::new(), inner: Vec::new(), by_key: None, made, place, depth }
    }
}

fn empty_table<'a>(span: Range<usize>) -> Node<'a> {
    Node { span, value: Value::Table(Vec::new()) }
}
