//! The direction of a metric.

use crate::plan::model::metric::quantity::Bound;
use crate::plan::model::word::words;

words! {
    /// The direction of a metric: whether smaller or larger values are better.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    /// use stagegate::model::Better;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [metrics.revenue]
    ///     title = "Revenue per user"
    ///     unit = "number"
    ///     better = "more"
    ///     source = "people"
    ///     [flags.search]
    /// "#)?;
    /// assert_eq!(plan.metrics().next().unwrap().better, Some(Better::More));
    /// assert_eq!(Better::More.to_string(), "more");
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Better: "not a direction of a metric" {
        /// Less is better: errors, response times, complaints (`less`).
        Less = "less",
        /// More is better: revenue, a Net Promoter Score (`more`).
        More = "more",
    }
}

impl Better {
    /// Returns whether the values within a bound are the good ones.
    pub(in crate::plan::model) fn has_good_values_within(self, bound: Bound) -> bool {
        bound.is_upper() == (self == Better::Less)
    }

    /// Returns the opposite direction.
    pub(in crate::plan::model) fn opposite(self) -> Better {
        match self {
            Better::Less => Better::More,
            Better::More => Better::Less,
        }
    }
}
