//! Stores of earlier formats.

use std::fs;
use std::path::Path;

use super::harness::{root, stagegate};

/// Copies a store of this format to a private directory.
fn copy(format: &str, to: &Path) {
    let from = root().join("tests/data/stores").join(format);
    for folder in ["", "documents"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, to.join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    #[cfg(unix)]
    for entry in [to.to_owned(), to.join("documents")] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(entry, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_store_of_format_1_is_upgraded_after_a_dry_run() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    copy("format-1", &store);
    let (at, key) = (store.display().to_string(), directory.path().join("ana.key"));
    let key = key.display().to_string();
    stagegate(&["key", "new", &key, "--name", "ana"]).ends(0);
    let run = |arguments: &[&str]| stagegate(&[arguments, &["--store", &at]].concat());
    let before = run(&["verify"]).ends(0).stdout;

    let dry = run(&["upgrade", "--dry-run", "--by", "ana"]).ends(0);
    assert_eq!(
        dry.stdout,
        "checked 60 records: format 1\n\
         would continue in format 2. Programs that do not know it would refuse the store\n"
    );
    assert_eq!(run(&["verify"]).ends(0).stdout, before);
    // A person with a key works on the old format, and learns that it has no signatures.
    let resumed = run(&["resume", "--all", "--key", &key]).ends(0);
    assert_eq!(
        resumed.stderr,
        "stagegate: no record is signed, because the journal has format 1. Run `stagegate upgrade`\n"
    );

    let upgraded = run(&["upgrade", "--by", "ana"]).ends(0).stdout;
    let (first, rest) = upgraded.split_once("continues in format 2\n").unwrap();
    assert_eq!(first, "checked 61 records: format 1\n");
    assert!(
        rest.starts_with("#62 ") && rest.ends_with(" ana: began a segment, with 1 flag\n"),
        "{rest}"
    );
    let again = run(&["upgrade", "--by", "ana", "--format", "json"]).ends(0).json();
    assert_eq!([&again["from"], &again["to"]], [2, 2]);
    assert!(again["record"].is_null());
    run(&["hold", "--all", "--reason", "wait", "--key", &key]).ends(0);
    let keys = directory.path().join("keys.txt");
    let public = stagegate(&["key", "show", &key]).ends(0).stdout;
    fs::write(&keys, public.replace(' ', " 63.. ")).unwrap();
    let verified = run(&["verify", "--keys", keys.to_str().unwrap()]).ends(0).stdout;
    assert!(verified.contains("intact: 63 records\n"), "{verified}");
    assert!(verified.contains("signed by ana: 1 record\n"), "{verified}");
}
