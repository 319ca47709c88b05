//! The process that holds a file's lock, for an error. Linux lists it.

use std::fs;
use std::path::{Path, PathBuf};

/// Says which process holds the lock of a file, what it does, and how to get on.
pub(super) fn describe(id: (u64, u64)) -> String {
    // Other systems have no such file.
    let locks = fs::read("/proc/locks").unwrap_or_default();
    let locks = String::from_utf8_lossy(&locks);
    let Some(holder) = Holder::find(&locks, id) else { return describe_unknown() };
    let own = fs::read_link("/proc/self").unwrap_or_default();
    if own == Path::new(&holder.process.to_string()) {
        return "this process: another of its handles stands still. If that does not end, restart this process"
            .to_owned();
    }
    let directory = PathBuf::from(format!("/proc/{}", holder.process));
    if !directory.is_dir() {
        // The process that took the lock has ended, and a process that it had started has the file open.
        return describe_unknown();
    }
    let command = fs::read(directory.join("comm")).unwrap_or_default();
    let command = String::from_utf8_lossy(command.trim_ascii_end());
    let command = match &*command {
        "" => String::new(),
        command => format!(" (`{}`)", command.escape_debug()),
    };
    let Holder { process, writes } = holder;
    let action = if writes { "writes" } else { "reads" };
    format!("process {process}{command}, which stands still while it {action}: {REMEDY}")
}

/// Says the same of a process that the system does not name, as in another container.
pub(super) fn describe_unknown() -> String {
    format!("another process, which stands still while it writes: {REMEDY}")
}

const REMEDY: &str = "end that process, or let it go on";

/// A process that holds a lock.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    process: u32,
    /// Whether the lock is exclusive.
    writes: bool,
}

impl Holder {
    /// Finds the file with this device and inode in the text of `/proc/locks`:
    ///
    /// ```text
    /// 1: FLOCK  ADVISORY  WRITE 4711 08:01:123456 0 EOF
    /// ```
    fn find(locks: &str, (device, inode): (u64, u64)) -> Option<Holder> {
        let (major, minor) = numbers_of(device);
        let file = format!("{major:02x}:{minor:02x}:{inode}");
        locks.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            // A waiting process has `->` before the kind.
            (fields.next()? == "FLOCK").then_some(())?;
            let writes = fields.nth(1)? == "WRITE";
            // A process of another container has no number here, or 0 or -1.
            let process = fields.next()?.parse().ok().filter(|process| *process > 0)?;
            (fields.next()? == file).then_some(Holder { process, writes })
        })
    }
}

/// Splits a device as Linux's `makedev` joins it.
fn numbers_of(device: u64) -> (u64, u64) {
    let major = (device >> 8 & 0xfff) | (device >> 32 & !0xfff);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    (major, minor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Holder;

    const ID: (u64, u64) = (0x801, 123_456);

    fn find(locks: &str) -> Option<(u32, bool)> {
        Holder::find(locks, ID).map(|holder| (holder.process, holder.writes))
    }

    #[test]
    fn the_holder_is_found_among_other_locks() {
        let others = "1: POSIX  ADVISORY  WRITE 7 08:01:123456 0 EOF\n\
                      2: FLOCK  ADVISORY  WRITE 8 08:01:12345 0 EOF\n\
                      3: OFDLCK ADVISORY  READ -1 08:01:123456 0 EOF\n\
                      4: FLOCK  ADVISORY  WRITE 9 00:2f:123456 0 EOF\n\
                      5: -> FLOCK  ADVISORY  WRITE 10 08:01:123456 0 EOF\n";
        assert_eq!(find(others), None);
        let ours = format!("{others}6: FLOCK  ADVISORY  WRITE 4711 08:01:123456 0 EOF\n");
        assert_eq!(find(&ours), Some((4711, true)));
        assert_eq!(find(&ours.replace("WRITE 4711", "READ  4711")), Some((4711, false)));
        for unknown in ["0", "-1", "+", "4294967296", ""] {
            assert_eq!(find(&ours.replace("4711", unknown)), None, "{unknown}");
        }
        let large = Holder::find("1: FLOCK ADVISORY WRITE 5 103:12345:9 0 EOF", (0x1231_0345, 9));
        assert_eq!(large.map(|holder| holder.process), Some(5));
    }

    proptest! {
        #[test]
        fn any_text_is_tolerated(text in "([0-9]{1,2}: |-> |FLOCK |ADVISORY |WRITE |[-0-9]{1,12} |08:01:123456 |\n|.){0,40}") {
            let _ = find(&text);
        }
    }
}
