//! Records that are signed by the keys of people and programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use stagegate::clock::ManualClock;
use stagegate::rollout::{
    Hash, Journal, Proof, PublicKeys, Record, Rollout, RolloutOptions, Signer, SigningKey, Store,
};
use stagegate::store::{Directory, Memory};

use super::disk::{Disk, Fault};
use super::needs;
use super::segments::hex;
use super::story::{DOCUMENT, clock};

fn ana() -> SigningKey {
    SigningKey::new("ana", &[7; 32])
}

fn ben() -> SigningKey {
    SigningKey::new("ben", &[8; 32])
}

fn keys(text: &str) -> PublicKeys {
    PublicKeys::parse(text).unwrap()
}

fn proofs(keys: &PublicKeys, rollout: &Rollout) -> Vec<Proof> {
    rollout.records(1).unwrap().iter().map(|record| keys.check(record)).collect()
}

fn signed_by(
    store: impl Store + 'static,
    clock: &ManualClock,
    key: impl Signer + 'static,
) -> Rollout {
    let options = RolloutOptions::new().sign_with(key);
    Rollout::start_with(store, clock.clone(), DOCUMENT, "ana", &options).unwrap()
}

/// The golden file. Everybody can read it, and check the chain, also without the feature `sign`.
fn golden() -> (String, Rollout) {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = signed_by(disk.create().unwrap(), &clock, ana());
    rollout.by("ana").promote("search").unwrap();
    rollout.by("ben").hold("search", "wait for legal").unwrap();
    rollout.by("ana").roll_back("search", "slow").unwrap();
    (String::from_utf8(disk.journal()).unwrap(), rollout)
}

#[test]
fn a_signed_journal_equals_the_golden_file() {
    let (found, rollout) = golden();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journal/signed.jsonl");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        fs::write(file, &found).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "not as on record; found:\n{found}");
    let both = ana().public_key() + &ben().public_key();
    let found = proofs(&keys(&both), &rollout);
    assert_eq!(found, [Proof::Signed, Proof::Signed, Proof::Unsigned, Proof::Signed]);
    assert_eq!(
        proofs(&keys(&ana().public_key()), &rollout),
        [Proof::Signed, Proof::Signed, Proof::NoKey, Proof::Signed]
    );
}

/// Verifies a signature as the specification says, with a program that knows nothing of this crate.
#[test]
fn openssl_accepts_the_signatures() {
    let Some(openssl) = needs::program("signed::openssl_accepts_the_signatures", "openssl") else {
        return;
    };
    let path = std::env::temp_dir().join(format!("stagegate-openssl-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    let (journal, _) = golden();
    let digits = ana().public_key();
    let key = hex(digits.strip_prefix("ed25519:").unwrap().strip_suffix(" ana\n").unwrap());
    // RFC 8410: the prefix of every Ed25519 public key in DER.
    let der = [&hex("302a300506032b6570032100")[..], &key].concat();
    fs::write(path.join("key.der"), der).unwrap();
    let (mut before, mut verified) = (vec![0; 32], 0);
    for line in journal.lines() {
        let (body, hash) = line.rsplit_once(",\"hash\":\"").unwrap();
        if let Some((unsigned, signature)) = body.rsplit_once(",\"sig\":\"") {
            let digest = Hash::of(&[&before[..], unsigned.as_bytes()].concat()).to_string();
            let message = [&b"stagegate-record:"[..], &hex(&digest)].concat();
            fs::write(path.join("message"), message).unwrap();
            fs::write(path.join("signature"), hex(&signature[..128])).unwrap();
            let command = "pkeyutl -verify -rawin -pubin -inkey key.der -keyform DER -sigfile signature -in message";
            let ran = Command::new(&openssl)
                .args(command.split(' '))
                .current_dir(&path)
                .output()
                .unwrap();
            assert!(ran.status.success(), "{line}: {ran:?}");
            verified += 1;
        }
        before = hex(&hash[..64]);
    }
    assert_eq!(verified, 3);
    fs::remove_dir_all(&path).unwrap();
}

/// Reads a journal in which an attacker has computed the hashes again.
fn records_of(lines: &[String]) -> Result<Vec<Record>, String> {
    let (mut journal, mut before) = (Journal::new(), vec![0; 32]);
    let read = lines.iter().map(|line| {
        let (body, _) = line.rsplit_once(",\"hash\":\"").unwrap();
        let hash = Hash::of(&[&before[..], body.as_bytes()].concat()).to_string();
        before = hex(&hash);
        let line = format!("{body},\"hash\":\"{hash}\"}}");
        journal.read(line.as_bytes()).map_err(|damage| damage.what)
    });
    read.collect()
}

#[test]
fn a_record_that_was_changed_is_not_signed_even_if_its_hash_fits() {
    let (journal, _) = golden();
    let lines: Vec<String> = journal.lines().map(str::to_owned).collect();
    let both = keys(&(ana().public_key() + &ben().public_key()));
    let check = |lines: &[String]| -> Vec<Proof> {
        records_of(lines).unwrap().iter().map(|record| both.check(record)).collect()
    };
    use Proof::{Invalid, Signed, Unsigned};
    assert_eq!(check(&lines), [Signed, Signed, Unsigned, Signed]);

    let change = |line: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[line].contains(from));
        lines[line] = lines[line].replacen(from, to, 1);
        check(&lines)
    };
    // A signature is about all records before it, too.
    assert_eq!(change(0, "\"off\"", "\"ga\""), [Invalid, Invalid, Unsigned, Invalid]);
    assert_eq!(
        change(1, "\"to\":\"internal\"", "\"to\":\"ga\""),
        [Signed, Invalid, Unsigned, Invalid]
    );
    assert_eq!(change(1, "\"by\":\"ana\"", "\"by\":\"ben\""), [Signed, Invalid, Unsigned, Invalid]);
    assert_eq!(change(2, "wait", "went"), [Signed, Signed, Unsigned, Invalid]);
    assert_eq!(change(3, "\"slow\"", "\"fast\""), [Signed, Signed, Unsigned, Invalid]);

    // A signature of another record.
    let mut moved = lines.clone();
    let signature = |line: &str| line.split_once(",\"sig\":\"").unwrap().1[..128].to_owned();
    moved[3] = moved[3].replace(&signature(&lines[3]), &signature(&lines[1]));
    assert_eq!(check(&moved), [Signed, Signed, Unsigned, Invalid]);
    // A signature that was removed.
    let removed = format!(",\"sig\":\"{}\"", signature(&lines[3]));
    let mut without = lines.clone();
    without[3] = without[3].replace(&removed, "");
    assert_eq!(check(&without), [Signed, Signed, Unsigned, Unsigned]);

    // A flipped bit in each byte of a signed line.
    let end = lines[1].find(",\"hash\"").unwrap();
    let (mut read, mut flipped) = (0, lines.clone());
    for byte in 0..end {
        let mut bytes = lines[1].clone().into_bytes();
        bytes[byte] ^= 1 << (byte % 8);
        let Ok(line) = String::from_utf8(bytes) else { continue };
        flipped[1] = line;
        let Ok(records) = records_of(&flipped) else { continue };
        // The name may be another one, which has no key.
        assert!(matches!(both.check(&records[1]), Invalid | Proof::NoKey), "byte {byte}");
        read += 1;
    }
    assert!(read > 60, "{read}");
}

#[test]
fn a_key_counts_for_its_name_and_its_records() {
    let (_, rollout) = golden();
    let ana = ana().public_key();
    let with = |range: &str| ana.replace(' ', &format!(" {range} "));
    use Proof::{Invalid, NoKey, Signed};
    for (text, expected) in [
        (with("2.."), [Invalid, Signed, NoKey, Signed]),
        (with("..2"), [Signed, Signed, NoKey, Invalid]),
        (with("2..2"), [Invalid, Signed, NoKey, Invalid]),
        (with("..2") + &with("3.."), [Signed, Signed, NoKey, Signed]),
        (ben().public_key(), [NoKey, NoKey, Proof::Unsigned, NoKey]),
        // A key of another person, by the name of the first.
        (ben().public_key().replace("ben", "ana"), [Invalid, Invalid, NoKey, Invalid]),
        ("# nobody\n".to_owned(), [NoKey; 4]),
    ] {
        assert_eq!(proofs(&keys(&text), &rollout), expected, "{text}");
    }
    // Outside of the range, an unsigned record proves nothing and breaks no promise.
    let ben = ben().public_key().replace(' ', " 4.. ");
    assert_eq!(proofs(&keys(&ben), &rollout), [NoKey; 4]);
}

#[test]
fn keys_that_cannot_be_read_have_exact_errors_that_quote_no_secret() {
    let public = |text: &str| PublicKeys::parse(text).unwrap_err().to_string();
    let write = "Write `ed25519:`, 64 hexadecimal digits, a space and a name";
    let zeros = "0".repeat(64);
    // The point of order 4: everybody could sign for it.
    let weak = format!("ed25519:{zeros} ana");
    for text in ["ana", "ed25519:12 ana", "ed25519:", &weak, &ana().public_key().replace("ana", "")]
    {
        let text = text.trim();
        assert_eq!(public(text), format!("line 1: `{text}` is not a public key. {write}"));
    }
    let secret = |text: &str| SigningKey::parse(text).unwrap_err().to_string();
    let write = "Write `ed25519-secret:`, 64 hexadecimal digits, a space and a name";
    for text in ["", "ana", "ed25519-secret:12 ana", &ana().public_key(), "ed25519-secret:"] {
        assert_eq!(secret(text), format!("line 1: not a secret key. {write}"));
    }
    let two = ana().to_secret_text() + "\n" + &ben().to_secret_text();
    assert_eq!(secret(&two), "line 3: a file has one secret key. Remove this line");
    let again = SigningKey::parse(&format!("# mine\n{}", ana().to_secret_text())).unwrap();
    assert_eq!((again.name(), again.public_key()), ("ana", ana().public_key()));
}

#[test]
fn a_store_of_format_1_has_no_signatures_until_it_is_upgraded() {
    let path = std::env::temp_dir().join(format!("stagegate-unsigned-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    drop(Directory::create(&path).unwrap());
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores/format-1");
    super::formats::copy_store(&original, &path);
    let options = RolloutOptions::new().sign_with(ana());
    let rollout = Rollout::open_with(Directory::open(&path).unwrap(), clock(), &options).unwrap();
    let keys = keys(&ana().public_key());
    let proof = |record: &Record| keys.check(record);

    let begun = rollout.by("ana").begin_segment().unwrap();
    assert_eq!(proof(&begun), Proof::Unsigned);
    assert_eq!(proof(&rollout.by("ana").resume_all(None).unwrap()), Proof::Unsigned);
    assert_eq!(proof(&rollout.by("ana").upgrade().unwrap().unwrap()), Proof::Signed);
    assert_eq!(proof(&rollout.by("ana").hold_all("wait", None).unwrap()), Proof::Signed);
    fs::remove_dir_all(&path).unwrap();
}

/// The previous hash is part of the message, so a record is signed again for each attempt.
#[test]
fn a_record_that_another_process_was_faster_than_is_signed_for_its_place() {
    let (store, clock) = (Memory::new(), clock());
    let first = signed_by(store.clone(), &clock, ana());
    let options = RolloutOptions::new().sign_with(ben());
    let second = Rollout::open_with(store, clock, &options).unwrap();
    for _ in 0..5 {
        first.by("ana").hold("search", "wait").unwrap();
        second.by("ben").hold("other", "wait").unwrap();
        first.by("ana").resume("search", None).unwrap();
        second.by("ben").resume("other", None).unwrap();
    }
    let both = keys(&(ana().public_key() + &ben().public_key()));
    assert_eq!(proofs(&both, &second), [Proof::Signed; 21]);
}

/// A rollback never waits for a key. Another process may record it, and it cannot sign for the person.
#[test]
fn a_rollback_that_another_process_records_is_not_signed() {
    let path =
        std::env::temp_dir().join(format!("stagegate-unsigned-intent-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let (disk, clock) = (Disk::new(), clock());
    let options = RolloutOptions::new().keep_intents_in(&path);
    let signing = options.clone().sign_with(ana());
    let rollout =
        Rollout::start_with(disk.create().unwrap(), clock.clone(), DOCUMENT, "ana", &signing)
            .unwrap();
    rollout.by("ana").promote("search").unwrap();
    disk.fail(1, Fault::Forever);
    assert!(rollout.by("ana").roll_back("search", "slow").unwrap().unrecorded.is_some());
    let left = fs::read(&path).unwrap();
    drop(rollout);
    disk.repair();
    fs::write(&path, left).unwrap();

    let next = Rollout::open_with(disk.open().unwrap(), clock, &options).unwrap();
    assert!(next.tick().error.is_none());
    let found = proofs(&keys(&ana().public_key()), &next);
    let texts: Vec<String> = next.records(1).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(found[..3], [Proof::Signed, Proof::Signed, Proof::Unsigned], "{texts:?}");
    // The file is removed with its last intent.
    assert!(!path.exists());
}
