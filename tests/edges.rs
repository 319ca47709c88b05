//! The first and the last bucket are outside of 0% and inside of 100%, and each percentage ends exactly
//! at the bucket of the formula. Gates agree, for user keys that fall into these buckets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use stagegate::{Gate, Percent, Salt};

/// Percentages in parts per million whose ends would show an error by one.
const EDGES: [u32; 8] = [0, 1, 2, 333_333, 500_000, 999_998, 999_999, 1_000_000];

/// The formula of the specification.
fn specified(bucket: u64, ppm: u32) -> bool {
    ((u128::from(bucket) * 1_000_000) >> 64) < u128::from(ppm)
}

/// Returns the first bucket, the last bucket, and the buckets around the end of this percentage.
fn buckets_around(ppm: u32) -> Vec<u64> {
    let end = (u128::from(ppm) << 64).div_ceil(1_000_000);
    let around = [end.wrapping_sub(1), end, end + 1].into_iter();
    around.filter_map(|bucket| u64::try_from(bucket).ok()).chain([0, 1, u64::MAX]).collect()
}

#[test]
fn percentages_end_where_the_formula_says() {
    let contains = |ppm: u32, bucket: u64| Percent::from_ppm(ppm).unwrap().contains(bucket);
    for (ppm, first, last) in
        [(0, false, false), (1, true, false), (999_999, true, false), (1_000_000, true, true)]
    {
        assert_eq!((contains(ppm, 0), contains(ppm, u64::MAX)), (first, last), "{ppm} ppm");
    }
    // 2^64 / 10^6 = 18,446,744,073,709.55..., so 1 ppm contains the first 18,446,744,073,710 buckets.
    assert!(contains(1, 18_446_744_073_709) && !contains(1, 18_446_744_073_710));
    let last_millionth = u64::MAX - 18_446_744_073_708;
    assert!(contains(999_999, last_millionth - 1) && !contains(999_999, last_millionth));
    for ppm in EDGES {
        for bucket in buckets_around(ppm) {
            assert_eq!(contains(ppm, bucket), specified(bucket, ppm), "{bucket} at {ppm} ppm");
        }
    }
}

#[test]
fn gates_agree_at_the_first_and_last_bucket() {
    for ppm in EDGES {
        let percent = Percent::from_ppm(ppm).unwrap();
        // A stage without any audience is refused. A stage for a group without users is not.
        let groups = if ppm == 0 { "\"nobody\"" } else { "" };
        let gate = Gate::from_document(format!(
            r#"{{"schema": 1, "groups": {{"nobody": {{"users": []}}}}, "flags": {{"edge": {{"stage": "only",
                "stages": [{{"name": "only", "percent": {percent}, "groups": [{groups}]}}]}}}}}}"#
        ));
        let gate = gate.unwrap();
        let handle = gate.flag("edge");
        for bucket in buckets_around(ppm) {
            let key = key_in_bucket(Salt::new("edge"), bucket);
            let evaluation = gate.evaluate(&key[..], "edge");
            assert_eq!(evaluation.bucket, Some(bucket));
            let expected = specified(bucket, ppm);
            let answers = [
                evaluation.enabled,
                evaluation.cohort.is_some(),
                gate.is_enabled(&key[..], "edge"),
                handle.is_enabled(&key[..]),
            ];
            assert_eq!(answers, [expected; 4], "bucket {bucket} at {ppm} ppm");
        }
    }
}

/// Returns the key of eight bytes that this salt puts into this bucket.
///
/// For eight bytes XXH3 is a bijection: it xors the input with a number that depends only on the
/// seed, and then applies steps that can be undone. Undoing the steps for the hash of a known key
/// gives the number.
fn key_in_bucket(salt: Salt, bucket: u64) -> [u8; 8] {
    let known = [0; 8];
    let of_seed = unmix(salt.bucket(&known[..]));
    let input = unmix(bucket) ^ of_seed;
    // XXH3 swaps the two halves of the input.
    let key = input.rotate_left(32).to_le_bytes();
    assert_eq!(salt.bucket(&key[..]), bucket, "the key is in another bucket");
    key
}

/// Undoes the last steps of XXH3 for an input of 8 bytes.
fn unmix(hash: u64) -> u64 {
    let mut h = hash ^ (hash >> 28) ^ (hash >> 56);
    h = h.wrapping_mul(inverse(MIXER));
    h ^= (h >> 35) + 8;
    h = h.wrapping_mul(inverse(MIXER));
    // 64 rounds of `x ^ rotl(x, 49) ^ rotl(x, 24)` are the identity, so 63 rounds undo one round.
    (0..63).fold(h, |x, _| x ^ x.rotate_left(49) ^ x.rotate_left(24))
}

/// The odd number with which XXH3 multiplies in these steps.
const MIXER: u64 = 0x9fb2_1c65_1e98_df25;

/// Returns the inverse of an odd number modulo 2^64, by Newton's method. Each step doubles the number of correct bits.
fn inverse(odd: u64) -> u64 {
    let step = |x: u64, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x)));
    (0..5).fold(odd, step)
}
