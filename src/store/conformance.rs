//! What every store has to do, as checks: for stores of one's own.

use crate::rollout::{Hash, Store, StoreError, lines};

/// Checks that a store does what a rollout relies on.
///
/// `store` is empty, and is not afterwards. `other` is another handle on the same store, as another process would
/// have one; it may be one for looking only, which refuses to write as
/// [read-only](StoreError::is_read_only).
///
/// Looked at are: what an empty store says; that lines are given back as they were, in order, from any number on; that
/// a number is given out once, whoever asks, and none is left out; that a line whose answer was lost may be appended
/// once more; that documents come back whole, also of some MiB; and that each handle sees what the other did. What
/// survives a crash is for the store's own tests.
///
/// # Errors
///
/// What is wrong, in words.
///
/// # Example
///
/// ```
/// use stagegate::store::{Memory, conformance};
///
/// let store = Memory::new();
/// assert_eq!(conformance::check(&mut store.clone(), &mut store.clone()), Ok(()));
/// ```
pub fn check(store: &mut dyn Store, other: &mut dyn Store) -> Result<(), String> {
    journal(store, other)?;
    documents(store, other)
}

const FIRST: &[u8] = b"{\"n\":1,\"text\":\"\xc3\xbc \\u0000 \\n\"}\n";

fn line(number: u64) -> Vec<u8> {
    format!("{{\"n\":{number}}}\n").into_bytes()
}

fn journal(store: &mut dyn Store, other: &mut dyn Store) -> Result<(), String> {
    is_empty("the store", store)?;
    is_empty("the other handle", other)?;
    refused("a first line of number 2", store.append(2, &line(2)))?;
    is("after a line with a gap before it", &all(store, 1)?, &[])?;

    done("the first line", store.append(1, FIRST))?;
    let mut written = vec![FIRST.to_vec()];
    for number in 2..=40 {
        done("a line that follows", store.append(number, &line(number)))?;
        written.push(line(number));
    }
    for from in [1, 2, 20, 40, 41, 42, u64::MAX] {
        let skipped = usize::try_from(from - 1).unwrap_or(usize::MAX).min(written.len());
        let expected = written.get(skipped..).unwrap_or_default();
        is(&format!("read from {from}"), &all(store, from)?, expected)?;
        is(&format!("read by the other handle from {from}"), &all(other, from)?, expected)?;
    }

    conflicts("another line of the last number", store.append(40, b"{\"n\":\"another\"}\n"))?;
    conflicts("another line of an earlier number", store.append(7, b"{\"n\":\"another\"}\n"))?;
    refused("a line with a gap before it", store.append(42, &line(42)))?;
    is("after lines that were refused", &all(store, 1)?, &written)?;

    done("the same line once more, as after an answer that was lost", store.append(40, &line(40)))?;
    is("after the same line once more", &all(store, 1)?, &written)?;
    done("a line after that", store.append(41, &line(41)))?;
    written.push(line(41));

    match other.append(41, b"{\"n\":\"the other's\"}\n") {
        Err(error) if error.is_read_only() => {}
        appended => {
            conflicts("a line of the other handle for a number that is taken", appended)?;
            conflicts("the very same line by the other handle", other.append(41, &line(41)))?;
            done("the next line by the other handle", other.append(42, &line(42)))?;
            written.push(line(42));
            let late = store.append(42, b"{\"n\":\"late\"}\n");
            conflicts("a line for a number that the other handle has taken", late)?;
        }
    }
    is("in the end", &all(store, 1)?, &written)?;
    is("in the end, by the other handle", &all(other, 1)?, &written)
}

fn documents(store: &mut dyn Store, other: &mut dyn Store) -> Result<(), String> {
    let large: Vec<u8> =
        (0..5_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let contents: [&[u8]; 4] = [b"", b"{}", b"\x00\xff\r\n not text", &large];
    for content in contents {
        let hash = Hash::of(content).to_string();
        match store.document(&hash) {
            Err(error) if error.is_missing() => {}
            Err(error) => {
                return Err(format!(
                    "a document that was not kept is not told as missing: {error}"
                ));
            }
            Ok(_) => return Err("a document that was not kept is there".to_owned()),
        }
        done("a document", store.keep(&hash, content))?;
        done("the same document once more", store.keep(&hash, content))?;
    }
    // Each after all are kept: none may have taken another's place.
    for content in contents {
        gives_back(content, store)?;
        gives_back(content, other)?;
    }
    Ok(())
}

fn is_empty(name: &str, handle: &mut dyn Store) -> Result<(), String> {
    for from in [1, 2, u64::MAX] {
        is(&format!("{name}, empty, read from {from}"), &all(handle, from)?, &[])?;
    }
    Ok(())
}

fn gives_back(content: &[u8], handle: &mut dyn Store) -> Result<(), String> {
    let (hash, len) = (Hash::of(content).to_string(), content.len());
    let found = handle.document(&hash);
    let found = found.map_err(|error| format!("a document of {len} bytes: {error}"))?;
    if found != content {
        let found = found.len();
        return Err(format!("a document of {len} bytes came back as {found} others"));
    }
    Ok(())
}

/// The lines from a number on, in as many pieces as they come in.
fn all(store: &mut dyn Store, from: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    loop {
        let next = from.saturating_add(found.len() as u64);
        let some = store.read(next).map_err(|error| format!("reading from {next}: {error}"))?;
        if some.is_empty() {
            return Ok(found);
        }
        if !some.ends_with(b"\n") {
            return Err(format!("reading from {next}: the last line has no end"));
        }
        found.extend(lines(&some).map(|line| [line, b"\n"].concat()));
    }
}

fn is(what: &str, found: &[Vec<u8>], expected: &[Vec<u8>]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let place = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (found, expected) = (found.len(), expected.len());
    Err(format!("{what}: {found} lines instead of {expected}, the first {place} of them right"))
}

fn done(what: &str, result: Result<(), StoreError>) -> Result<(), String> {
    result.map_err(|error| format!("{what} was refused: {error}"))
}

fn refused(what: &str, result: Result<(), StoreError>) -> Result<(), String> {
    result.err().map(|_| ()).ok_or_else(|| format!("{what} was taken"))
}

fn conflicts(what: &str, result: Result<(), StoreError>) -> Result<(), String> {
    match result {
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(format!("{what} was refused, but not as a conflict: {error}")),
        Ok(()) => Err(format!("{what} was taken")),
    }
}
