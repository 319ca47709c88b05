//! The last known good document.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::source::{File, FollowOptions, Follower, Freshness, WithoutDocument};

use crate::world::{Log, Scratch, number_of, plan};

struct World {
    scratch: Scratch,
    clock: ManualClock,
    log: Log,
}

impl World {
    fn new() -> World {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000));
        World { scratch: Scratch::new(), clock, log: Log::default() }
    }

    fn source(&self) -> File {
        File::new(self.scratch.path("rollout.toml")).settle(Duration::from_micros(100))
    }

    fn options(&self) -> FollowOptions {
        let kept = self.scratch.path("rollout.last");
        self.log.options().clock(self.clock.clone()).by_hand().last_known_good(kept)
    }
}

#[test]
fn a_restart_without_the_file_uses_the_last_known_good() {
    let world = World::new();
    let (path, kept) = (world.scratch.path("rollout.toml"), world.scratch.path("rollout.last"));
    fs::write(&path, plan(0)).unwrap();
    let (_, follower) = Follower::start(world.source(), world.options()).unwrap();
    fs::write(&path, plan(1)).unwrap();
    follower.refresh_now().unwrap();
    // A refused document is never kept.
    fs::write(&path, "schema = 2\n").unwrap();
    follower.refresh_now().unwrap_err();
    drop(follower);
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&path).unwrap();

    world.clock.advance(Duration::from_secs(3600));
    let (gate, follower) = Follower::start(world.source(), world.options()).unwrap();
    let status = follower.status();
    assert_eq!((number_of(&gate), status.freshness), (1, Freshness::Stale));
    assert_eq!((status.age, status.version), (Some(Duration::from_secs(3600)), 1));
    assert!(status.last_error.unwrap().is_unreachable());
    assert!(!follower.wait_ready(Duration::ZERO));
    assert_eq!(world.log.lines().last().unwrap(), "from the last known good, 3600s old");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(follower.status().age, Some(Duration::from_secs(3660)));

    // When the same document is back, it is not a new version.
    fs::write(&path, plan(1)).unwrap();
    follower.refresh_now().unwrap();
    assert_eq!((follower.status().freshness, gate.version()), (Freshness::Ready, 1));
    assert_eq!(follower.status().age, Some(Duration::ZERO));
    fs::write(&path, plan(2)).unwrap();
    follower.refresh_now().unwrap();
    assert_eq!((number_of(&gate), gate.version()), (2, 2));
}

#[test]
fn an_invalid_file_at_the_start_counts_as_missing() {
    let world = World::new();
    let path = world.scratch.path("rollout.toml");
    fs::write(&path, plan(0)).unwrap();
    drop(Follower::start(world.source(), world.options()).unwrap());
    fs::write(&path, "schema = 2\n").unwrap();
    let (gate, follower) = Follower::start(world.source(), world.options()).unwrap();
    assert_eq!((number_of(&gate), follower.status().freshness), (0, Freshness::Stale));
}

#[test]
fn the_last_known_good_contains_the_users_files() {
    let world = World::new();
    let text = "schema = 1\n[groups.team]\nusers_file = \"team.txt\"\n[flags.a]\nstage = \"s\"\n\
                stages = [{ name = \"s\", groups = [\"team\"] }]\n";
    fs::write(world.scratch.path("rollout.toml"), text).unwrap();
    fs::write(world.scratch.path("team.txt"), "ana\n").unwrap();
    drop(Follower::start(world.source(), world.options()).unwrap());
    fs::remove_file(world.scratch.path("rollout.toml")).unwrap();
    fs::remove_file(world.scratch.path("team.txt")).unwrap();
    let (gate, _follower) = Follower::start(world.source(), world.options()).unwrap();
    assert!(gate.is_enabled("ana", "a"));
}

#[test]
fn a_damaged_last_known_good_is_ignored() {
    let world = World::new();
    let (path, kept) = (world.scratch.path("rollout.toml"), world.scratch.path("rollout.last"));
    fs::write(&path, plan(0)).unwrap();
    drop(Follower::start(world.source(), world.options()).unwrap());
    fs::remove_file(&path).unwrap();
    let whole = fs::read(&kept).unwrap();
    let start = || Follower::start(world.source(), world.options()).map(|_| ());
    let ignored = |bytes: &[u8]| {
        fs::write(&kept, bytes).unwrap();
        let text = start().unwrap_err().to_string();
        text.split_once("\nand ").unwrap().1.to_owned()
    };
    let say = |wrong: &str| format!("the last known good `{}` is ignored: {wrong}", kept.display());
    for cut in 0..whole.len() {
        assert!(ignored(&whole[..cut]).starts_with(&say("it")));
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        assert!(ignored(&bytes).starts_with(&say("it")), "byte {at}");
    }
    let begin = "it does not begin with `stagegate-last-known-good 1`";
    assert_eq!(ignored(b""), say(begin));
    assert_eq!(ignored(b"{}\n"), say(begin));
    let mut bytes = whole.clone();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(ignored(&bytes), say("its checksum does not match, so the file is damaged"));

    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    assert!(start().unwrap_err().to_string().ends_with(&say("it is a directory")));
    // The last known good cannot be written either. The follower still applies the document.
    fs::write(&path, plan(0)).unwrap();
    start().unwrap();
    let note = format!("note: the last known good `{}` cannot be written: ", kept.display());
    assert!(world.log.lines().last().unwrap().starts_with(&note), "{:?}", world.log.lines());
}

#[test]
fn with_nothing_all_is_off_if_that_is_wanted() {
    let world = World::new();
    let options = world.options().without_document(WithoutDocument::AllOff);
    let (gate, follower) = Follower::start(world.source(), options).unwrap();
    assert!(!gate.is_enabled("ana", "flag-0"));
    let status = follower.status();
    assert_eq!((status.freshness, status.age, status.version), (Freshness::NotReady, None, 0));
    fs::write(world.scratch.path("rollout.toml"), "schema = 1\n[flags.a]\nstage = \"ga\"\n")
        .unwrap();
    follower.refresh_now().unwrap();
    assert!(gate.is_enabled("ana", "a"));
    assert_eq!((follower.status().freshness, gate.version()), (Freshness::Ready, 1));
}

#[test]
fn a_last_known_good_that_other_users_can_change_is_neither_read_nor_written() {
    let world = World::new();
    let (path, directory) = (world.scratch.path("rollout.toml"), world.scratch.path("kept/deep"));
    let kept = directory.join("rollout.last");
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let start = || {
        let options = world.log.options().clock(world.clock.clone()).by_hand();
        Follower::start(world.source(), options.last_known_good(&kept))
    };
    fs::write(&path, plan(0)).unwrap();
    drop(start().unwrap());
    let mode = fs::metadata(&directory).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "the new directory is private");
    fs::remove_file(&path).unwrap();
    drop(start().unwrap());

    for (place, mode, right) in [(&directory, 0o777, 0o700), (&kept, 0o620, 0o600)] {
        set_mode(place, mode);
        let (shown, hint) = (
            place.display(),
            if right == 0o700 { ", or choose a directory of your own" } else { "" },
        );
        let error = start().unwrap_err().to_string();
        let expected = format!(
            "`{}` is ignored: others can write to `{shown}` (mode {mode:04o}): run `chmod {right:o} {shown}`{hint}",
            kept.display(),
        );
        assert!(error.ends_with(&expected), "{error}\nis not\n{expected}");
        set_mode(place, right);
        drop(start().unwrap());
    }

    // A link may lead to another user's file.
    let elsewhere = world.scratch.path("elsewhere");
    fs::rename(&kept, &elsewhere).unwrap();
    symlink(&elsewhere, &kept).unwrap();
    let error = start().unwrap_err().to_string();
    assert!(error.ends_with("is ignored: it is not a regular file"), "{error}");
    fs::remove_file(&kept).unwrap();

    set_mode(&directory, 0o1777);
    fs::write(&path, plan(1)).unwrap();
    drop(start().unwrap());
    let shown = directory.display();
    let expected = format!(
        "cannot be written: others can write to `{shown}` (mode 1777): run `chmod 700 {shown}`, or choose a directory of your own"
    );
    let lines = world.log.lines();
    assert!(lines.iter().any(|line| line.ends_with(&expected)), "{lines:?}");
    assert!(!kept.exists());
}
