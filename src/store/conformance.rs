//! Checks for your own implementation of a store.

use crate::rollout::{Hash, Store, StoreError, lines};

/// Checks that a store behaves as a rollout requires. Writes to the store.
///
/// `store` must be empty. `other` is another handle on the same store, as another process would have. It may be
/// read-only: its writes then fail with a [read-only](StoreError::is_read_only) error.
///
/// It checks:
///
/// * the answers of an empty store;
/// * that lines are returned unchanged and in order, from any number on;
/// * that each number is used once, by either handle, and none is skipped;
/// * that segments begin and end where they should, and that earlier ones can be removed, if the store has segments;
/// * that a line may be appended once more after its answer was lost;
/// * that documents of several MiB are returned unchanged;
/// * that each handle sees the writes of the other.
///
/// It does not check crashes. Test those yourself.
///
/// # Errors
///
/// Describes the first difference.
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
    expect_empty("the store", store)?;
    expect_empty("the other handle", other)?;
    expect_error("a first line of number 2", store.append(2, &line(2)))?;
    expect_lines("after a line with a gap before it", &all(store, 1)?, &[])?;

    expect_ok("the first line", store.append(1, FIRST))?;
    let mut written = vec![FIRST.to_vec()];
    for number in 2..=40 {
        expect_ok("a line that follows", store.append(number, &line(number)))?;
        written.push(line(number));
    }
    for from in [1, 2, 20, 40, 41, 42, u64::MAX] {
        let skipped = usize::try_from(from - 1).unwrap_or(usize::MAX).min(written.len());
        let expected = written.get(skipped..).unwrap_or_default();
        expect_lines(&format!("read from {from}"), &all(store, from)?, expected)?;
        expect_lines(
            &format!("read by the other handle from {from}"),
            &all(other, from)?,
            expected,
        )?;
    }

    expect_conflict("another line of the last number", store.append(40, b"{\"n\":\"another\"}\n"))?;
    expect_conflict(
        "another line of an earlier number",
        store.append(7, b"{\"n\":\"another\"}\n"),
    )?;
    expect_error("a line with a gap before it", store.append(42, &line(42)))?;
    expect_lines("after lines that were refused", &all(store, 1)?, &written)?;

    expect_ok("the same line once more, as after a lost answer,", store.append(40, &line(40)))?;
    expect_lines("after the same line once more", &all(store, 1)?, &written)?;
    expect_ok("a line after that", store.append(41, &line(41)))?;
    written.push(line(41));

    match other.append(41, b"{\"n\":\"the other's\"}\n") {
        Err(error) if error.is_read_only() => {}
        appended => {
            expect_conflict("a line of the other handle for a number that is taken", appended)?;
            expect_conflict("the very same line by the other handle", other.append(41, &line(41)))?;
            expect_ok("the next line by the other handle", other.append(42, &line(42)))?;
            written.push(line(42));
            let late = store.append(42, b"{\"n\":\"late\"}\n");
            expect_conflict("a line for a number that the other handle has taken", late)?;
        }
    }
    expect_lines("in the end", &all(store, 1)?, &written)?;
    expect_lines("in the end, by the other handle", &all(other, 1)?, &written)?;
    segments(store, other, written)
}

fn segments(
    store: &mut dyn Store,
    other: &mut dyn Store,
    mut written: Vec<Vec<u8>>,
) -> Result<(), String> {
    let first = written.len() as u64 + 1;
    // A store without segments stays in one piece.
    expect_segment("before a segment began", store, u64::MAX, 1)?;
    let late = store.begin_segment(first - 1, b"{\"n\":\"late\"}\n");
    expect_conflict("a segment that begins with a number that is taken", late)?;
    for begin in [first, first + 10] {
        expect_ok("the first line of a segment", store.begin_segment(begin, &line(begin)))?;
        written.push(line(begin));
        for number in begin + 1..begin + 10 {
            expect_ok("a line of a segment", store.append(number, &line(number)))?;
            written.push(line(number));
        }
        let again = store.append(begin + 9, &line(begin + 9));
        expect_ok("the same line of a segment once more", again)?;
    }
    expect_lines("all segments", &all(store, 1)?, &written)?;
    expect_lines("all segments by the other handle", &all(other, 1)?, &written)?;
    let last = store.segment_of(u64::MAX).map_err(|error| format!("the last segment: {error}"))?;
    if last == 1 {
        // The store keeps its journal in one piece.
        return Ok(());
    }
    expect_segments(store, first, first + 10)?;
    expect_segments(other, first, first + 10)?;
    expect_error("removing lines in a segment", store.remove_segments_before(first + 1))?;
    expect_ok("removing the first segment", store.remove_segments_before(first))?;
    let kept = written.get(usize::try_from(first).unwrap_or_default() - 1..).unwrap_or_default();
    expect_removed(store, first, kept)?;
    expect_removed(other, first, kept)?;
    expect_ok("a line after a removal", store.append(first + 20, &line(first + 20)))?;
    expect_lines("the other handle after a removal", &all(other, first + 20)?, &[line(first + 20)])
}

/// Checks which of three segments each line is in.
fn expect_segments(handle: &mut dyn Store, second: u64, third: u64) -> Result<(), String> {
    for (number, begin) in [
        (0, 1),
        (1, 1),
        (second - 1, 1),
        (second, second),
        (third - 1, second),
        (third, third),
        (u64::MAX, third),
    ] {
        expect_segment("of three segments", handle, number, begin)?;
    }
    Ok(())
}

/// Checks that only the lines from `first` on are left.
fn expect_removed(handle: &mut dyn Store, first: u64, kept: &[Vec<u8>]) -> Result<(), String> {
    expect_segment("after the first was removed", handle, 1, first)?;
    expect_lines("after the first segment was removed", &all(handle, first)?, kept)?;
    match handle.read(1) {
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(format!("a removed line is not reported as missing: {error}")),
        Ok(_) => Err("a removed line was read".to_owned()),
    }
}

fn expect_segment(
    what: &str,
    handle: &mut dyn Store,
    number: u64,
    begin: u64,
) -> Result<(), String> {
    match handle.segment_of(number) {
        Ok(found) if found == begin => Ok(()),
        Ok(found) => {
            Err(format!("{what}: the segment of line {number} begins with {found}, not {begin}"))
        }
        Err(error) => Err(format!("{what}: the segment of line {number}: {error}")),
    }
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
                    "a document that was not kept is not reported as missing: {error}"
                ));
            }
            Ok(_) => return Err("a document that was not kept is there".to_owned()),
        }
        expect_ok("a document", store.keep(&hash, content))?;
        expect_ok("the same document once more", store.keep(&hash, content))?;
    }
    // Read only after all are written, to see that none replaced another.
    for content in contents {
        expect_document(content, store)?;
        expect_document(content, other)?;
    }
    Ok(())
}

fn expect_empty(name: &str, handle: &mut dyn Store) -> Result<(), String> {
    for from in [1, 2, u64::MAX] {
        expect_lines(&format!("{name}, empty, read from {from}"), &all(handle, from)?, &[])?;
    }
    Ok(())
}

fn expect_document(content: &[u8], handle: &mut dyn Store) -> Result<(), String> {
    let (hash, len) = (Hash::of(content).to_string(), content.len());
    let found = handle.document(&hash);
    let found = found.map_err(|error| format!("a document of {len} bytes: {error}"))?;
    if found != content {
        let found = found.len();
        return Err(format!("a document of {len} bytes was read back as {found} other bytes"));
    }
    Ok(())
}

/// Reads all lines from a number on, in several reads if the store needs them.
fn all(store: &mut dyn Store, from: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    loop {
        let next = from.saturating_add(found.len() as u64);
        let some = store.read(next).map_err(|error| format!("reading from {next}: {error}"))?;
        if some.is_empty() {
            return Ok(found);
        }
        if !some.ends_with(b"\n") {
            return Err(format!("reading from {next}: the last line has no line end"));
        }
        found.extend(lines(&some).map(|line| [line, b"\n"].concat()));
    }
}

fn expect_lines(what: &str, found: &[Vec<u8>], expected: &[Vec<u8>]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let place = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (found, expected) = (found.len(), expected.len());
    Err(format!(
        "{what}: {found} lines instead of {expected}, of which the first {place} are right"
    ))
}

fn expect_ok(what: &str, result: Result<(), StoreError>) -> Result<(), String> {
    result.map_err(|error| format!("{what} was refused: {error}"))
}

fn expect_error(what: &str, result: Result<(), StoreError>) -> Result<(), String> {
    result.err().map(|_| ()).ok_or_else(|| format!("{what} was accepted"))
}

fn expect_conflict(what: &str, result: Result<(), StoreError>) -> Result<(), String> {
    match result {
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(format!("{what} was refused, but not as a conflict: {error}")),
        Ok(()) => Err(format!("{what} was accepted")),
    }
}
