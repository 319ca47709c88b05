//! Notifications to a service manager, by systemd's protocol `sd_notify`.

use std::path::PathBuf;

/// The socket of the service manager, if there is one.
pub(super) struct ServiceManager(Option<PathBuf>);

impl ServiceManager {
    /// Reads `NOTIFY_SOCKET`. Ignores a value that is not an absolute path.
    pub(super) fn from_environment() -> ServiceManager {
        let socket = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
        ServiceManager(socket.filter(|path| path.is_absolute()))
    }

    /// Sends a state. Ignores errors, because the service works without its manager.
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
