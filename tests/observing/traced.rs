//! `tracing` events.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use stagegate::integrate::{Tracing, trace_evaluation, trace_evaluation_with_user};
use stagegate::rollout::{Notification, NotificationKind, Sink};
use stagegate::{Gate, StageName};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::story::Story;
use super::{CANARY, no_user_in};

/// A layer that stores each event as a line: level, target, name, fields.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let line = format!("{} {} {}:{}", about.level(), about.target(), about.name(), fields.0);
        self.0.lock().unwrap().push(line);
    }
}

fn events(act: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    tracing::subscriber::with_default(Registry::default().with(lines.clone()), act);
    std::mem::take(&mut *lines.0.lock().unwrap())
}

#[test]
fn each_change_is_one_event() {
    let mut story = Story::new();
    let events = events(|| {
        story.rollout.tell(Tracing);
        story.rollout.gate().observe(Tracing);
        story.play();
        assert!(story.rollout.gate().is_enabled(CANARY, "checkout"));
        let _ = story.rollout.gate().set_stage("dark", "nowhere");
    });
    no_user_in(events.join("\n"));
    let found = events.join("\n") + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/observing.events");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "differs from the golden file; found:\n{found}");
}

#[test]
fn notifications_that_need_attention_are_warnings() {
    let kinds = [
        (NotificationKind::StageChanged, "INFO"),
        (NotificationKind::RolledBack, "WARN"),
        (NotificationKind::Held, "INFO"),
        (NotificationKind::Resumed, "INFO"),
        (NotificationKind::IncidentStep, "INFO"),
        (NotificationKind::Decision, "WARN"),
        (NotificationKind::Escalation, "WARN"),
        (NotificationKind::VerdictChanged, "INFO"),
        (NotificationKind::MetricAlert, "WARN"),
        (NotificationKind::WatchMissed, "WARN"),
        (NotificationKind::MessageDue, "INFO"),
    ];
    for (kind, level) in kinds {
        let at = std::time::SystemTime::UNIX_EPOCH;
        let mut it = Notification::new("a", kind, StageName::OFF, at, "so it is");
        (it.responsible, it.answer_by, it.record) = (Some("on call".into()), Some(at), Some(7));
        let name = kind.name();
        let expected = format!(
            "{level} stagegate stagegate.notification: message=so it is kind=\"{name}\" flag=\"a\" stage=\"off\" record=7 responsible=\"on call\" answer_by=\"1970-01-01T00:00:00Z\""
        );
        assert_eq!(events(|| Tracing.tell(&it)), [expected]);
    }
}

#[test]
fn an_evaluation_follows_the_opentelemetry_convention() {
    let document = "schema = 1\n[groups.team]\nusers = [\"canary-user\"]\n[flags.a]\nstage = \"ga\"\n[flags.off]\nstage = \"off\"\n[flags.split]\nstage = \"pilot\"\nstages = [{ name = \"pilot\", percent = 10 }, { name = \"ga\", percent = 100 }]\n[flags.team]\nstage = \"internal\"\nstages = [{ name = \"internal\", groups = [\"team\"] }, { name = \"ga\", percent = 100 }]";
    let gate = Gate::from_document(document).unwrap();
    let all = [
        ("a", "on", "static", ""),
        ("off", "off", "disabled", ""),
        ("split", "off", "split", ""),
        ("team", "on", "targeting_match", ""),
        ("nowhere", "off", "error", " error.type=\"flag_not_found\""),
    ];
    for (flag, variant, reason, error) in all {
        let evaluation = gate.evaluate(CANARY, flag);
        assert_eq!(evaluation.reason.as_str().to_lowercase(), reason, "{flag}");
        let fields = format!(
            "INFO stagegate feature_flag.evaluation: message=feature_flag.evaluation feature_flag.key=\"{flag}\" feature_flag.result.variant=\"{variant}\" feature_flag.result.reason=\"{reason}\" feature_flag.version=1 feature_flag.provider.name=\"stagegate\""
        );
        let without = events(|| trace_evaluation(flag, &evaluation));
        assert_eq!(without, [no_user_in(format!("{fields}{error}"))]);
        let with = events(|| trace_evaluation_with_user(CANARY, flag, &evaluation));
        assert_eq!(with, [format!("{fields} feature_flag.context.id=canary-user{error}")]);
    }
}

/// The full error quotes values of the document, and such a value may be a user.
#[test]
fn a_refused_document_is_not_quoted() {
    let gate = Gate::from_document("schema = 1\n[flags.a]").unwrap();
    gate.observe(Tracing);
    let document =
        "schema = 1\n[groups.team]\nusers = [\"b\", [\"canary-user\"]]\ncanary-key = 1\n[flags.a]";
    let events = events(|| {
        let error = gate.update(document).unwrap_err();
        assert!(error.to_string().contains("canary-key"), "{error}");
    });
    let expected = "ERROR stagegate stagegate.update: message=update refused error=problems in the document: 2, the first at (text):3";
    assert_eq!(events, [expected]);
}

#[test]
fn evaluations_emit_no_events() {
    let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"").unwrap();
    gate.observe(Tracing);
    assert_eq!(events(|| assert!(gate.evaluate(CANARY, "a").enabled)), [""; 0]);
}
