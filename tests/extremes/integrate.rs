//! Notification targets and metric sources: programs and servers with odd answers, and extreme deadlines.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use stagegate::guard::Judgement;
use stagegate::http::Endpoint;
use stagegate::integrate::{
    Command, Figures, JsonLines, Metrics, Prometheus, Webhook, trace_evaluation,
    trace_evaluation_with_user,
};
use stagegate::rollout::{Delivery, Notification, NotificationKind, OutboxStatus, Rollout};
use stagegate::store::Memory;
use stagegate::{Gate, StageName};

use crate::calls::Calls;
use crate::plan::DOCUMENT;
use crate::values::{DURATIONS, texts, times};

pub(crate) fn call(calls: &mut Calls) {
    programs(calls);
    endpoints(calls);
    figures(calls);
    let gate = Gate::from_document(DOCUMENT).unwrap();
    for text in texts() {
        let evaluation = gate.evaluate(&*text, &text);
        calls.call("trace_evaluation", || trace_evaluation(&text, &evaluation));
        calls.call("trace_evaluation_with_user", || {
            trace_evaluation_with_user(&text, &text, &evaluation);
        });
        let path = crate::store::scratch("lines").join(&text);
        let mut lines = calls.call("JsonLines::new", || JsonLines::new(path)).unwrap();
        drop(lines.deliver(&news(&text)));
    }
}

fn news(text: &str) -> Notification {
    let at = *times().last().unwrap();
    Notification::new(text, NotificationKind::Held, StageName::OFF, at, text)
}

fn programs(calls: &mut Calls) {
    for text in texts() {
        let command = calls.call("Command::new", || Command::new(&*text)).unwrap();
        let command =
            calls.call("Command::with_argument", || command.with_argument(&*text)).unwrap();
        let command = calls.call("Command::passing", || command.passing(&*text)).unwrap();
        let mut command =
            calls.call("Command::with_variable", || command.with_variable(&*text, &*text)).unwrap();
        calls.call("Command::new", || command.deliver(&news(&text)).is_ok());
        let mut named = Command::new("true").with_variable(&*text, "=").passing(&*text);
        calls.call("Command::passing", || named.deliver(&news(&text)).is_ok());
    }
    for deadline in DURATIONS {
        let command = Command::new("true");
        let mut command =
            calls.call("Command::with_deadline", || command.with_deadline(deadline)).unwrap();
        calls.call("Command::with_deadline", || command.deliver(&news("a")).is_ok());
    }
}

/// Starts a server that answers every request with this body. Returns its URL.
pub(crate) fn server(body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/")
}

fn endpoints(calls: &mut Calls) {
    let server = server("{}");
    for text in texts() {
        let endpoint = calls.call("Endpoint::new", || Endpoint::new(&*text)).unwrap();
        calls.call("Webhook::new", || Webhook::new(endpoint).map(drop));
        let endpoint = || Endpoint::new(&*server).with_deadline(Duration::from_secs(1));
        let token = calls
            .call("Endpoint::with_bearer_token", || endpoint().with_bearer_token(&text))
            .unwrap();
        let basic = calls
            .call("Endpoint::with_basic_auth", || endpoint().with_basic_auth(&text, &text))
            .unwrap();
        let header =
            calls.call("Endpoint::with_header", || endpoint().with_header(&text, &text)).unwrap();
        let roots = calls
            .call("Endpoint::with_root_certificates", || endpoint().with_root_certificates(&*text));
        let plain = calls
            .call("Endpoint::allowing_plain_http", || endpoint().allowing_plain_http())
            .unwrap();
        for endpoint in [token, basic, header, roots.unwrap(), plain] {
            drop(format!("{endpoint:?}"));
            let webhook = calls.call("Webhook::new", || Webhook::new(endpoint.clone())).unwrap();
            if let Ok(mut webhook) = webhook {
                calls.call("Webhook::new", || webhook.deliver(&news(&text)).is_ok());
            }
            calls.call("Prometheus::new", || Prometheus::new(endpoint).map(drop));
        }
    }
    for deadline in DURATIONS {
        let endpoint = || Endpoint::new(&*server).with_deadline(deadline);
        let endpoint = calls.call("Endpoint::with_deadline", endpoint).unwrap();
        let mut webhook = Webhook::new(endpoint).unwrap();
        calls.call("Endpoint::with_deadline", || webhook.deliver(&news("a")).is_ok());
    }
}

fn figures(calls: &mut Calls) {
    let clock = stagegate::clock::ManualClock::at(SystemTime::UNIX_EPOCH);
    let rollout = Rollout::start(Memory::new(), clock.clone(), DOCUMENT, "ana").unwrap();
    let metrics = calls.call("Metrics::new", Metrics::new).unwrap();
    for time in DURATIONS {
        clock.advance(time);
        let plan = rollout.plan();
        let figures = calls.call("Figures::of", || Figures::of(&rollout.status(), &plan)).unwrap();
        let nothing: [&Judgement; 0] = [];
        let figures = calls
            .call("Figures::with_judgements", || figures.with_judgements(&plan, nothing))
            .unwrap();
        let figures = texts().iter().try_fold(figures, |figures, text| {
            let status = OutboxStatus::default();
            calls.call("Figures::with_outbox", || figures.with_outbox(text, &status))
        });
        let figures =
            calls.call("Figures::with_lead", || figures.unwrap().with_lead(true)).unwrap();
        calls.call("Figures::with_store", || figures.clone().with_store(false)).unwrap();
        drop(figures.to_string());
        calls.call("Metrics::publish", || metrics.publish(&figures));
    }
}
