//! What refresh tokens promise, and who may hold one: a model of the proto's words, not of the code.

/// Where something is in the chain of tokens; the first has place 0.
pub(super) type Place = usize;

/// What may happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The client sends the newest token that it has, and gets the answer.
    Send,
    /// The client sends the newest token that it has, and the answer is lost.
    Lose,
    /// The client sends what it has sent last once more, within the window.
    Retry,
    /// A second tab of the client sends the newest token that it has by itself.
    Tab,
    /// A thief sends the token that is so many places before the newest; of the third it is said that
    /// it stands for all before.
    Thief(Place),
    /// Time passes, more than the window.
    Wait,
}

/// What the answer is to the one who has sent a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The token of this place.
    Gives(Place),
    /// The session ends, for the token was used before.
    Ends,
    /// No session has that token.
    Unknown,
}

/// A session, and what everybody has of it.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// The one token that has not been used.
    newest: Place,
    /// Whether the one before it was used within the window.
    is_fresh: bool,
    pub(super) has_ended: bool,
    client: Place,
    /// What the client has sent last, if that was within the window.
    sent: Option<Place>,
    tab: Place,
}

/// What distinguishes one state from another: how far behind everybody is, up to three places.
pub(super) type Shape = (Place, bool, bool, Place, Option<Place>, Place);

/// What is farther behind is treated alike.
const FAR: Place = 3;

impl Action {
    pub(super) const ALL: [Self; 9] = [
        Self::Send,
        Self::Lose,
        Self::Retry,
        Self::Tab,
        Self::Thief(0),
        Self::Thief(1),
        Self::Thief(2),
        Self::Thief(FAR),
        Self::Wait,
    ];
}

impl Model {
    pub(super) fn new() -> Self {
        let (newest, client, tab) = (0, 0, 0);
        Self { newest, is_fresh: false, has_ended: false, client, sent: None, tab }
    }

    pub(super) fn after(path: &[Action]) -> Self {
        let mut model = Self::new();
        for action in path {
            model.act(*action);
        }
        model
    }

    pub(super) fn shape(&self) -> Shape {
        let behind = |place: Place| (self.newest - place).min(FAR);
        (
            self.newest.min(FAR),
            self.is_fresh,
            self.has_ended,
            behind(self.client),
            self.sent.map(behind),
            behind(self.tab),
        )
    }

    /// Whether this can happen now.
    pub(super) fn can(&self, action: Action) -> bool {
        match action {
            Action::Send | Action::Lose | Action::Tab | Action::Wait => true,
            Action::Retry => self.sent.is_some(),
            Action::Thief(behind) => behind <= self.newest,
        }
    }

    /// What is presented and what is answered; nothing when time passes.
    pub(super) fn act(&mut self, action: Action) -> Option<(Place, Answer)> {
        let presented = match action {
            Action::Send | Action::Lose => {
                self.sent = Some(self.client);
                self.client
            }
            Action::Retry => self.sent?,
            Action::Tab => self.tab,
            Action::Thief(behind) => self.newest.checked_sub(behind)?,
            Action::Wait => {
                (self.is_fresh, self.sent) = (false, None);
                return None;
            }
        };
        let answer = self.present(presented);
        if let Answer::Gives(place) = answer {
            match action {
                Action::Send | Action::Retry => self.client = place,
                Action::Tab => self.tab = place,
                Action::Lose | Action::Thief(_) | Action::Wait => {}
            }
        }
        Some((presented, answer))
    }

    /// The promise: a token is good once; the one before the newest gives the newest once more, within
    /// the window and as long as that is unused; any other second use ends the session.
    fn present(&mut self, place: Place) -> Answer {
        if self.has_ended {
            return Answer::Unknown;
        }
        if place == self.newest {
            self.newest += 1;
            self.is_fresh = true;
            return Answer::Gives(self.newest);
        }
        if place + 1 == self.newest && self.is_fresh {
            return Answer::Gives(self.newest);
        }
        self.has_ended = true;
        Answer::Ends
    }
}
