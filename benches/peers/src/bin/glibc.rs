//! Times all peers with the system's allocator.

#![forbid(unsafe_code)]

fn main() {
    stagegate_peers::time::main();
}
