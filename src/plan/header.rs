//! The header of a plan: `project`, `version` and `last_updated`.

use std::sync::Arc;

use super::fields::Fields;
use super::model::{Date, read_date};
use super::report::Report;

/// The header of a plan. It is only for people.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) project: Option<Arc<str>>,
    pub(super) version: Option<Arc<str>>,
    pub(super) last_updated: Option<Date>,
}

impl Header {
    pub(super) fn read<'a>(fields: &mut Fields<'_, 'a>, report: &mut Report<'a>) -> Header {
        let project = fields.take_text("project", report).map(Arc::from);
        let version = fields.take_text("version", report).map(Arc::from);
        let last_updated = fields.read("last_updated", report, read_date).flatten();
        Header { project, version, last_updated }
    }
}
