//! Statistical tests: buckets are even for every kind of key, and flags are independent of each other.
//!
//! Every input is fixed, so each run has the same result to the last digit. Each bound states how unlikely it was that
//! a perfect hash would fail when the inputs were chosen. `-- --nocapture` prints the measured values.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::float_arithmetic, reason = "statistics; no decision of the crate is made with it")]

#[cfg(feature = "toml")]
use stagegate::{Gate, User};
use stagegate::{Percent, Salt};
use xxhash_rust::xxh3::xxh3_64;

/// Evaluated keys of each kind.
const SAMPLES: u64 = 1_000_000;

/// A kind of key, and a function that returns the bucket of the `i`-th key.
type Kind = (&'static str, fn(Salt, u64) -> u64);

const KINDS: [Kind; 9] = [
    ("sequential integers", |salt, i| salt.bucket(i)),
    ("zero-padded", |salt, i| salt.bucket(format!("{i:010}"))),
    ("e-mail", |salt, i| salt.bucket(format!("user.{i}@example.com"))),
    ("UUIDv4", |salt, i| salt.bucket(uuid(4, random(2 * i), random(2 * i + 1)))),
    // One key each millisecond.
    ("UUIDv7", |salt, i| {
        salt.bucket(uuid(
            7,
            ((0x018f_3c1e_7b2a + i) << 16) | (random(2 * i) & 0xfff),
            random(2 * i + 1),
        ))
    }),
    // There are only 256 keys of one byte, and one empty key. So these two kinds vary the salt.
    ("one byte", |_, i| {
        Salt::new(&format!("flag-{}", i / 256)).bucket([i.to_le_bytes()[0]].as_slice())
    }),
    ("empty", |_, i| Salt::new(&format!("flag-{i}")).bucket("")),
    ("not UTF-8", |salt, i| salt.bucket([[0xff; 8], i.to_be_bytes()].as_flattened())),
    ("64-byte shared prefix", |salt, i| {
        salt.bucket(format!("{:/<64}{i}", "https://example.com/users"))
    }),
];

/// The accepted range of chi-square over 1,000 equal parts, which has 999 degrees of freedom. A perfect hash is above
/// 1,226.05 once in a million times, and below 800.73 once in a million times. Buckets that are too even are not
/// random, either.
const CHI_SQUARE: std::ops::Range<f64> = 800.73..1226.05;

/// The largest accepted deviation of a share, in standard deviations. A perfect hash exceeds it once in a million
/// times. At 0.01% and 99.99% it does so three times in a million, because 100 users are few for the normal
/// approximation. For all 72 shares below: once in 9,400 times.
const SHARE_Z: f64 = 4.9;

/// The largest accepted deviation of a pair of flags, in standard deviations. With a perfect hash, the probability that
/// any of 1,225 pairs exceeds it is 0.001. Each pair has 0.001 / 1,225 = 8.2e-7, half on each side, which is 4.93 on
/// the normal curve. At 1%, two flags share only 100 users, so the tail is longer and the probability is 0.003.
const PAIR_Z: f64 = 4.93;

#[test]
fn buckets_are_even() {
    let salt = Salt::new("new-checkout");
    for (kind, bucket) in KINDS {
        let buckets: Vec<u64> = (0..SAMPLES).map(|i| bucket(salt, i)).collect();
        let chi_square = chi_square(&buckets);
        println!("{kind}: chi-square {chi_square:.1}");
        assert!(CHI_SQUARE.contains(&chi_square), "{kind}: chi-square {chi_square}");
    }
}

/// One salt can be lucky, so this tests 40 salts. Zero-padded keys differ least from each other. The mean of 40
/// chi-squares has a standard deviation of sqrt(2 * 999 / 40) = 7.07.
#[test]
fn no_salt_is_special() {
    let users: Vec<String> = (0..SAMPLES).map(|i| format!("{i:010}")).collect();
    let evenness = |number: u32| {
        let salt = Salt::new(&format!("salt-{number}"));
        chi_square(&users.iter().map(|user| salt.bucket(user)).collect::<Vec<_>>())
    };
    let found: Vec<f64> = (0..40).map(evenness).collect();
    let mean = found.iter().sum::<f64>() / 40.0;
    let least = found.iter().copied().fold(f64::INFINITY, f64::min);
    let most = found.iter().copied().fold(0.0, f64::max);
    println!("zero-padded, 40 salts: chi-square {least:.1} to {most:.1}, mean {mean:.1}");
    assert!(CHI_SQUARE.contains(&least) && CHI_SQUARE.contains(&most), "{least} to {most}");
    assert!((mean - 999.0).abs() < 4.9 * 7.07, "mean {mean}");
}

#[test]
fn the_share_of_users_matches_the_percentage() {
    let salt = Salt::new("new-checkout");
    for (kind, bucket) in KINDS {
        let buckets: Vec<u64> = (0..SAMPLES).map(|i| bucket(salt, i)).collect();
        let mut worst: f64 = 0.0;
        for text in ["0.01", "0.1", "1", "5", "10", "25", "50", "99.99"] {
            let z = share_z(&buckets, text.parse().unwrap());
            assert!(z.abs() < SHARE_Z, "{kind}: {z} sigma off at {text}%");
            worst = worst.max(z.abs());
        }
        println!("{kind}: at most {worst:.2} sigma off");
    }
}

/// Shows that the bounds are narrow enough to reject bad hashes.
#[test]
fn uneven_buckets_are_detected() {
    // FNV-1a hardly changes the upper bits for short keys.
    let fnv = |i: u64| {
        i.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let uneven = chi_square(&(0..SAMPLES).map(fnv).collect::<Vec<_>>());
    // Multiples of the golden ratio are spread as evenly as possible, which is not random.
    let golden = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let too_even = chi_square(&(0..SAMPLES).map(golden).collect::<Vec<_>>());
    println!("FNV-1a: chi-square {uneven:.1}; golden ratio: chi-square {too_even:.1}");
    assert!(uneven > CHI_SQUARE.end, "{uneven}");
    assert!(too_even < CHI_SQUARE.start, "{too_even}");
}

#[test]
fn flags_are_independent() {
    let seeded = |flag: &str, user: &str| Salt::new(flag).bucket(user);
    for share in ["1", "10", "50"] {
        let z = pairs_z(seeded, share.parse().unwrap());
        let worst = z.iter().fold(0.0, |worst: f64, z| worst.max(z.abs()));
        println!("{} pairs of flags at {share}%: |z| at most {worst:.2}", z.len());
        assert_eq!(z.len(), 1_225);
        assert!(worst < PAIR_Z, "{worst} at {share}%");
    }
}

/// Shows that the test can fail: mixing by XOR is even for one flag, but makes every pair of flags dependent.
#[test]
fn xor_would_make_flags_dependent() {
    let xor = |flag: &str, user: &str| xxh3_64(user.as_bytes()) ^ xxh3_64(flag.as_bytes());
    let buckets: Vec<u64> = users().iter().map(|user| xor("new-checkout-00", user)).collect();
    assert!(CHI_SQUARE.contains(&chi_square(&buckets)));
    for share in ["1", "10", "50"] {
        let z = pairs_z(xor, share.parse().unwrap());
        let least = z.iter().fold(f64::INFINITY, |least, z| least.min(z.abs()));
        let failing = z.iter().filter(|z| z.abs() >= PAIR_Z).count();
        println!("XOR at {share}%: {failing} of {} pairs fail, |z| at least {least:.2}", z.len());
        assert_eq!(failing, z.len(), "at {share}%");
    }
}

/// Ten percent of 1,000 companies with 50 users each. A perfect hash is out of 100 ± 30 once in 600 times.
#[cfg(feature = "toml")]
#[test]
fn a_company_has_a_flag_as_a_whole() {
    let gate = Gate::from_document(
        r#"
        schema = 1
        [groups.listed]
        users = ["c7-u3", "c11-u0"]
        [flags.crm]
        by = "organisation"
        stage = "pilot"
        stages = [{ name = "pilot", percent = 10, groups = ["listed"] }]
    "#,
    )
    .unwrap();
    let (mut companies, mut mixed) = (0, 0);
    for company in 0..1000 {
        let organisation = format!("company-{company}");
        let has_flag = |user: &u32| {
            let key = format!("c{company}-u{user}");
            gate.is_enabled(User::new(&key).attribute("organisation", &organisation), "crm")
        };
        // Listed users have the flag in any company.
        let is_listed = |user: u32| matches!((company, user), (7, 3) | (11, 0));
        let users = (0..50).filter(|user| !is_listed(*user));
        let (asked, enabled) = (users.clone().count(), users.filter(has_flag).count());
        companies += u32::from(enabled == asked);
        mixed += u32::from(enabled != 0 && enabled != asked);
        assert!((0..50).filter(|user| is_listed(*user)).all(|user| has_flag(&user)));
    }
    println!("{companies} of 1,000 companies at 10%, {mixed} mixed");
    assert_eq!(mixed, 0);
    assert!((70..=130).contains(&companies), "{companies}");
    // Without the attribute, a user is in no share, but on the list all the same.
    assert!(!gate.is_enabled("c8-u3", "crm") && gate.is_enabled("c7-u3", "crm"));
}

/// 100,000 visitors whose key changes when they log in, and whose device stays.
#[cfg(feature = "toml")]
#[test]
fn a_visitor_keeps_the_flag_at_login() {
    let gate = Gate::from_document(
        r#"
        schema = 1
        [groups.listed]
        users = ["user-5"]
        [flags.crm]
        by = "device"
        stage = "half"
        stages = [{ name = "half", percent = 50, groups = ["listed"] }]
    "#,
    )
    .unwrap();
    let (mut changed, mut enabled) = (0, 0);
    for visitor in (0..100_000).filter(|visitor| *visitor != 5) {
        let device = format!("device-{visitor}");
        let (before, after) = (format!("anonymous-{visitor}"), format!("user-{visitor}"));
        let has_flag =
            |key: &String| gate.is_enabled(User::new(key).attribute("device", &device), "crm");
        changed += u32::from(has_flag(&before) != has_flag(&after));
        enabled += u32::from(has_flag(&after));
    }
    println!("{enabled} of 100,000 visitors at 50%, {changed} change at login");
    assert_eq!(changed, 0);
    // 4.9 standard deviations of 158.
    assert!((49_225..=50_775).contains(&enabled), "{enabled}");
    assert!(gate.is_enabled(User::new("user-5").attribute("device", "any"), "crm"));
}

/// Ten percent of 10,000 users in the EU. 120 users are four standard deviations.
#[cfg(feature = "toml")]
#[test]
fn a_share_of_a_group_is_a_share_of_its_users() {
    let gate = Gate::from_document(
        r#"
        schema = 1
        [groups.eu]
        where = { region = ["eu-west", "eu-north"] }
        [flags.crm]
        stage = "tenth"
        stages = [
            { name = "tenth", percent = 10, within = ["eu"] },
            { name = "half", percent = 50, within = ["eu"] },
        ]
    "#,
    )
    .unwrap();
    let admitted = |region: &str| -> Vec<u32> {
        let has_flag = |user: &u32| {
            let key = format!("{region}-{user}");
            gate.is_enabled(User::new(&key).attribute("region", region), "crm")
        };
        (0..10_000).filter(has_flag).collect()
    };
    let (tenth, others) = (admitted("eu-west"), admitted("us-east"));
    println!("{} of 10,000 in the EU at 10%, {} elsewhere", tenth.len(), others.len());
    assert!((880..=1_120).contains(&tenth.len()), "{}", tenth.len());
    assert!(others.is_empty());
    gate.set_stage("crm", "half").unwrap();
    let half = admitted("eu-west");
    assert!((4_755..=5_245).contains(&half.len()), "{}", half.len());
    assert!(tenth.iter().all(|user| half.binary_search(user).is_ok()));
    assert!(admitted("us-east").is_empty());
}

/// Returns the chi-square statistic of the buckets over 1,000 equal parts.
fn chi_square(buckets: &[u64]) -> f64 {
    let mut found = [0_u32; 1000];
    for bucket in buckets {
        found[usize::try_from((u128::from(*bucket) * 1000) >> 64).unwrap()] += 1;
    }
    let expected = count(buckets.len()) / 1000.0;
    found.iter().map(|found| (f64::from(*found) - expected).powi(2) / expected).sum()
}

/// Returns the deviation of the admitted users from the expected share, in standard deviations.
fn share_z(buckets: &[u64], share: Percent) -> f64 {
    let n = count(buckets.len());
    let p = f64::from(share.ppm()) / 1e6;
    let admitted = count(buckets.iter().filter(|bucket| share.contains(**bucket)).count());
    (admitted - n * p) / (n * p * (1.0 - p)).sqrt()
}

/// Returns the deviation of the common users from the expected number, in standard deviations, for every pair of 50
/// flags.
///
/// The expectation is that of two independent draws of the flags' actual sizes (the hypergeometric distribution). So a
/// flag with slightly more or fewer users does not count as dependent.
fn pairs_z(bucket: impl Fn(&str, &str) -> u64, share: Percent) -> Vec<f64> {
    let users = users();
    let admitted = |number: u32| -> Vec<u64> {
        let flag = format!("new-checkout-{number:02}");
        let bit = |user: &String| u64::from(share.contains(bucket(&flag, user)));
        users
            .chunks(64)
            .map(|word| word.iter().fold(0, |bits, user| bits << 1 | bit(user)))
            .collect()
    };
    let flags: Vec<Vec<u64>> = (0..50).map(admitted).collect();
    let size = |set: &[u64]| f64::from(set.iter().map(|word| word.count_ones()).sum::<u32>());
    let sizes: Vec<f64> = flags.iter().map(|flag| size(flag)).collect();
    let n = count(users.len());
    let mut z = Vec::new();
    for (i, (a, in_a)) in flags.iter().zip(&sizes).enumerate() {
        for (b, in_b) in flags.iter().zip(&sizes).skip(i + 1) {
            let both = a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum::<u32>();
            let variance = in_a * in_b * (n - in_a) * (n - in_b) / (n * n * (n - 1.0));
            z.push((f64::from(both) - in_a * in_b / n) / variance.sqrt());
        }
    }
    z
}

fn users() -> Vec<String> {
    (0..SAMPLES).map(|i| format!("user-{i}")).collect()
}

/// Returns the `i`-th number of `SplitMix64`.
fn random(i: u64) -> u64 {
    let mixed = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn uuid(version: u64, high: u64, low: u64) -> String {
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
    let (fourth, fifth) = (0x8000 | low >> 48 & 0x3fff, low & 0xffff_ffff_ffff);
    format!("{first:08x}-{second:04x}-{version}{third:03x}-{fourth:04x}-{fifth:012x}")
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}
