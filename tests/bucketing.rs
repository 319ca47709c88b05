//! Same user, same answer: buckets and percentages equal the golden vectors, with every set of crate features.
//!
//! `tests/data/make_bucketing.py` computes the vectors with another implementation of the hash.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use stagegate::{Percent, Salt, User};

/// The content of `tests/data/bucketing.json`. `make_bucketing.py` documents its layout.
struct Vectors {
    percents: Vec<Percent>,
    salts: Vec<String>,
    rows: Vec<Row>,
    edges: Vec<(Percent, Option<u64>, Option<u64>)>,
}

struct Row {
    salt: usize,
    key: Vec<u8>,
    bucket: u64,
    smallest: Percent,
    /// Whether each of `percents` contains the bucket.
    enabled: Vec<bool>,
}

impl Vectors {
    fn read() -> Vectors {
        let file: Value = serde_json::from_str(include_str!("data/bucketing.json")).unwrap();
        assert_eq!(file["algorithm"], "xxh3-ppm-1");
        Vectors {
            percents: items(&file["ppm"]).iter().map(percent).collect(),
            salts: items(&file["salts"]).iter().map(|salt| text(salt).to_owned()).collect(),
            rows: items(&file["rows"]).iter().map(Row::read).collect(),
            edges: items(&file["edges"])
                .iter()
                .map(|edge| (percent(&edge[0]), bucket(&edge[1]), bucket(&edge[2])))
                .collect(),
        }
    }
}

impl Row {
    fn read(row: &Value) -> Row {
        let key = match row[1].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => unhex(text(&row[1]["hex"])),
        };
        Row {
            salt: usize::try_from(row[0].as_u64().unwrap()).unwrap(),
            key,
            bucket: bucket(&row[2]).unwrap(),
            smallest: percent(&row[3]),
            enabled: text(&row[4]).chars().map(|digit| digit == '1').collect(),
        }
    }

    /// Returns the key as text, if it is UTF-8.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.key).ok()
    }

    /// Returns the integer if the key is its decimal text. `007` and `-0` are not.
    fn integer<N: std::str::FromStr + ToString>(&self) -> Option<N> {
        let text = self.text()?;
        text.parse().ok().filter(|number: &N| number.to_string() == text)
    }
}

#[test]
fn the_vectors_cover_all_lengths_and_kinds_of_keys() {
    let Vectors { percents, salts, rows, edges } = Vectors::read();
    assert!(rows.len() >= 10_000 && edges.len() >= 500, "{} {}", rows.len(), edges.len());
    assert!(percents.contains(&Percent::NONE) && percents.contains(&Percent::ALL));
    let key_has = |length| rows.iter().any(|row| row.key.len() == length);
    let salt_has = |length| salts.iter().any(|salt| salt.len() == length);
    assert!((0..=300).all(|length| key_has(length) && salt_has(length)));
    assert!(rows.iter().any(|row| row.text().is_none()));
    assert!(salts.iter().any(|salt| !salt.is_ascii()));
    assert!(rows.iter().all(|row| row.enabled.len() == percents.len()));
}

#[test]
fn buckets_equal_the_golden_vectors() {
    let vectors = Vectors::read();
    for row in &vectors.rows {
        let salt = Salt::new(&vectors.salts[row.salt]);
        assert_eq!(salt.bucket(&row.key), row.bucket, "{:?}", row.key);
        assert_eq!(salt.bucket(row.key.as_slice()), row.bucket, "{:?}", row.key);
        if let Some(text) = row.text() {
            assert_eq!(salt.bucket(text), row.bucket, "{text:?}");
            assert_eq!(salt.bucket(text.to_owned()), row.bucket, "{text:?}");
            let user = User::new(text).attribute("region", "eu-west");
            assert_eq!(salt.bucket(&user), row.bucket, "{text:?} with an attribute");
        }
    }
}

#[test]
fn integers_hash_as_their_decimal_text() {
    let vectors = Vectors::read();
    let [mut unsigned, mut signed, mut wide] = [0; 3];
    for row in &vectors.rows {
        let salt = Salt::new(&vectors.salts[row.salt]);
        if let Some(number) = row.integer::<u64>() {
            assert_eq!(salt.bucket(number), row.bucket, "{number}");
            unsigned += 1;
        }
        if let Some(number) = row.integer::<i64>() {
            assert_eq!(salt.bucket(number), row.bucket, "{number}");
            signed += 1;
        }
        if let Some(number) = row.integer::<i128>() {
            assert_eq!(salt.bucket(number), row.bucket, "{number}");
            wide += 1;
        }
        if let Some(number) = row.integer::<u8>() {
            assert_eq!(salt.bucket(number), row.bucket, "{number}");
        }
    }
    assert!(unsigned > 1_000 && signed > 1_000 && wide > signed, "{unsigned} {signed} {wide}");
}

#[test]
fn percentages_equal_the_golden_vectors() {
    let vectors = Vectors::read();
    for row in &vectors.rows {
        for (percent, enabled) in vectors.percents.iter().zip(&row.enabled) {
            assert_eq!(percent.contains(row.bucket), *enabled, "{} at {percent}", row.bucket);
        }
        let below = Percent::from_ppm(row.smallest.ppm() - 1).unwrap();
        assert!(row.smallest.contains(row.bucket), "{} at {}", row.bucket, row.smallest);
        assert!(!below.contains(row.bucket), "{} at {below}", row.bucket);
    }
}

/// A threshold that is off by one is wrong only for the two buckets next to it, so these are tested separately.
#[test]
fn percentages_end_at_the_golden_edges() {
    for (percent, last_in, first_out) in Vectors::read().edges {
        assert_eq!(last_in.is_none(), percent == Percent::NONE, "{percent}");
        assert_eq!(first_out.is_none(), percent == Percent::ALL, "{percent}");
        assert!(last_in.is_none_or(|bucket| percent.contains(bucket)), "{last_in:?} at {percent}");
        assert!(
            first_out.is_none_or(|bucket| !percent.contains(bucket)),
            "{first_out:?} at {percent}"
        );
    }
}

#[test]
fn the_examples_of_the_specification_are_correct() {
    let specification = include_str!("../docs/bucketing.md");
    let (mut buckets, mut percentages) = (0, 0);
    for line in specification.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> =
            line.split('|').map(|cell| cell.trim().trim_matches('`')).skip(1).collect();
        match *cells.as_slice() {
            [salt, key, expected, smallest, _] => {
                let bucket = Salt::new(salt).bucket(key);
                assert_eq!(bucket.to_string(), expected, "{line}");
                let smallest: u32 = smallest.parse().unwrap();
                let admits = |ppm| Percent::from_ppm(ppm).unwrap().contains(bucket);
                assert!(admits(smallest) && !admits(smallest - 1), "{line}");
                buckets += 1;
            }
            [percent, ppm, threshold, _] => {
                let percent: Percent = percent.parse().unwrap();
                assert_eq!(percent.ppm().to_string(), ppm, "{line}");
                if let Ok(threshold) = threshold.parse::<u64>() {
                    assert!(!percent.contains(threshold), "{line}");
                    assert!(threshold == 0 || percent.contains(threshold - 1), "{line}");
                }
                percentages += 1;
            }
            _ => panic!("a row of another table: {line}"),
        }
    }
    assert!(buckets >= 5 && percentages >= 5, "{buckets} {percentages}");
}

#[cfg(feature = "toml")]
mod through_a_gate {
    use std::fmt::Write;

    use stagegate::Gate;

    use super::*;

    /// Returns a document with one flag per salt. The plan has one stage per percentage, and all flags are at this
    /// stage.
    fn document(vectors: &Vectors, stage: usize) -> String {
        // A stage without any audience is refused. A stage for a group without users is not.
        let mut document = "schema = 1\ngroups.nobody.users = []\n".to_owned();
        for (index, percent) in vectors.percents.iter().enumerate() {
            write!(document, "[[plans.all.stages]]\nname = \"p{index}\"\npercent = {percent}\n")
                .unwrap();
            if *percent == Percent::NONE {
                document += "groups = [\"nobody\"]\n";
            }
        }
        for (index, salt) in vectors.salts.iter().enumerate().filter(|(_, s)| !s.is_empty()) {
            // TOML reads JSON's escapes.
            let salt = serde_json::to_string(salt).unwrap();
            write!(document, "[flags.f{index}]\nplan = \"all\"\nstage = \"p{stage}\"\n").unwrap();
            writeln!(document, "salt = {salt}").unwrap();
        }
        document
    }

    #[test]
    fn gates_equal_the_golden_vectors() {
        let vectors = Vectors::read();
        for stage in 0..vectors.percents.len() {
            let gate = Gate::from_document(document(&vectors, stage)).unwrap();
            let mut asked = 0;
            for row in vectors.rows.iter().filter(|row| !vectors.salts[row.salt].is_empty()) {
                let flag = format!("f{}", row.salt);
                let answer = gate.evaluate(&row.key, &flag);
                assert_eq!(answer.bucket, Some(row.bucket), "{flag} {:?}", row.key);
                assert_eq!(answer.enabled, row.enabled[stage], "{flag} {:?}", row.key);
                assert_eq!(gate.is_enabled(&row.key, &flag), row.enabled[stage], "{flag}");
                let cohort = row.enabled.iter().position(|enabled| *enabled).unwrap();
                assert!(answer.cohort.is_some_and(|stage| *stage == format!("p{cohort}")));
                if let Some(number) = row.integer::<u64>() {
                    assert_eq!(gate.evaluate(number, &flag).bucket, Some(row.bucket), "{number}");
                }
                if let Some(number) = row.integer::<i64>() {
                    assert_eq!(gate.evaluate(number, &flag).bucket, Some(row.bucket), "{number}");
                }
                asked += 1;
            }
            assert!(asked > 10_000, "{asked}");
        }
    }

    /// A renamed flag that keeps its salt keeps its buckets.
    #[test]
    fn the_default_salt_is_the_flag_key() {
        let vectors = Vectors::read();
        let salt = vectors.salts.iter().position(|salt| salt == "new-checkout").unwrap();
        let document =
            "schema = 1\n[flags.new-checkout]\n[flags.checkout-2]\nsalt = \"new-checkout\"";
        let gate = Gate::from_document(document).unwrap();
        let mut asked = 0;
        for row in vectors.rows.iter().filter(|row| row.salt == salt) {
            for flag in ["new-checkout", "checkout-2"] {
                assert_eq!(gate.evaluate(&row.key, flag).bucket, Some(row.bucket), "{flag}");
            }
            asked += 1;
        }
        assert!(asked > 300, "{asked}");
    }
}

/// `by`, `within` and conditions equal the golden vectors.
#[cfg(feature = "toml")]
mod targeting {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use stagegate::{Gate, Reason};

    use super::*;

    fn vectors(name: &str) -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("data/bucketing.json")).unwrap();
        items(&file[name]).to_vec()
    }

    fn quoted(value: &Value) -> String {
        // TOML reads JSON's escapes.
        serde_json::to_string(value).unwrap()
    }

    fn with<'a>(user: User<'a>, value: &'a Value) -> User<'a> {
        match (value.as_str(), value.as_u64(), value.as_i64()) {
            (Some(text), ..) => user.attribute("organisation", text),
            (_, Some(number), _) => user.attribute("organisation", number),
            (.., number) => user.attribute("organisation", number.unwrap()),
        }
    }

    #[test]
    fn the_lowest_bucket_of_the_unit_counts() {
        let (mut with_bucket, mut without) = (0, 0);
        for row in vectors("units") {
            let salt = quoted(&row[0]);
            let gate = Gate::from_document(format!(
                "schema = 1\n[flags.f]\nby = \"organisation\"\nsalt = {salt}\nstage = \"ga\""
            ));
            let gate = gate.unwrap();
            for key in ["ana", "ben"] {
                let user = items(&row[1]).iter().fold(User::new(key), with);
                let answer = gate.evaluate(&user, "f");
                let expected = bucket(&row[2]);
                assert_eq!(answer.bucket, expected, "{row}");
                // A user without a unit is in no share, not even in 100%.
                assert_eq!(answer.enabled, expected.is_some(), "{row}");
                assert_eq!(answer.reason == Reason::NoUnit, expected.is_none(), "{row}");
                assert_eq!(gate.is_enabled(&user, "f"), expected.is_some(), "{row}");
                *if expected.is_some() { &mut with_bucket } else { &mut without } += 1;
            }
        }
        assert!(with_bucket > 1_000 && without > 10, "{with_bucket} {without}");
    }

    #[test]
    fn a_share_of_a_group_has_the_buckets_of_a_share_of_all() {
        let mut gates = BTreeMap::new();
        let (mut enabled, mut disabled) = (0, 0);
        for row in vectors("within") {
            let (salt, percent) = (quoted(&row[0]), percent(&row[2]));
            let gate = gates.entry((salt.clone(), percent.ppm())).or_insert_with(|| {
                let document = format!(
                    "schema = 1\n[groups]\neu.where = {{ region = [\"eu\"] }}\nnobody.users = []\n\
                     [flags.f]\nsalt = {salt}\nstage = \"s\"\n\
                     stages = [{{ name = \"s\", percent = {percent}, within = [\"eu\"], groups = [\"nobody\"] }}]"
                );
                Gate::from_document(document).unwrap()
            });
            let region = if row[3] == 1 { "eu" } else { "us" };
            let user = User::new(text(&row[1])).attribute("region", region);
            assert_eq!(gate.is_enabled(&user, "f"), row[4] == 1, "{row}");
            assert_eq!(gate.evaluate(&user, "f").enabled, row[4] == 1, "{row}");
            *if row[4] == 1 { &mut enabled } else { &mut disabled } += 1;
        }
        assert!(enabled > 200 && disabled > 800, "{enabled} {disabled}");
    }

    #[test]
    fn numbers_versions_and_dates_compare_like_the_golden_vectors() {
        let rows = vectors("conditions");
        let mut bounds: Vec<(&str, &str)> =
            rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
        bounds.dedup();
        bounds.sort_unstable();
        bounds.dedup();
        let mut document = "schema = 1\n".to_owned();
        for (index, (kind, bound)) in bounds.iter().enumerate() {
            writeln!(document, "[groups.g{index}]\nwhere = {{ a = {{ {kind} = \"{bound}\" }} }}")
                .unwrap();
            writeln!(document, "[flags.f{index}]\nstage = \"s\"").unwrap();
            writeln!(document, "stages = [{{ name = \"s\", groups = [\"g{index}\"] }}]").unwrap();
        }
        let gate = Gate::from_document(document).unwrap();
        for row in &rows {
            let index = bounds.binary_search(&(text(&row[0]), text(&row[1]))).unwrap();
            let user = User::new("ana").attribute("a", text(&row[2]));
            assert_eq!(gate.is_enabled(&user, &format!("f{index}")), row[3] == 1, "{row}");
        }
        assert!(rows.len() > 3_000, "{}", rows.len());
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Parses a bucket: text, because many JSON readers turn numbers into floats. `null` means none.
fn bucket(value: &Value) -> Option<u64> {
    value.as_str().map(|digits| digits.parse().unwrap())
}

fn percent(ppm: &Value) -> Percent {
    Percent::from_ppm(u32::try_from(ppm.as_u64().unwrap()).unwrap()).unwrap()
}

fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.is_ascii() && digits.len().is_multiple_of(2));
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
