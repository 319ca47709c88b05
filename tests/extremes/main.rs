//! No public function panics on extreme arguments. The list of functions comes from the source files, so that the test
//! misses no function.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod calls;
mod gate;
mod guard;
mod integrate;
mod plan;
mod rollout;
mod source;
mod store;
mod values;

use calls::Calls;

/// Functions that the test does not call, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

#[test]
fn no_public_function_panics_on_extreme_arguments() {
    let mut calls = Calls::new();
    values::call(&mut calls);
    gate::call(&mut calls);
    plan::call(&mut calls);
    rollout::call(&mut calls);
    store::call(&mut calls);
    guard::call(&mut calls);
    integrate::call(&mut calls);
    source::call(&mut calls);
    let (called, panics) = calls.end();
    assert!(panics.is_empty(), "{} panics:\n{}", panics.len(), panics.join("\n"));

    let public = api::of_the_crate();
    assert!(public.len() > 250, "found {} functions only", public.len());
    let excepted = |name: &&String| EXCEPTIONS.iter().any(|(exception, _)| exception == name);
    let forgotten: Vec<_> = public
        .iter()
        .filter(|name| !called.contains(*name))
        .filter(|name| !excepted(name))
        .collect();
    assert!(forgotten.is_empty(), "{} are not called: {forgotten:#?}", forgotten.len());
    let unknown: Vec<_> = called.iter().filter(|name| !public.contains(*name)).collect();
    assert!(unknown.is_empty(), "called, but not found among the public functions: {unknown:?}");
    for (exception, reason) in EXCEPTIONS {
        assert!(
            public.contains(*exception),
            "the exception {exception} no longer exists ({reason})"
        );
    }
}
