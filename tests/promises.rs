//! Every test that `docs/promises.md` names exists.

use std::fs;
use std::path::Path;

#[test]
fn every_test_named_in_the_promises_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (mut source, mut named) = (String::new(), 0);
    for quoted in read("docs/promises.md").split('`').skip(1).step_by(2) {
        if quoted.starts_with("tests/") || quoted.starts_with("src/") {
            source = read(quoted);
            assert!(!source.is_empty(), "no file {quoted}");
        } else if quoted.contains('_') {
            assert!(source.contains(&format!("fn {quoted}(")), "no test {quoted}");
            named += 1;
        }
    }
    assert!(named >= 20, "only {named} tests are named");
}
