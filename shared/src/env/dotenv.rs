//! The file `.env`.

use std::{fs, io::ErrorKind, path::Path};

use secrecy::zeroize::Zeroizing;

/// The names and values in a file, and what is wrong with it. Without a file there are none.
///
/// A fault never repeats a line, which may hold a secret: it tells only where it is.
pub(super) fn read(path: &Path) -> (Vec<(String, String)>, Vec<String>) {
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(fault) => {
            if fault.kind() != ErrorKind::NotFound {
                faults.push(format!("can not be read: {fault}"));
            }
            return (entries, faults);
        }
    };
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(dotenvy::Error::LineParse(entry, _)) => {
                let before = text.find(&entry).and_then(|start| text.get(..start));
                let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
                let rule = "a value with a space, # or $ stands in single quotes";
                faults.push(format!("line {line} is malformed: {rule}"));
            }
            Err(_) => faults.push("can not be read".to_owned()),
        }
    }
    (entries, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_line_is_told_by_its_number_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "# a comment\n\nA=\"1\"\n\nKEY=hunter2 and more\nB=\"2\"\n";
        fs::write(file.path(), text).unwrap();
        let (entries, faults) = read(file.path());
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        assert_eq!(entries, [("A", "1"), ("B", "2")].map(own));
        assert!(faults.len() == 1 && faults[0].starts_with("line 5 is malformed: "), "{faults:?}");
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
    }

    #[test]
    fn no_file_is_no_fault() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(&directory.path().join(".env")), (vec![], vec![]));
        assert_eq!(read(directory.path()).1.len(), 1, "a directory is one");
    }
}
