//! What every peer is asked.

/// The percentage of every flag.
pub const PERCENT: u64 = 25;

/// Users asked about in turn, so that no answer is computed once and no branch is learnt. A power
/// of two, so that taking turns costs one `and`.
pub const USERS: usize = 1024;

/// A library under test.
pub trait Peer: Send + Sync + Sized {
    /// What its row is called.
    const NAME: &'static str;
    /// What a handler holds of a flag between requests: its name, or a handle.
    type Flag: Send + Sync;
    /// What a handler holds of a user when it asks: the id, or what was made of it before.
    type User: Send + Sync;

    fn new(plan: &Plan) -> Self;
    fn flag(&self, name: &str) -> Self::Flag;
    fn user(&self, id: &str) -> Self::User;
    /// The call that is timed.
    fn is_enabled(&self, flag: &Self::Flag, user: &Self::User) -> bool;
}

/// What a peer is built from: flags at [`PERCENT`], each with the same allow-list ahead of it.
pub struct Plan {
    pub flags: Vec<String>,
    /// Who has every flag whatever the percentage; often nobody.
    pub listed: Vec<String>,
}

/// One way of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    One,
    Listed,
    Same,
    Each,
}

impl Work {
    pub const ALL: [Work; 4] = [Work::One, Work::Listed, Work::Same, Work::Each];

    pub fn plan(self) -> Plan {
        let flags = match self {
            Work::One | Work::Listed => vec!["new-checkout".to_owned()],
            Work::Same | Work::Each => (0..1000).map(|flag| format!("flag-{flag:06}")).collect(),
        };
        // One of those who ask, and nine others.
        let listed = match self {
            Work::Listed => (0..10).map(|user| user_id(user * USERS)).collect(),
            _ => Vec::new(),
        };
        Plan { flags, listed }
    }

    /// The flags that are asked for, in turn. Where it is always the same of many, the middle one:
    /// some look through a list.
    pub fn asked(self, plan: &Plan) -> &[String] {
        match self {
            Work::Same => &plan.flags[499..500],
            _ => &plan.flags,
        }
    }
}

pub fn user_id(number: usize) -> String {
    format!("user-{number:06}")
}

/// A peer, ready to be asked.
pub struct Asking<P: Peer> {
    pub peer: P,
    pub flags: Vec<P::Flag>,
    users: Vec<P::User>,
}

impl<P: Peer> Asking<P> {
    pub fn new(work: Work) -> Asking<P> {
        let plan = work.plan();
        let peer = P::new(&plan);
        let flags = work.asked(&plan).iter().map(|name| peer.flag(name)).collect();
        let users = (0..USERS).map(|user| peer.user(&user_id(user))).collect();
        Asking { peer, flags, users }
    }

    /// Asks so many times, and goes on where it was.
    pub fn ask(&self, turn: &mut Turn, times: usize) {
        let Turn { mut user, mut flag } = *turn;
        for _ in 0..times {
            user = (user + 1) % USERS;
            flag += 1;
            if flag >= self.flags.len() {
                flag = 0;
            }
            std::hint::black_box(self.peer.is_enabled(&self.flags[flag], &self.users[user]));
        }
        *turn = Turn { user, flag };
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Default)]
pub struct Turn {
    user: usize,
    flag: usize,
}

/// The answer of a future that has nothing to wait for, by polling it: the cheapest executor.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
        // Another task holds a lock for a moment.
        std::hint::spin_loop();
    }
}
