//! A journal that ends in the middle of a line, as a crash leaves it.

use stagegate::rollout::{Rollout, Store};

use super::golden::told;
use super::story::{begin, clock};

/// Every place to end at: the journal opens to the whole lines before, what was cut off is kept, and
/// it goes on from there.
#[test]
fn an_end_torn_at_any_byte_is_cut_off_and_kept() {
    let (whole, _) = told();
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
                    "the last {} bytes of `store/journal.jsonl` were no whole line, as after a \
                     crash: they are in `journal.torn-{}`, and {lines} whole records are left",
                    torn.len(),
                    lines + 1
                )
            ),
            notices => panic!("{notices:?}"),
        }
        drop(store);
        // A second time there is nothing to put right.
        let files = disk.files();
        let store = disk.open().unwrap();
        assert!(store.notices().is_empty());
        assert_eq!(disk.files(), files);
        if lines == 0 {
            let error = Rollout::open(store, clock()).unwrap_err();
            assert!(error.to_string().starts_with("store: there is no rollout yet"), "{error}");
            // It can be started again.
            begin(disk.create().unwrap(), &clock()).unwrap();
            continue;
        }
        // Going on from there is the same wherever in a line the end is.
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

/// A file system may have made the file longer and not written what is in it.
#[test]
fn an_end_of_zeros_is_cut_off() {
    let (disk, _) = told();
    let journal = disk.journal();
    for zeros in [1, 511, 4096] {
        disk.set_journal(&[&journal[..], &vec![0; zeros]].concat());
        let store = disk.open().unwrap();
        assert_eq!(store.notices().len(), 1);
        assert_eq!(disk.journal(), journal);
    }
}

/// Who looks only, while another process is writing, sees whole lines and changes nothing.
#[test]
fn looking_shows_whole_lines_and_touches_nothing() {
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
    assert!(error.to_string().ends_with("was opened for looking only"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::remove_dir_all(&path).unwrap();
}
