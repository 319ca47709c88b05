//! Keys, signed records, and anchors.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::harness::{assert_golden, stagegate, stagegate_with_env};
use super::rollout::Shop;

/// Writes a secret key that is always the same, so that the output is, too.
fn write_key(shop: &Shop, name: &str, byte: &str) -> String {
    let path = shop.path(&format!("{name}.key"));
    fs::write(&path, format!("ed25519-secret:{} {name}\n", byte.repeat(32))).unwrap();
    private(&path);
    path.display().to_string()
}

fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let _ = path;
}

fn public(key: &str) -> String {
    stagegate(&["key", "show", key]).ends(0).stdout
}

#[test]
fn signed_records_prove_who_acted() {
    let mut shop = Shop::new();
    let (ana, ben) = (write_key(&shop, "ana", "07"), write_key(&shop, "ben", "08"));
    let document = shop.path("rollout.toml").display().to_string();
    let keys = shop.path("keys.txt").display().to_string();
    fs::write(&keys, format!("# of the team\n{}{}", public(&ana), public(&ben))).unwrap();

    shop.run(0, &["start", &document, "--key", &ana]);
    shop.run(0, &["promote", "search", "--yes", "--key", &ana]);
    shop.run(2, &["hold", "search", "--reason", "wait", "--key", &ben, "--by", "ana"]);
    shop.run(0, &["hold", "search", "--reason", "wait", "--key", &ben]);
    shop.run(0, &["tick"]);
    shop.run(0, &["verify", "--keys", &keys]);
    // The way back is always open: without the key, and with one that cannot be read.
    shop.run(0, &["rollback", "search", "--by", "ana", "--key", "no-such.key", "--yes"]);
    shop.run(0, &["rollback", "--all", "--reason", "slow", "--by", "ben", "--yes"]);
    shop.run(0, &["verify", "--keys", &keys]);
    // An action by a name that has a key, without the key.
    shop.run(0, &["incident", "step", "search", "--note", "nobody has it", "--by", "ana"]);
    shop.run(1, &["verify", "--keys", &keys]);
    let json = shop.json_with(1, &["verify", "--keys", &keys]);
    assert_eq!(json["whole"], true);
    assert_eq!(json["signatures"]["signed"], json!({ "ana": 2, "ben": 1 }));
    assert_eq!(json["signatures"]["unsigned"].as_array().unwrap().len(), 1);
    // The key of another person, by her name.
    fs::write(&keys, public(&ben).replace(" ben", " ana")).unwrap();
    shop.run(1, &["verify", "--keys", &keys]);
    fs::write(&keys, "ana\n").unwrap();
    shop.run(3, &["verify", "--keys", &keys]);
    assert_golden("rollout/keys.txt", &shop.transcript);
}

#[test]
fn a_new_key_is_private_never_overwritten_and_works() {
    let shop = Shop::new();
    let path = shop.path("new.key");
    let file = path.display().to_string();
    let shown = stagegate(&["key", "new", &file, "--name", "release owner"]).ends(0).stdout;
    assert!(shown.starts_with("ed25519:") && shown.ends_with(" release owner\n"), "{shown}");
    assert_eq!(public(&file), shown);
    let json = stagegate(&["key", "show", &file, "--format", "json"]).ends(0).json();
    assert_eq!(json["public"], shown.trim_end());
    let secret = fs::read_to_string(&path).unwrap();
    assert!(secret.starts_with("ed25519-secret:") && !shown.contains(&secret[15..79]));

    let again = stagegate(&["key", "new", &file, "--name", "eve"]).ends(3);
    assert!(again.stderr.contains("File exists"), "{again:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), secret);
    let other = shop.path("other.key").display().to_string();
    let nobody = stagegate(&["key", "new", &other, "--name", " "]).ends(2);
    assert_eq!(nobody.stderr, "stagegate: no name. Pass `--name NAME`, in one line\n");
    let second = stagegate(&["key", "new", &other, "--name", "release owner"]).ends(0).stdout;
    assert_ne!(second, shown);

    let document = shop.path("rollout.toml").display().to_string();
    let env = [("STAGEGATE_KEY", &*file), ("STAGEGATE_BY", "")];
    let start = ["start", &document, "--store", &shop.store()];
    stagegate_with_env(&start, &env).ends(0);
    let keys = shop.path("keys.txt");
    fs::write(&keys, shown).unwrap();
    let verify = ["verify", "--store", &shop.store(), "--keys", keys.to_str().unwrap()];
    let verified = stagegate(&verify).ends(0).stdout;
    assert!(verified.ends_with("signed by release owner: 1 record\n"), "{verified}");
}

/// A variable is not who acts: it may be missing in a container, and is wrong after `su`.
#[cfg(unix)]
#[test]
fn without_a_name_or_a_key_the_user_of_the_operating_system_acts() {
    let shop = Shop::started();
    let id = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(id).unwrap();
    let (store, env) = (shop.store(), [("USER", "eve"), ("STAGEGATE_ETCD_USER", "eve")]);
    let hold = ["hold", "search", "--reason", "wait", "--store", &store, "--clock", shop.at];
    let held = stagegate_with_env(&hold, &env).ends(0).stdout;
    assert!(held.contains(&format!(" {}: search: held (wait)\n", user.trim())), "{held}");
}

#[cfg(unix)]
#[test]
fn a_secret_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let mut shop = Shop::started();
    let ana = write_key(&shop, "ana", "07");
    assert_eq!(fs::metadata(&ana).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&ana, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = shop.run(3, &["hold", "search", "--reason", "wait", "--key", &ana]);
    let expected = format!(
        "stagegate: other users can read `{ana}`. Run `chmod 600 {ana}`, and create another key if they may have\n"
    );
    assert_eq!(refused.stderr, expected);
    assert_eq!(shop.json(&["verify"])["records"], 1);
}

#[test]
fn automatic_records_are_signed_by_a_key_of_their_name() {
    let mut shop = Shop::started();
    let (ana, program) = (write_key(&shop, "ana", "07"), write_key(&shop, "stagegate", "09"));
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["rollback", "search", "--by", "ana", "--yes"]);
    let refused = shop.run(2, &["tick", "--key", &ana]);
    assert_eq!(
        refused.stderr,
        "stagegate: automatic records have the name `stagegate`, but the key is of `ana`. Create one by `stagegate key \
         new FILE --name stagegate`\n"
    );
    shop.run(0, &["tick", "--key", &program]);
    let keys = shop.path("keys.txt");
    fs::write(&keys, public(&program)).unwrap();
    let verified = shop.run(0, &["verify", "--keys", keys.to_str().unwrap()]).stdout;
    assert!(verified.contains("signed by stagegate: 1 record\n"), "{verified}");
}

#[test]
fn an_anchor_shows_that_a_journal_was_rewritten_as_a_whole() {
    let mut shop = Shop::started();
    let anchors = shop.path("anchors.txt").display().to_string();
    let document = shop.path("rollout.toml").display().to_string();
    shop.run(0, &["anchor", "--to", &anchors]);
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["anchor", "--to", &anchors]);
    shop.run(0, &["verify", "--anchor", &anchors]);

    // Another history with valid hashes, in the same place.
    fs::remove_dir_all(shop.store()).unwrap();
    shop.run(0, &["start", &document, "--by", "ana"]);
    shop.run(0, &["promote", "other", "--by", "ana", "--yes"]);
    shop.run(0, &["verify"]);
    shop.run(1, &["verify", "--anchor", &anchors]);
    let json = shop.json_with(1, &["verify", "--anchor", &anchors]);
    assert_eq!(json["anchors"]["found"], 1);
    assert_eq!(json["anchors"]["missing"].as_array().unwrap().len(), 1);

    // Records in an archive are checked with the archive.
    let archive = shop.path("archive").display().to_string();
    shop.run(0, &["archive", &archive, "--all", "--by", "ana"]);
    shop.run(0, &["verify", "--anchor", &anchors]);
    shop.run(1, &["verify", "--anchor", &anchors, "--archive", &archive]);
    fs::write(&anchors, "# noted on Monday\n\nyesterday\n").unwrap();
    shop.run(3, &["verify", "--anchor", &anchors]);
    assert_golden("rollout/anchor.txt", &shop.transcript);
}
