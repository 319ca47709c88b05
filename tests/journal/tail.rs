//! A journal that ends in the middle of a line, as a crash leaves it.

use stagegate::rollout::{Rollout, Store};

use super::golden::run_story;
use super::story::{begin, clock};

/// The journal is cut at every byte. It opens with the whole lines before the cut, the incomplete line is kept in
/// another file, and the journal continues from there.
#[test]
fn an_incomplete_last_record_is_moved_to_another_file() {
    let (whole, _) = run_story();
    let journal = whole.journal();
    for cut in 0..journal.len() {
        let disk = whole.copy();
        disk.set_journal(&journal[..cut]);
        let lines = journal[..cut].iter().filter(|byte| **byte == b'\n').count();
        let kept = journal[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let torn = &journal[kept..cut];

        let store = disk.open().unwrap();
        assert_eq!(disk.journal(), journal[..kept], "cut at {cut}");
        let copy = disk.file(&format!("store/journal.torn-{}", lines + 1));
        assert_eq!(copy.unwrap_or_default(), torn);
        match store.notices().as_slice() {
            [] => assert!(torn.is_empty()),
            [notice] => assert_eq!(
                *notice,
                format!(
                    "the last {} bytes of `store/journal.jsonl` were an incomplete record, as \
                     after a crash. They were moved to `journal.torn-{}`; {lines} complete records remain",
                    torn.len(),
                    lines + 1
                )
            ),
            notices => panic!("{notices:?}"),
        }
        drop(store);
        // A second open repairs nothing.
        let files = disk.files();
        let store = disk.open().unwrap();
        assert!(store.notices().is_empty());
        assert_eq!(disk.files(), files);
        if lines == 0 {
            let error = Rollout::open(store, clock()).unwrap_err();
            assert!(error.to_string().starts_with("store: there is no rollout yet"), "{error}");
            // A new rollout can be started.
            begin(disk.create().unwrap(), &clock()).unwrap();
            continue;
        }
        // Continuing does not depend on the position within a line, so test it for some positions only.
        if cut % 16 != 0 && !torn.is_empty() {
            continue;
        }
        let rollout = Rollout::open(store, clock()).unwrap();
        assert_eq!(rollout.status().head.0, lines as u64);
        rollout.by("ana").roll_back("search", "after the crash").unwrap();
        rollout.by("ana").report("other", "critical_bug", None).unwrap();
        let head = rollout.status().head;
        assert!(head.0 > lines as u64);
        drop(rollout);
        assert_eq!(Rollout::open(disk.open().unwrap(), clock()).unwrap().status().head, head);
    }
}

/// After a crash, a file system may have extended the file without writing its content.
#[test]
fn an_end_of_zeros_is_cut_off() {
    let (disk, _) = run_story();
    let journal = disk.journal();
    for zeros in [1, 511, 4096] {
        disk.set_journal(&[&journal[..], &vec![0; zeros]].concat());
        let store = disk.open().unwrap();
        assert_eq!(store.notices().len(), 1);
        assert_eq!(disk.journal(), journal);
    }
}

/// A read-only store sees whole lines and changes nothing while another process is writing.
#[test]
fn a_read_only_store_shows_whole_lines_and_changes_nothing() {
    let path = std::env::temp_dir().join(format!("stagegate-looking-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let store = stagegate::store::Directory::create(&path).unwrap();
    let rollout = begin(store, &clock()).unwrap();
    rollout.by("ana").promote("search").unwrap();
    let file = path.join("journal.jsonl");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"seq\":3,\"at\":");
    std::fs::write(&file, &bytes).unwrap();

    let looking = stagegate::store::Directory::read_only(&path).unwrap();
    let seen = Rollout::open(looking, clock()).unwrap();
    assert_eq!(seen.status().head.0, 2);
    assert!(seen.status().notices.is_empty());
    let error = seen.by("ben").promote("other").unwrap_err();
    assert!(error.store_error().unwrap().is_read_only());
    assert!(error.to_string().ends_with("was opened read-only"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::remove_dir_all(&path).unwrap();
}
