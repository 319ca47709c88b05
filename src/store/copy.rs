//! Copying a rollout from one store to another: for backups, and to move between a directory and etcd.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::rollout::{Fact, Hash, Journal, Record, Store, StoreError, lines};

/// Copies the documents and the journal of one store to another, up to the last record at this moment or before. Returns
/// the number of the last copied record, and the number of the last record of `from`.
///
/// `to` is empty, or has the beginning of the same journal, as an earlier backup has. Then only the rest is copied. Every
/// record and document is checked first. If copying fails half-way, a second call completes it.
///
/// # Errors
///
/// Returns a [`StoreError`] if `from` is damaged, `to` has other records, there is no record up to that moment, or a
/// store fails.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::{self, Memory};
///
/// let (mut shop, mut backup) = (Memory::new(), Memory::new());
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
/// let rollout = Rollout::start(shop.clone(), clock.clone(), document, "ana")?;
/// assert_eq!(store::copy(&mut shop, &mut backup, None)?, (1, 1));
///
/// rollout.by("ana").roll_back("a", "slow")?;
/// assert_eq!(store::copy(&mut shop, &mut backup, None)?, (2, 2));
/// let again = Rollout::open(backup, clock)?;
/// assert_eq!(again.status().head, rollout.status().head);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn copy(
    from: &mut dyn Store,
    to: &mut dyn Store,
    until: Option<SystemTime>,
) -> Result<(u64, u64), StoreError> {
    let mut known = None;
    read(to, |record, _| {
        known = Some((record.seq, record.hash));
        Ok(())
    })?;
    let (mut last, mut records, mut documents) = (0, 0, Vec::new());
    let mut is_same = known.is_none();
    read(from, |record, _| {
        records = record.seq;
        is_same |= known == Some((record.seq, record.hash));
        for hash in record.documents() {
            if documents.last().is_none_or(|(_, known)| *known != hash) {
                documents.push((record.seq, hash));
            }
        }
        if until.is_none_or(|until| record.at <= until) {
            last = record.seq;
        }
        Ok(())
    })?;
    let from_label = from.label();
    if last == 0 {
        return Err(StoreError::missing(match records {
            0 => format!("`{from_label}` has no rollout"),
            _ => format!("the rollout in `{from_label}` began later"),
        }));
    }
    if !is_same {
        return Err(StoreError::conflict(format!(
            "`{}` has records that `{from_label}` does not have. Choose another place",
            to.label(),
        )));
    }
    let is_new = |number: u64| number <= last && known.is_none_or(|(known, _)| number > known);
    documents.retain(|(number, _)| is_new(*number));
    for hash in documents.into_iter().map(|(_, hash)| hash).collect::<BTreeSet<Hash>>() {
        copy_document(from, to, hash)?;
    }
    read(from, |record, line| match record.fact {
        _ if !is_new(record.seq) => Ok(()),
        Fact::Continued { .. } => to.begin_segment(record.seq, line),
        _ => to.append(record.seq, line),
    })?;
    Ok((last, records))
}

fn copy_document(from: &mut dyn Store, to: &mut dyn Store, hash: Hash) -> Result<(), StoreError> {
    let name = hash.to_string();
    let document = from.document(&name)?;
    match Hash::of(&document) == hash {
        true => to.keep(&name, &document),
        false => Err(StoreError::damaged(format!(
            "document {name}: its content does not match its hash"
        ))),
    }
}

/// Reads and checks every record that a store has, with its line.
fn read(
    store: &mut dyn Store,
    mut each: impl FnMut(&Record, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut journal = Journal::starting_at(store.segment_of(1)?);
    loop {
        let some = store.read(journal.head().0.saturating_add(1))?;
        if some.is_empty() {
            return Ok(());
        }
        for line in lines(&some) {
            let record = journal.read(line).map_err(|damage| {
                StoreError::damaged(format!("line {}: {}", damage.line, damage.what))
            })?;
            each(&record, &[line, b"\n"].concat())?;
        }
    }
}
