//! Texts that people write, kept exactly as sent.

/// What a project or a task is called: 1 to 200 code points, not all of them white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title(String);

/// What a project or a task is about: at most 10,000 code points on any number of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

/// A part of a title, which titles are searched for without regard to case: 1 to 200 code points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TitlePart(String);

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing but white space.
    #[error("must not be blank")]
    Blank,
    /// Too many code points.
    #[error("must have at most {0} code points")]
    Length(usize),
    /// A control character.
    #[error("must not have the control character U+{0:04X}")]
    Control(u32),
}

impl Title {
    const MOST: usize = 200;

    /// Reads a title.
    ///
    /// # Errors
    /// When it breaks a limit.
    pub fn parse(text: String) -> Result<Self, TextFault> {
        check(&text, Self::MOST, &[])?;
        if text.trim().is_empty() { Err(TextFault::Blank) } else { Ok(Self(text)) }
    }

    /// A text that has been parsed before it was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the title is ordered and searched by.
    #[must_use]
    pub fn key(&self) -> String {
        folded(&self.0)
    }
}

impl TitlePart {
    /// Reads a part of a title; `None` when it is empty, as every title has that.
    ///
    /// # Errors
    /// When it breaks a limit.
    pub fn parse(text: &str) -> Result<Option<Self>, TextFault> {
        check(text, Title::MOST, &[])?;
        Ok((!text.is_empty()).then(|| Self(folded(text))))
    }

    /// What the keys of the titles that have it contain.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl Description {
    const MOST: usize = 10_000;

    /// Reads a description.
    ///
    /// # Errors
    /// When it breaks a limit.
    pub fn parse(text: String) -> Result<Self, TextFault> {
        check(&text, Self::MOST, &['\t', '\n', '\r'])?;
        Ok(Self(text))
    }

    /// A text that has been parsed before it was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Title> for String {
    fn from(title: Title) -> Self {
        title.0
    }
}

impl From<Description> for String {
    fn from(description: Description) -> Self {
        description.0
    }
}

/// The text without regard to case. Letters are made large first, so that those which differ only as
/// small ones, as the two Greek sigmas do, become one; every engine then compares the same bytes.
#[must_use]
pub fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

fn check(text: &str, most: usize, allowed: &[char]) -> Result<(), TextFault> {
    if text.chars().count() > most {
        return Err(TextFault::Length(most));
    }
    match text.chars().find(|c| c.is_control() && !allowed.contains(c)) {
        Some(control) => Err(TextFault::Control(control.into())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_not_blank_and_has_no_control_characters() {
        for good in ["a", " a ", "é🦀", "'; drop table tasks; --", &"🦀".repeat(200)] {
            assert_eq!(Title::parse(good.to_owned()).unwrap().as_str(), good);
        }
        let cases = [
            ("", TextFault::Blank),
            (" \u{3000}", TextFault::Blank),
            ("a\nb", TextFault::Control(10)),
            ("a\0", TextFault::Control(0)),
            ("\u{7f}", TextFault::Control(0x7f)),
            ("\u{85}", TextFault::Control(0x85)),
            (&"a".repeat(201), TextFault::Length(200)),
        ];
        for (bad, fault) in cases {
            assert_eq!(Title::parse(bad.to_owned()).unwrap_err(), fault, "{bad:?}");
        }
    }

    #[test]
    fn a_description_may_have_lines_and_be_empty() {
        for good in ["", "a\r\n\tb", &"é".repeat(10_000)] {
            assert_eq!(Description::parse(good.to_owned()).unwrap().as_str(), good);
        }
        let fault = |text: &str| Description::parse(text.to_owned()).unwrap_err();
        assert_eq!(fault("a\0"), TextFault::Control(0));
        assert_eq!(fault("\u{1b}[31m"), TextFault::Control(0x1b));
        assert_eq!(fault(&"é".repeat(10_001)), TextFault::Length(10_000));
    }
}
