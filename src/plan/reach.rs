//! Names that refer to each other: groups that include groups, and flags that require flags.

use std::collections::BTreeMap;

/// Why the references of a node have no end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endless {
    /// The nodes from this one back to itself. Only the first node of a circle reports it.
    Circle(Vec<usize>),
    /// The node is in a circle that another node reports.
    InCircle,
    /// The node reaches more nodes than it may: this many.
    TooMany(usize),
}

impl Endless {
    /// Returns the next node of the circle, if it is one, what is wrong, and a hint. `None` if another node reports it.
    ///
    /// `name` returns the name of a node; noun and verb are those of the references: `flag` and `require`.
    pub(super) fn explain<'n>(
        &self,
        name: impl Fn(usize) -> &'n str,
        (noun, verb): (&str, &str),
    ) -> Option<(Option<&'n str>, String, String)> {
        match self {
            Endless::InCircle => None,
            Endless::Circle(circle) => {
                let way: Vec<&str> = circle.iter().map(|node| name(*node)).collect();
                let wrong = format!("and a {noun} cannot {verb} itself: {}", way.join(" > "));
                Some((way.get(1).copied(), wrong, "leave it out".to_owned()))
            }
            Endless::TooMany(most) => {
                let wrong = format!("and the {noun} {verb}s more than {most} others");
                Some((None, wrong, format!("{verb} fewer {noun}s")))
            }
        }
    }
}

/// Returns the nodes that each node reaches, sorted. `edges` has the direct references of each node.
///
/// Looks at `most` nodes from each node, and needs no recursion.
pub(super) fn reach(edges: &[Vec<usize>], most: usize) -> Vec<Result<Vec<usize>, Endless>> {
    (0..edges.len()).map(|start| reach_from(start, edges, most)).collect()
}

fn reach_from(start: usize, edges: &[Vec<usize>], most: usize) -> Result<Vec<usize>, Endless> {
    // Each reached node, with the node before it.
    let mut reached: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for &next in edges.get(node).into_iter().flatten() {
            if next == start {
                return Err(circle(start, node, &reached));
            }
            if reached.contains_key(&next) {
                continue;
            }
            reached.insert(next, node);
            open.push(next);
            if reached.len() > most {
                return Err(Endless::TooMany(most));
            }
        }
    }
    Ok(reached.into_keys().collect())
}

/// Returns the circle from `start` through the node `last`.
fn circle(start: usize, last: usize, reached: &BTreeMap<usize, usize>) -> Endless {
    let mut nodes = vec![last];
    while let Some(before) = nodes.last().and_then(|node| reached.get(node)) {
        nodes.push(*before);
    }
    if nodes.iter().any(|node| *node < start) {
        return Endless::InCircle;
    }
    nodes.reverse();
    nodes.push(start);
    Endless::Circle(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_reported_once_and_diamonds_are_none() {
        let edges =
            [vec![1, 2], vec![3], vec![3], vec![], vec![5], vec![6], vec![4, 3], vec![4], vec![8]];
        let found = reach(&edges, 3);
        assert_eq!(found[0], Ok(vec![1, 2, 3]));
        assert_eq!(found[4], Err(Endless::Circle(vec![4, 5, 6, 4])));
        assert_eq!(found[5], Err(Endless::InCircle));
        assert_eq!(found[6], Err(Endless::InCircle));
        assert_eq!(found[7], Err(Endless::TooMany(3)));
        assert_eq!(found[8], Err(Endless::Circle(vec![8, 8])));
        assert_eq!(reach(&edges, 2)[0], Err(Endless::TooMany(2)));
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let edges: Vec<_> =
            (1..=100_000).map(|next| if next < 100_000 { vec![next] } else { vec![] }).collect();
        let found = reach(&edges, 64);
        assert_eq!(found[0], Err(Endless::TooMany(64)));
        assert_eq!(found[99_999], Ok(vec![]));
    }
}
