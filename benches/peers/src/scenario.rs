//! The scenarios in which every peer is timed.

/// The percentage of every flag.
pub const PERCENT: u64 = 25;

/// The number of users, who are checked in turn, so that the compiler cannot hoist an answer and the processor cannot
/// learn a branch. A power of two, so that wrapping around costs one `and`.
pub const USERS: usize = 1024;

/// A library under test.
pub trait Peer: Send + Sync + Sized {
    /// The label of the peer's row.
    const NAME: &'static str;
    /// What a request handler keeps for a flag: its name, or a handle.
    type Flag: Send + Sync;
    /// What a request handler passes for a user: the id, or an object built from the id beforehand.
    type User: Send + Sync;

    fn new(plan: &Plan) -> Self;
    fn flag(&self, name: &str) -> Self::Flag;
    fn user(&self, id: &str) -> Self::User;
    /// The call that is timed.
    fn is_enabled(&self, flag: &Self::Flag, user: &Self::User) -> bool;
}

/// The flags to configure, all at [`PERCENT`] and with the same allow-list.
pub struct Plan {
    pub flags: Vec<String>,
    /// The allow-list: users who have every flag. May be empty.
    pub listed: Vec<String>,
}

/// A scenario, which is one column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    One,
    Listed,
    Same,
    Each,
}

impl Scenario {
    pub const ALL: [Scenario; 4] =
        [Scenario::One, Scenario::Listed, Scenario::Same, Scenario::Each];

    pub fn plan(self) -> Plan {
        let flags = match self {
            Scenario::One | Scenario::Listed => vec!["new-checkout".to_owned()],
            Scenario::Same | Scenario::Each => {
                (0..1000).map(|flag| format!("flag-{flag:06}")).collect()
            }
        };
        // One of the checked users, and nine others.
        let listed = match self {
            Scenario::Listed => (0..10).map(|user| user_id(user * USERS)).collect(),
            _ => Vec::new(),
        };
        Plan { flags, listed }
    }

    /// Returns the flags to check in turn. `Same` uses the middle flag, because some peers search a list.
    pub fn checked(self, plan: &Plan) -> &[String] {
        match self {
            Scenario::Same => &plan.flags[499..500],
            _ => &plan.flags,
        }
    }
}

pub fn user_id(number: usize) -> String {
    format!("user-{number:06}")
}

/// A peer with the flags and users of a scenario.
pub struct Setup<P: Peer> {
    pub peer: P,
    pub flags: Vec<P::Flag>,
    users: Vec<P::User>,
}

impl<P: Peer> Setup<P> {
    pub fn new(scenario: Scenario) -> Setup<P> {
        let plan = scenario.plan();
        let peer = P::new(&plan);
        let flags = scenario.checked(&plan).iter().map(|name| peer.flag(name)).collect();
        let users = (0..USERS).map(|user| peer.user(&user_id(user))).collect();
        Setup { peer, flags, users }
    }

    /// Runs `times` checks from the cursor on.
    pub fn run(&self, cursor: &mut Cursor, times: usize) {
        let Cursor { mut user, mut flag } = *cursor;
        for _ in 0..times {
            user = (user + 1) % USERS;
            flag += 1;
            if flag >= self.flags.len() {
                flag = 0;
            }
            std::hint::black_box(self.peer.is_enabled(&self.flags[flag], &self.users[user]));
        }
        *cursor = Cursor { user, flag };
    }
}

/// The position in the users and flags.
#[derive(Clone, Copy, Default)]
pub struct Cursor {
    user: usize,
    flag: usize,
}

/// Polls a future that has nothing to wait for, and returns its output. It is the cheapest executor.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
        // Another task holds a lock briefly.
        std::hint::spin_loop();
    }
}
