//! Files of users, one per line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use stagegate::User;

use crate::escape::terminal;
use crate::failure::Failure;

/// A user and its key.
pub(crate) struct UserLine<'l> {
    pub(crate) key: &'l str,
    pub(crate) user: User<'l>,
}

/// The longest line, in bytes.
const MAX_LINE: usize = 64 << 10;

/// The most invalid lines that an error lists. Further lines are counted.
const MAX_LISTED: usize = 20;

/// Passes each user of a file to `each`. Keeps only one line in memory. `-` is standard input.
///
/// # Errors
///
/// One error lists all invalid lines. `each` then has seen only the users before the first of them.
pub(crate) fn read(path: &Path, each: impl FnMut(&UserLine<'_>)) -> Result<(), Failure> {
    if path.as_os_str() == "-" {
        return read_from(std::io::stdin().lock(), "(standard input)", each);
    }
    let name = path.display().to_string();
    let name = terminal(&name);
    let file =
        File::open(path).map_err(|error| Failure::io(&format!("cannot read `{name}`"), &error))?;
    read_from(BufReader::with_capacity(1 << 16, file), &name, each)
}

fn read_from(
    mut reader: impl BufRead,
    name: &str,
    mut each: impl FnMut(&UserLine<'_>),
) -> Result<(), Failure> {
    let failed = |error| Failure::io(&format!("cannot read `{name}`"), &error);
    let bound = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(1);
    let (mut line, mut number, mut bad, mut listed) = (Vec::new(), 0_u64, 0_u64, Vec::new());
    loop {
        line.clear();
        let read = reader.by_ref().take(bound).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            break;
        }
        number += 1;
        let is_cut = read > MAX_LINE && !line.ends_with(b"\n");
        let content = if is_cut {
            reader.skip_until(b'\n').map_err(failed)?;
            Err(format!("more than {MAX_LINE} bytes"))
        } else {
            let text = if number == 1 { strip_bom(&line) } else { &line };
            parse(text)
        };
        match content {
            Ok(Some(user)) if bad == 0 => each(&user),
            Ok(_) => {}
            Err(wrong) => {
                bad += 1;
                if listed.len() < MAX_LISTED {
                    listed.push(format!("{name}:{number}: {wrong}"));
                }
            }
        }
    }
    if bad == 0 {
        return Ok(());
    }
    let mut text =
        format!("the users file has {bad} invalid line{}", if bad == 1 { "" } else { "s" });
    for line in &listed {
        text = text + "\n  " + line;
    }
    if bad > MAX_LISTED as u64 {
        text += &format!("\n  and {} more", bad - MAX_LISTED as u64);
    }
    text += "\n  write one key per line, then its attributes: KEY<TAB>NAME=VALUE";
    Err(Failure::Usage(text))
}

/// Removes the byte order mark that some editors write at the start of a file.
fn strip_bom(line: &[u8]) -> &[u8] {
    line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
}

/// Parses a line. Returns `None` for an empty line.
fn parse(line: &[u8]) -> Result<Option<UserLine<'_>>, String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    let mut fields = text.split('\t');
    let key = fields.next().unwrap_or_default();
    if key.is_empty() {
        return Err("no key before the first tab".to_owned());
    }
    if key.trim() != key {
        return Err(format!("`{}` has white space around it", excerpt(key)));
    }
    let mut user = User::new(key);
    for field in fields {
        let (name, value) = match field.split_once('=') {
            Some((name, value)) if !name.is_empty() => (name, value),
            _ => return Err(format!("`{}` is not an attribute NAME=VALUE", excerpt(field))),
        };
        user = user.attribute(name, value);
    }
    Ok(Some(UserLine { key, user }))
}

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", terminal(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &[u8]) -> Result<Vec<String>, Failure> {
        let mut keys = Vec::new();
        read_from(text, "users.txt", |line| keys.push(line.key.to_owned()))?;
        Ok(keys)
    }

    #[test]
    fn each_line_is_a_user() {
        let text = b"\xef\xbb\xbfana\r\n\r\n\nben\tregion=eu\ttier=\n\xc3\xbc x\tq=a=b";
        assert_eq!(keys(text).expect("good lines"), ["ana", "ben", "ü x"]);
        assert!(keys(b"").expect("good lines").is_empty());
    }

    #[test]
    fn every_invalid_line_is_listed_by_number() {
        let long = "x".repeat(MAX_LINE + 1);
        let text =
            format!("ana\n ben\n\ta=b\ncleo\ta\ncleo\t=b\ncleo\ta=1\ta=1\n{long}\nok\n\u{1b}\t\n");
        let mut text = text.into_bytes();
        text.extend(b"\xff\n");
        let Err(Failure::Usage(message)) = keys(&text) else { panic!("accepted") };
        assert_eq!(
            message,
            "the users file has 7 invalid lines
  users.txt:2: ` ben` has white space around it
  users.txt:3: no key before the first tab
  users.txt:4: `a` is not an attribute NAME=VALUE
  users.txt:5: `=b` is not an attribute NAME=VALUE
  users.txt:7: more than 65536 bytes
  users.txt:9: `` is not an attribute NAME=VALUE
  users.txt:10: not UTF-8
  write one key per line, then its attributes: KEY<TAB>NAME=VALUE"
        );
        let Err(Failure::Usage(message)) = keys(&b" a\n".repeat(23)) else { panic!("accepted") };
        assert!(message.contains("\n  and 3 more\n"), "{message}");
    }

    #[test]
    fn a_line_of_the_longest_length_is_accepted() {
        let line = "x".repeat(MAX_LINE - 1);
        assert_eq!(keys(format!("{line}\nb\n").as_bytes()).expect("good lines").len(), 2);
        let line = "x".repeat(MAX_LINE);
        assert_eq!(keys(line.as_bytes()).expect("good lines").len(), 1);
    }
}
