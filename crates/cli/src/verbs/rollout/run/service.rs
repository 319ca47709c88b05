//! What a service manager is told: systemd's protocol of `sd_notify`.

use std::path::PathBuf;

/// Where the service manager listens, if there is one.
pub(super) struct Service(Option<PathBuf>);

impl Service {
    /// `NOTIFY_SOCKET`, where it is a path.
    pub(super) fn of_environment() -> Service {
        let socket = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
        Service(socket.filter(|path| path.is_absolute()))
    }

    /// Says something. Whoever does not listen misses it, and that is all.
    #[cfg(unix)]
    pub(super) fn notify(&self, state: &str) {
        use std::os::unix::net::UnixDatagram;

        if let (Some(path), Ok(socket)) = (&self.0, UnixDatagram::unbound()) {
            let _ = socket.send_to(state.as_bytes(), path);
        }
    }

    #[cfg(not(unix))]
    pub(super) fn notify(&self, _: &str) {
        let _ = &self.0;
    }
}
