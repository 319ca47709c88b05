//! Stores: on a disk, in memory, and on servers that do not answer.

use std::path::{Path, PathBuf};

use stagegate::rollout::{Store, StoreError};
use stagegate::store::{Archive, Directory, Etcd, Memory, SystemFiles, conformance, copy};

use crate::calls::Calls;
use crate::values::{DURATIONS, NUMBERS, texts};

pub(crate) fn call(calls: &mut Calls) {
    for text in texts() {
        errors(calls, &text);
        for below in [scratch("store").join(&text), PathBuf::from(&text).join("\0")] {
            directory(calls, &below);
        }
        etcd(calls, &text);
    }
    servers(calls);
    let _ = std::fs::remove_dir_all(scratch("store"));
    let mut store = calls.call("Memory::new", Memory::new).unwrap();
    operations(&mut store);
    for number in NUMBERS {
        let mut store = Memory::new();
        drop(store.begin_segment(number, b"x\n"));
        operations(&mut store);
        let place = scratch("segment");
        let mut store = Directory::create(&place).unwrap();
        drop(store.begin_segment(number, b"x\n"));
        operations(&mut store);
        std::fs::remove_dir_all(place).unwrap();
    }
    calls.call("copy", || copy(&mut Memory::new(), &mut Memory::new(), None).is_ok());
    calls.call("check", || conformance::check(&mut Memory::new(), &mut Memory::new()));
    let place = scratch("directory");
    let mut store = Directory::create(&place).unwrap();
    operations(&mut store);
    drop(store);
    std::fs::remove_dir_all(place).unwrap();
}

/// Returns a path that only this process uses.
pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("stagegate-extremes-{name}-{}", std::process::id()))
}

fn directory(calls: &mut Calls, path: &Path) {
    let archive = calls.call("Archive::new", || Archive::new(path)).unwrap();
    calls.call("Archive::take_from", || archive.take_from(&mut Memory::new()).is_ok());
    calls.call("Archive::with", || archive.with(Memory::new()).read(1).is_ok());
    calls.call("Directory::create", || Directory::create(path).map(drop));
    calls.call("Directory::create_with", || Directory::create_with(path, SystemFiles).map(drop));
    calls.call("Directory::open", || Directory::open(path).map(drop));
    calls.call("Directory::open_with", || Directory::open_with(path, SystemFiles).map(drop));
    calls.call("Directory::leader_lease", || {
        Directory::open(path).and_then(|mut store| store.leader_lease()).map(drop)
    });
    calls.call("Directory::read_only", || Directory::read_only(path).map(drop));
}

fn operations(store: &mut dyn Store) {
    for number in NUMBERS {
        drop(store.read(number));
        drop(store.segment_of(number));
        for text in texts() {
            drop(store.append(number, text.as_bytes()));
            drop(store.begin_segment(number, text.as_bytes()));
        }
        drop(store.remove_segments_before(number));
    }
    for text in texts().iter().filter(|text| !text.contains(['.', '/'])) {
        drop(store.keep(text, text.as_bytes()));
        drop(store.document(text));
    }
    drop((store.notices(), store.label(), store.watcher().is_some()));
}

fn etcd(calls: &mut Calls, text: &str) {
    calls.call("Etcd::new", || Etcd::new([text], text).map(drop));
    let made = calls.call("Etcd::new", || Etcd::new(["http://127.0.0.1:9"], text)).unwrap();
    let Ok(store) = made else { return };
    let mut store = calls.call("Etcd::with_user", || store.with_user(text, text)).unwrap();
    for time in DURATIONS {
        let lead = calls.call("Etcd::leader_lease", || store.leader_lease(time)).unwrap();
        drop(format!("{lead:?}"));
    }
    for number in NUMBERS {
        drop(store.read(number));
    }
    drop((store.keep(text, b""), store.document(text), store.label()));
}

/// Uses servers that hang up after an answer with extreme numbers. The value is `1` in Base64.
fn servers(calls: &mut Calls) {
    for number in NUMBERS {
        let kv = format!(
            r#"{{"value": "MQ==", "mod_revision": "{number}", "version": "{number}", "lease": "{number}"}}"#
        );
        let body = format!(
            r#"{{"header": {{"revision": "{number}"}}, "ID": "{number}", "TTL": "{number}", "succeeded": true,
                "responses": [{{"response_range": {{"kvs": [{kv}], "more": true}}}}]}}"#
        );
        let server = crate::integrate::server(&body);
        let new = || Etcd::new([server.as_str()], "shop").unwrap();
        for time in DURATIONS {
            for beyond in [0, u64::MAX] {
                let watch = || new().watcher().unwrap().wait(beyond, time).is_ok();
                calls.call("Etcd::new", watch);
            }
            calls.call("Etcd::leader_lease", || new().leader_lease(time).acquire().is_ok());
        }
        for line in NUMBERS {
            calls.call("Etcd::new", || {
                (new().read(line).is_ok(), new().append(line, b"{}\n").is_ok())
            });
        }
        calls.call("Etcd::new", || (new().document("0").is_ok(), new().keep("0", b"x").is_ok()));
    }
}

fn errors(calls: &mut Calls, text: &str) {
    let error = calls.call("StoreError::conflict", || StoreError::conflict(text)).unwrap();
    calls.call("StoreError::locked", || StoreError::locked(text));
    calls.call("StoreError::missing", || StoreError::missing(text));
    calls.call("StoreError::read_only", || StoreError::read_only(text));
    calls.call("StoreError::damaged", || StoreError::damaged(text));
    calls.call("StoreError::io", || StoreError::io(text));
    calls.call("StoreError::refused", || StoreError::refused(text));
    calls.call("StoreError::is_refused", || error.is_refused());
    calls.call("StoreError::is_conflict", || error.is_conflict());
    calls.call("StoreError::is_locked", || error.is_locked());
    calls.call("StoreError::is_missing", || error.is_missing());
    calls.call("StoreError::is_read_only", || error.is_read_only());
    calls.call("StoreError::is_damaged", || error.is_damaged());
}
