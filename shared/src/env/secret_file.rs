//! A secret that is kept in a file.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use secrecy::{SecretString, zeroize::Zeroizing};

/// The secret in this file: its content less the end of the last line.
///
/// # Errors
/// When the file can not be read, or holds nothing but white space. No error repeats the content.
pub fn read(path: &Path) -> io::Result<SecretString> {
    let text = Zeroizing::new(fs::read_to_string(path)?);
    if text.trim().is_empty() {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is empty"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_loses_one_line_end_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, secret) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), (" a \n\n", " a \n")] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(read(file.path()).unwrap().expose_secret(), secret, "{text:?}");
        }
        for text in ["", "\n", " \r\n"] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(read(file.path()).unwrap_err().to_string(), "it is empty");
        }
        fs::write(file.path(), b"hunter2\xff").unwrap();
        assert!(!read(file.path()).unwrap_err().to_string().contains("hunter2"));
    }
}
