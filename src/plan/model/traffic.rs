//! `traffic`: the requests and users of the service.

use crate::percent::Percent;
use crate::plan::fields::Fields;
use crate::plan::model::metric::quantity::{Quantity, Unit};
use crate::plan::model::metric::threshold;
use crate::plan::node::{Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The traffic of the service that checks a flag, as the document declares it.
///
/// No answer and no promotion depends on it. It serves forecasts: the faults that a stage is long enough to find, and
/// the number of users that a step affects.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     traffic = { requests_per_minute = 3000, error_rate = "0.4%", users = 120_000 }
/// "#)?;
/// let traffic = plan.flag("search").unwrap().traffic().unwrap();
/// assert_eq!(traffic.requests_per_minute, 3_000);
/// assert_eq!(traffic.error_rate.ppm(), 4_000);
/// assert_eq!(traffic.users, Some(120_000));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DeclaredTraffic {
    /// Requests per minute that check the flag, of all users together. At least 1.
    pub requests_per_minute: u64,
    /// The share of requests that fails in normal operation. More than 0% and less than 100%.
    pub error_rate: Percent,
    /// The number of users. At least 1.
    pub users: Option<u64>,
}

pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<DeclaredTraffic> {
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write how many requests ask for the flag: `requests_per_minute = 3000`";
    let requests = fields.required("requests_per_minute", hint, report, |node, path, report| {
        threshold::count_from_one(node, path, "no request at all", report)
    });
    let hint = "write the share that fails when all is well: `error_rate = \"0.4%\"`";
    let errors = fields.required("error_rate", hint, report, read_share);
    let users = fields.read("users", report, |node, path, report| {
        threshold::count_from_one(node, path, "no user at all", report)
    });
    fields.finish(report);
    Some(DeclaredTraffic {
        requests_per_minute: requests?,
        error_rate: errors?,
        users: users.flatten(),
    })
}

/// Reads `error_rate`. Refuses 0% and 100%, because the guard's forecast assumes a fault with twice the errors: twice
/// 0% is still 0%, and no rate is above 100%.
fn read_share<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Percent> {
    let wrong = match &node.value {
        Value::Text(text) => match Quantity::parse(text, Unit::Percent) {
            Ok(Quantity::Percent(Percent::NONE)) => "no error at all".to_owned(),
            Ok(Quantity::Percent(Percent::ALL)) => {
                "which means that every request fails".to_owned()
            }
            Ok(Quantity::Percent(share)) => return Some(share),
            Ok(_) => "not a percentage".to_owned(),
            Err(error) => error.to_string(),
        },
        _ => "not a text".to_owned(),
    };
    let hint = "write more than 0% and less than 100%, for example \"0.4%\"";
    report.found(node, path, wrong, hint);
    None
}
