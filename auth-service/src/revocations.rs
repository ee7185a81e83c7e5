//! Why sessions and signing keys end before their time.

/// What has ended a session or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The user logged out.
    Logout,
    /// The user ended this session from another one, or from itself.
    Session,
    /// The user ended every session but one.
    OtherSessions,
    /// The user changed the password: every session but that one ends.
    PasswordChange,
    /// An operator set the password.
    SetPassword,
    /// A refresh token was used a second time: somebody else has it.
    RefreshReuse,
    /// The user had as many sessions as one may have and logged in once more: the oldest ends.
    TooManySessions,
    /// An operator disabled the user.
    Disable,
    /// The user deleted the account.
    UserDelete,
    /// An operator revoked a signing key.
    KeyRevoke,
    /// An operator removed a service.
    ServiceRemove,
}

impl Cause {
    /// Every cause there is. Whatever its cause, a revocation takes one path: it is written down with
    /// what causes it, in one transaction, by `store/trust.rs`.
    pub const ALL: [Self; 11] = [
        Self::Logout,
        Self::Session,
        Self::OtherSessions,
        Self::PasswordChange,
        Self::SetPassword,
        Self::RefreshReuse,
        Self::TooManySessions,
        Self::Disable,
        Self::UserDelete,
        Self::KeyRevoke,
        Self::ServiceRemove,
    ];

    /// How it is written down.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "LOGOUT",
            Self::Session => "SESSION",
            Self::OtherSessions => "OTHER_SESSIONS",
            Self::PasswordChange => "PASSWORD_CHANGE",
            Self::SetPassword => "SET_PASSWORD",
            Self::RefreshReuse => "REFRESH_REUSE",
            Self::TooManySessions => "TOO_MANY_SESSIONS",
            Self::Disable => "DISABLE",
            Self::UserDelete => "USER_DELETE",
            Self::KeyRevoke => "KEY_REVOKE",
            Self::ServiceRemove => "SERVICE_REMOVE",
        }
    }
}
