//! A store is copied: as a backup, up to a moment, and after its earlier records were removed.

use stagegate::rollout::{Fact, Rollout, Store};
use stagegate::store::{Memory, copy};

use super::disk::Disk;
use super::story::{STEPS, begin, clock, standing, steps_with_segments};

#[test]
fn a_backup_after_every_step_is_the_same_store() {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begin(disk.create().unwrap(), &clock).unwrap();
    let (backup, mut memory) = (Disk::new(), Memory::new());
    for step in steps_with_segments() {
        step(&rollout, &clock).unwrap();
        let head = rollout.status().head;
        for to in [&mut open_or_create(&backup) as &mut dyn Store, &mut memory] {
            assert_eq!(copy(&mut disk.open().unwrap(), to, None).unwrap(), (head.0, head.0));
        }
        assert_eq!(backup.journal(), disk.journal());
    }
    let again = Rollout::open(backup.open().unwrap(), clock.clone()).unwrap();
    assert_eq!(standing(&again), standing(&rollout));
    // And from memory to a directory.
    let third = Disk::new();
    copy(&mut memory, &mut third.create().unwrap(), None).unwrap();
    assert_eq!(third.journal(), disk.journal());
}

fn open_or_create(disk: &Disk) -> stagegate::store::Directory {
    disk.open().unwrap_or_else(|_| disk.create().unwrap())
}

/// The copy has the state that the original had at that moment.
#[test]
fn a_copy_as_of_a_moment_stands_where_the_rollout_stood() {
    let (mut store, clock) = (Memory::new(), clock());
    let rollout = begin(store.clone(), &clock).unwrap();
    steps_with_segments().into_iter().for_each(|step| step(&rollout, &clock).unwrap());
    let records = rollout.records(1).unwrap();
    let mut moments: Vec<_> = records.iter().map(|record| record.at).collect();
    moments.dedup();
    assert!(moments.len() > 5);
    for moment in moments {
        let mut to = Memory::new();
        let (last, all) = copy(&mut store, &mut to, Some(moment)).unwrap();
        assert_eq!(all, rollout.status().head.0);
        let copied = Rollout::open(to, clock.clone()).unwrap();
        let past = rollout.at(moment).unwrap();
        assert_eq!(copied.status().head, (last, past.record.hash));
        for (key, state) in &past.flags {
            assert_eq!(copied.report(key).unwrap().state.signatures, state.signatures);
            assert_eq!(copied.report(key).unwrap().state.since, state.since);
        }
    }
    let before = records[0].at - std::time::Duration::from_millis(1);
    let error = copy(&mut store, &mut Memory::new(), Some(before)).unwrap_err();
    assert_eq!(error.to_string(), "the rollout in `(memory)` began later");
    let error = copy(&mut Memory::new(), &mut Memory::new(), None).unwrap_err();
    assert_eq!(error.to_string(), "`(memory)` has no rollout");
}

#[test]
fn a_store_whose_earlier_records_were_removed_is_copied_from_its_first_record() {
    let (mut store, clock) = (Memory::new(), clock());
    let rollout = begin(store.clone(), &clock).unwrap();
    STEPS[..10].iter().for_each(|step| step(&rollout, &clock).unwrap());
    let first = rollout.by("ana").begin_segment().unwrap().seq;
    rollout.by("ana").hold("search", "wait").unwrap();
    store.remove_segments_before(first).unwrap();
    let disk = Disk::new();
    copy(&mut store, &mut disk.create().unwrap(), None).unwrap();
    assert!(disk.file("store/journal.jsonl").is_none(), "the first segment is not there");
    let copied = Rollout::open(disk.open().unwrap(), clock).unwrap();
    assert_eq!(copied.first_record().unwrap(), first);
    assert_eq!(standing(&copied), standing(&rollout));
    copied.by("ana").note_restored("the shop", 13).unwrap();
    assert!(matches!(copied.records(first).unwrap().last().unwrap().fact, Fact::Restored { .. }));
}

#[test]
fn a_copy_never_mixes_two_rollouts() {
    let clock = clock();
    let (mut one, mut other) = (Memory::new(), Memory::new());
    begin(one.clone(), &clock).unwrap();
    clock.advance(std::time::Duration::from_secs(1));
    begin(other.clone(), &clock).unwrap();
    let before = other.read(1).unwrap();
    let error = copy(&mut one, &mut other, None).unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(
        error.to_string(),
        "`(memory)` has records that `(memory)` does not have. Choose another place"
    );
    assert_eq!(other.read(1).unwrap(), before);
}
