//! Passwords: how long, how hard to guess, and never shown.

use std::fmt;

use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use zxcvbn::{Score, zxcvbn};

use crate::users::{Email, Username};

/// The fewest code points of a new password.
const LEAST: usize = 8;
/// The most code points of any password.
const MOST: usize = 256;
/// How many code points are looked at to tell whether a password is easy to guess. The time that it
/// takes grows with their cube, and what begins hard to guess stays so.
const LOOKED_AT: usize = 32;
/// Names shorter than this are in many a good password by chance.
const LEAST_NAME: usize = 3;

/// A password exactly as it was sent: never trimmed, never cut, erased from memory after use.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

/// A password as it is stored: a PHC string, which names the function and its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

/// Why a text can not be a password, or not a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Nothing, or more than any password has.
    #[error("must be 1 to 256 characters")]
    Presented,
    /// Too short or too long to be chosen.
    #[error("must be 8 to 256 characters")]
    Length,
    /// The same as before.
    #[error("must differ from the current password")]
    Unchanged,
    /// Easy to guess for anybody who knows the user's name.
    #[error("must not be made of the username or the e-mail address")]
    MadeOfName,
    /// Easy to guess for anybody.
    #[error("is easy to guess: choose a longer one, or words that do not belong together")]
    Guessable,
}

impl Password {
    /// A password that somebody presents to be checked.
    ///
    /// # Errors
    /// When nobody can have it.
    pub fn presented(text: String) -> Result<Self, PasswordFault> {
        let password = Self(text.into());
        if (1..=MOST).contains(&password.length()) {
            Ok(password)
        } else {
            Err(PasswordFault::Presented)
        }
    }

    /// A password that somebody chooses. The names are those of the user, as far as they are known.
    ///
    /// # Errors
    /// When it is too short, too long or easy to guess.
    pub fn chosen(
        text: String,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<Self, PasswordFault> {
        let password = Self(text.into());
        if !(LEAST..=MOST).contains(&password.length()) {
            return Err(PasswordFault::Length);
        }
        let username = username.map(Username::as_str);
        let names = [username, email.map(Email::local_part), email.map(Email::as_str)];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        if names.iter().any(|name| password.is_made_of(name)) {
            return Err(PasswordFault::MadeOfName);
        }
        let start: Zeroizing<String> =
            Zeroizing::new(password.expose().chars().take(LOOKED_AT).collect());
        if zxcvbn(&start, &names).score() < Score::Two {
            return Err(PasswordFault::Guessable);
        }
        Ok(password)
    }

    /// Whether the password is the name, once or more, with nothing but ASCII digits and
    /// punctuation around it.
    #[must_use]
    pub fn is_made_of(&self, name: &str) -> bool {
        let password = self.expose().to_lowercase();
        let name = name.to_lowercase();
        let trimmings = |c: char| c.is_ascii() && !c.is_ascii_alphabetic();
        name.len() >= LEAST_NAME
            && password.contains(&name)
            && password.split(&name).all(|rest| rest.chars().all(trimmings))
    }

    /// The password itself, for hashing it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    fn length(&self) -> usize {
        self.expose().chars().count()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str, name: &str) -> Result<Password, PasswordFault> {
        let username = Username::parse(name.to_owned()).unwrap();
        let email = Email::parse(format!("{name}.miller@example.org")).unwrap();
        Password::chosen(text.to_owned(), Some(&username), Some(&email))
    }

    #[test]
    fn a_new_password_is_hard_to_guess() {
        for (text, name) in [
            ("correct horse battery", "ann"),
            ("ünïcödé-päss-9", "ann"),
            (" leading and trailing ", "ann"),
            ("x7#kQ9!vLp2m", "ann"),
            ("joanna's bicycle", "ann"),
            ("🦀🎉🚀🌍🔥🍀🐙🎲", "ann"),
            ("tr0ub4dor&3x", "ann"),
        ] {
            assert_eq!(choose(text, name).unwrap().expose(), text);
        }
        for (text, name, fault) in [
            ("", "ann", PasswordFault::Length),
            ("x7#kQ9!", "ann", PasswordFault::Length),
            ("12345678", "ann", PasswordFault::Guessable),
            ("password123", "ann", PasswordFault::Guessable),
            ("Password1!", "ann", PasswordFault::Guessable),
            ("P@ssw0rd", "ann", PasswordFault::Guessable),
            ("qwertyuiop", "ann", PasswordFault::Guessable),
            ("aaaaaaaaaaaa", "ann", PasswordFault::Guessable),
            ("abcabcabcabc", "ann", PasswordFault::Guessable),
            ("iloveyou2", "ann", PasswordFault::Guessable),
            ("annannann", "ann", PasswordFault::MadeOfName),
            ("alice2024", "alice", PasswordFault::MadeOfName),
            ("!!ALICE..2024", "alice", PasswordFault::MadeOfName),
            ("Ann.Miller99", "ann", PasswordFault::MadeOfName),
            ("ann.miller@example.org", "ann", PasswordFault::MadeOfName),
        ] {
            assert_eq!(choose(text, name).unwrap_err(), fault, "{text:?}");
        }
    }

    #[test]
    fn a_length_is_counted_in_code_points() {
        let crabs: String = "🦀🎉🚀🌍🔥🍀🐙🎲".repeat(32);
        assert_eq!(choose(&crabs, "ann").unwrap().expose(), crabs);
        assert_eq!(choose(&(crabs + "🦀"), "ann").unwrap_err(), PasswordFault::Length);
        assert_eq!(Password::presented("x".repeat(256)).unwrap().expose().len(), 256);
        for bad in [String::new(), "x".repeat(257)] {
            assert_eq!(Password::presented(bad).unwrap_err(), PasswordFault::Presented);
        }
    }

    #[test]
    fn no_password_is_shown() {
        let password = Password::presented("hunter2hunter2".to_owned()).unwrap();
        let hash = PasswordHash("$argon2id$hunter2".to_owned());
        assert!(!format!("{password:?} {hash:?}").contains("hunter2"));
    }
}
