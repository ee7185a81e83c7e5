//! Names, addresses and pictures: what they may look like, and when two of them are the same.

use url::Url;

/// The longest e-mail address (RFC 5321, section 4.5.3.1, less the angle brackets).
const MAX_EMAIL: usize = 254;
/// The longest part before the "@".
const MAX_LOCAL_PART: usize = 64;
/// The longest label of a domain name (RFC 1035).
const MAX_LABEL: usize = 63;
/// The longest URL of an image, in code points.
const MAX_IMAGE_URL: usize = 2_048;

/// The name of a user, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// The e-mail address of a user, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// Where a picture of the user is: an https URL, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageUrl(String);

/// Why a text is no username, no address or no image URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserFault {
    /// Not 3 to 32 characters.
    #[error("must be 3 to 32 characters")]
    UsernameLength,
    /// A character that is not allowed.
    #[error("must be ASCII letters, digits, \".\", \"_\" or \"-\", the first a letter or a digit")]
    UsernameCharacter,
    /// Too long.
    #[error("must be at most 254 characters, 64 of them before the \"@\"")]
    EmailLength,
    /// Not an address.
    #[error("must be an ASCII e-mail address, as name@example.org")]
    EmailForm,
    /// Too long.
    #[error("must be at most 2048 characters")]
    ImageUrlLength,
    /// Not an https URL.
    #[error("must be an https URL without user and password")]
    ImageUrlForm,
}

impl Username {
    /// Reads a username.
    ///
    /// # Errors
    /// When it has the wrong length or a character that is not allowed.
    pub fn parse(text: String) -> Result<Self, UserFault> {
        if !(3..=32).contains(&text.chars().count()) {
            return Err(UserFault::UsernameLength);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed) {
            Ok(Self(text))
        } else {
            Err(UserFault::UsernameCharacter)
        }
    }

    /// The name as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes two names the same.
    #[must_use]
    pub fn key(&self) -> String {
        name_key(&self.0)
    }
}

impl Email {
    /// Reads an address: a dot-atom (RFC 5322), an "@", a domain name of two labels or more.
    ///
    /// # Errors
    /// When it is too long or anything else.
    pub fn parse(text: String) -> Result<Self, UserFault> {
        let (local, domain) = text.split_once('@').ok_or(UserFault::EmailForm)?;
        if text.len() > MAX_EMAIL || local.len() > MAX_LOCAL_PART {
            return Err(UserFault::EmailLength);
        }
        let is_domain = domain.contains('.') && domain.split('.').all(is_label);
        if local.split('.').all(is_atom) && is_domain {
            Ok(Self(text))
        } else {
            Err(UserFault::EmailForm)
        }
    }

    /// The address as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is before the "@".
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }

    /// What makes two addresses the same.
    #[must_use]
    pub fn key(&self) -> String {
        name_key(&self.0)
    }
}

impl ImageUrl {
    /// Reads a URL; an empty text is no picture.
    ///
    /// # Errors
    /// When it is too long, or no https URL without user and password.
    pub fn parse(text: String) -> Result<Self, UserFault> {
        if text.is_empty() {
            return Ok(Self(text));
        }
        if text.chars().count() > MAX_IMAGE_URL {
            return Err(UserFault::ImageUrlLength);
        }
        // The URL parser repairs what it can: line ends, spaces, missing slashes, an empty host.
        let intact = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
        let https = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let authority = text.get(8..).and_then(|rest| rest.split(['/', '?', '#']).next());
        let anonymous = authority.is_some_and(|host| !host.is_empty() && !host.contains('@'));
        if intact && https && anonymous && Url::parse(&text).is_ok() {
            Ok(Self(text))
        } else {
            Err(UserFault::ImageUrlForm)
        }
    }

    /// The URL as the user wrote it, empty when there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a username, an address, or a text that may be either, is looked up by.
#[must_use]
pub fn name_key(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn is_atom(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let hyphen_outside = text.starts_with('-') || text.ends_with('-');
    (1..=MAX_LABEL).contains(&text.len()) && text.chars().all(allowed) && !hyphen_outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        for good in ["ann", "Ann", "0.a_-", "a--", &"x".repeat(32)] {
            assert_eq!(Username::parse(good.to_owned()).unwrap().as_str(), good);
        }
        for (bad, fault) in [
            ("", UserFault::UsernameLength),
            ("an", UserFault::UsernameLength),
            (&"x".repeat(33), UserFault::UsernameLength),
            ("_ann", UserFault::UsernameCharacter),
            ("a@b", UserFault::UsernameCharacter),
            ("ann ", UserFault::UsernameCharacter),
            ("a\0nn", UserFault::UsernameCharacter),
            ("ännchen", UserFault::UsernameCharacter),
            ("аnn", UserFault::UsernameCharacter), // a Cyrillic "а"
        ] {
            assert_eq!(Username::parse(bad.to_owned()), Err(fault), "{bad:?}");
        }
        assert_eq!(Username::parse("AnN".to_owned()).unwrap().key(), "ann");
    }

    #[test]
    fn addresses() {
        let longest =
            format!("{}@{}.org", "a".repeat(64), ["b".repeat(62), "c".repeat(61)].join("."));
        for good in ["a@b.c", "Ann+x.y!z@Example.ORG", "a@xn--bcher-kva.example", &longest] {
            assert_eq!(Email::parse(good.to_owned()).unwrap().as_str(), good);
        }
        let labels = ["b".repeat(60), "c".repeat(60), "d".repeat(60)].join(".");
        for (bad, fault) in [
            ("", UserFault::EmailForm),
            ("ann", UserFault::EmailForm),
            ("@b.c", UserFault::EmailForm),
            ("a@b", UserFault::EmailForm),
            ("a@b..c", UserFault::EmailForm),
            ("a@b.c.", UserFault::EmailForm),
            ("a@-b.c", UserFault::EmailForm),
            ("a..b@c.d", UserFault::EmailForm),
            (".a@c.d", UserFault::EmailForm),
            ("a@b@c.d", UserFault::EmailForm),
            ("\"a b\"@c.d", UserFault::EmailForm),
            ("a b@c.d", UserFault::EmailForm),
            ("a@c.d\0", UserFault::EmailForm),
            ("ä@c.d", UserFault::EmailForm),
            ("a@bücher.example", UserFault::EmailForm),
            ("a@[127.0.0.1]", UserFault::EmailForm),
            (&format!("a@{}.d", "b".repeat(64)), UserFault::EmailForm),
            (&format!("{}@b.c", "a".repeat(65)), UserFault::EmailLength),
            (&format!("{}@{labels}.{labels}", "a".repeat(64)), UserFault::EmailLength),
        ] {
            assert_eq!(Email::parse(bad.to_owned()), Err(fault), "{bad:?}");
        }
        let email = Email::parse("Ann@Example.org".to_owned()).unwrap();
        assert_eq!((email.key().as_str(), email.local_part()), ("ann@example.org", "Ann"));
    }

    #[test]
    fn image_urls() {
        let longest = format!("https://example.org/{}", "ü".repeat(MAX_IMAGE_URL - 20));
        for good in ["", "https://example.org/a.png?b=@c", "HTTPS://example.org", &longest] {
            assert_eq!(ImageUrl::parse(good.to_owned()).unwrap().as_str(), good);
        }
        assert_eq!(ImageUrl::parse(longest + "x"), Err(UserFault::ImageUrlLength));
        for bad in [
            "http://example.org/a.png",
            "javascript:alert(1)",
            "https:example.org",
            "https://",
            "https://ann@example.org/",
            "https://ann:secret@example.org/",
            "https://@example.org/",
            "https:///example.org/",
            "https://example.org/a b",
            " https://example.org/",
            "https://example.org/\n",
            "https://example.org\\a",
        ] {
            assert_eq!(ImageUrl::parse(bad.to_owned()), Err(UserFault::ImageUrlForm), "{bad:?}");
        }
    }
}
