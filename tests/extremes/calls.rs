//! Records calls, and the panics of every thread.

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Allows one `Calls` at a time, because a process has one panic hook.
static HOOK: Mutex<()> = Mutex::new(());

pub(crate) struct Calls {
    _hook: MutexGuard<'static, ()>,
    called: BTreeSet<String>,
    /// The function that is being called.
    current: Arc<Mutex<String>>,
    panics: Arc<Mutex<Vec<String>>>,
}

impl Calls {
    /// Records every panic of the process from now on, also in threads that the crate starts.
    pub(crate) fn new() -> Calls {
        let hook = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
        let (current, panics) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (of, sink) = (Arc::clone(&current), Arc::clone(&panics));
        panic::set_hook(Box::new(move |panic| {
            let name = of.lock().map(|name| name.clone()).unwrap_or_default();
            let text = format!("{name}: {panic}");
            let mut sink = sink.lock().unwrap();
            if !sink.contains(&text) {
                sink.push(text);
            }
        }));
        Calls { _hook: hook, called: BTreeSet::new(), current, panics }
    }

    /// Calls a function and returns its result. Records a panic and returns `None`.
    pub(crate) fn call<T>(&mut self, name: &str, call: impl FnOnce() -> T) -> Option<T> {
        self.called.insert(name.to_owned());
        name.clone_into(&mut self.current.lock().unwrap());
        catch_unwind(AssertUnwindSafe(call)).ok()
    }

    /// Returns the called functions and the panics.
    pub(crate) fn end(mut self) -> (BTreeSet<String>, Vec<String>) {
        let panics = std::mem::take(&mut *self.panics.lock().unwrap());
        (std::mem::take(&mut self.called), panics)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test itself has failed, and the panics may show why.
            eprintln!("{}", self.panics.lock().unwrap().join("\n"));
        } else {
            let _ = panic::take_hook();
        }
    }
}

#[test]
fn panics_of_every_thread_are_recorded_with_the_function() {
    let mut calls = Calls::new();
    assert_eq!(calls.call("good", || 7), Some(7));
    assert_eq!(calls.call("bad", || -> u8 { panic!("first") }), None);
    let thread = calls.call("thread", || std::thread::spawn(|| panic!("second")).join().is_err());
    assert_eq!(thread, Some(true));
    let (called, panics) = calls.end();
    assert_eq!(called.into_iter().collect::<Vec<_>>(), ["bad", "good", "thread"]);
    assert_eq!(panics.len(), 2, "{panics:?}");
    assert!(panics[0].starts_with("bad: ") && panics[0].ends_with("first"), "{panics:?}");
    assert!(panics[1].starts_with("thread: ") && panics[1].ends_with("second"), "{panics:?}");
}
