//! Systems whose permissions the standard library cannot read. Every file passes.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use super::Owner;

pub(super) fn check(_: &Path, _: &Metadata, _: Owner) -> io::Result<()> {
    Ok(())
}

pub(super) fn id(_: &Metadata) -> (u64, u64) {
    (0, 0)
}
