//! Extreme values, and the functions of the basic types: clocks, users, percentages.

use std::time::{Duration, SystemTime};

use stagegate::clock::{Boot, Clock, ManualClock, Moment, SystemClock, WallClock, monotonic};
use stagegate::{AsUser, ParsePercentError, Percent, Salt, StageName, User, UserKey};

use crate::calls::Calls;

/// Returns odd texts: empty, a blank, control characters, marks that reverse text, combined characters, a megabyte.
pub(crate) fn texts() -> Vec<String> {
    let odd = [
        "",
        " ",
        "\0",
        "\u{1b}[2J\r\n",
        "\u{202e}\u{feff}",
        "ga",
        "off",
        "-",
        "..",
        "99999999999999999999",
        "{",
        "é\u{301}",
    ];
    odd.iter()
        .map(|text| (*text).to_owned())
        .chain(["x".repeat(1 << 20), "é".repeat(1 << 16)])
        .collect()
}

pub(crate) const DURATIONS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(1),
    Duration::from_millis(u64::MAX),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

/// Returns the first and the last time that the system can represent, and some between them.
pub(crate) fn times() -> Vec<SystemTime> {
    let epoch = SystemTime::UNIX_EPOCH;
    let last = i64::MAX.unsigned_abs();
    let far = [
        1,
        1_767_603_600,
        253_402_300_800,
        300_000_000_000,
        last / 1_000_000,
        last / 2,
        last - 1,
        last,
    ];
    let after = far.iter().filter_map(|seconds| epoch.checked_add(Duration::from_secs(*seconds)));
    let before = far.iter().filter_map(|seconds| epoch.checked_sub(Duration::from_secs(*seconds)));
    [epoch].into_iter().chain(after).chain(before).collect()
}

pub(crate) const NUMBERS: [u64; 6] = [0, 1, 2, 1 << 32, u64::MAX - 1, u64::MAX];

pub(crate) const FLOATS: [f64; 10] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -1.0,
    -0.0,
    0.0,
    f64::MIN_POSITIVE,
    0.5,
    1.0,
    f64::MAX,
];

/// Returns user keys, also some that are not UTF-8.
pub(crate) fn keys() -> Vec<Vec<u8>> {
    let texts = texts().into_iter().map(String::into_bytes);
    texts.chain([vec![0xff, 0xfe, 0xc0], vec![0; 1 << 16]]).collect()
}

pub(crate) fn call(calls: &mut Calls) {
    clocks(calls);
    users(calls);
    percentages(calls);
}

fn clocks(calls: &mut Calls) {
    for wall in times() {
        for time in DURATIONS {
            let clock = calls.call("ManualClock::at", || ManualClock::at(wall)).unwrap();
            // Twice: the first call may move the clock to the last time that it can represent.
            for _ in 0..2 {
                calls.call("ManualClock::advance", || clock.advance(time));
                calls.call("ManualClock::restart", || clock.restart(time));
            }
            let now = clock.now();
            for other in times() {
                calls.call("ManualClock::set_wall", || clock.set_wall(other));
                let earlier =
                    calls.call("Moment::new", || Moment::new(other, time, Boot::new("b"))).unwrap();
                calls.call("Moment::since", || (now.since(&earlier), earlier.since(&now)));
            }
        }
    }
    for text in texts() {
        let boot = calls.call("Boot::new", || Boot::new(text.as_str())).unwrap();
        calls.call("Boot::as_str", || boot.as_str().len());
    }
    let system = calls.call("SystemClock::new", SystemClock::new).unwrap();
    assert!(system.now().since(&WallClock.now()) <= Duration::MAX);
    calls.call("monotonic", monotonic);
}

fn users(calls: &mut Calls) {
    for key in keys() {
        let user = calls.call("User::new", || User::new(&*key)).unwrap();
        let user = (0..1000)
            .try_fold(user, |user, _| calls.call("User::attribute", || user.attribute("", "\0")));
        let user = user.unwrap();
        calls.call("UserKey::as_bytes", || UserKey::from(&*key).as_bytes().len());
        for text in texts() {
            let salt = calls.call("Salt::new", || Salt::new(&text)).unwrap();
            calls.call("Salt::bucket", || salt.bucket(&user));
            assert!(AsUser::attribute(&user, &text).is_none() || text.is_empty());
        }
    }
    for number in [i128::MIN, i128::MAX, 0, -1] {
        calls.call("UserKey::as_bytes", || UserKey::from(number).as_bytes().len());
    }
}

fn percentages(calls: &mut Calls) {
    for ppm in [0, 1, 999_999, 1_000_000, 1_000_001, u32::MAX] {
        let percent = calls.call("Percent::from_ppm", || Percent::from_ppm(ppm)).unwrap();
        let Some(percent) = percent else { continue };
        calls.call("Percent::ppm", || percent.ppm());
        for bucket in NUMBERS {
            calls.call("Percent::contains", || percent.contains(bucket));
        }
    }
    for text in texts().iter().map(String::as_str).chain([
        "100.0000",
        "1e400",
        "-0",
        "NaN",
        "0x10",
        "100.00001",
    ]) {
        let parsed =
            || text.parse::<Percent>().map_err(|error: ParsePercentError| error.to_string());
        calls.call("Percent::from_str", parsed);
    }
    calls.call("StageName::as_str", || StageName::OFF.as_str().len());
}
