//! Settings out of the environment and the file `.env`, every fault reported at once.

mod dotenv;
mod duration;
mod secret_file;

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;

use duration::show;

pub use duration::parse as parse_duration;
pub use secret_file::read as read_secret_file;

/// The settings of one service: what its variables say, and what is wrong with them.
pub struct Env {
    prefix: &'static str,
    variables: HashMap<String, String>,
    from_file: BTreeSet<String>,
    known: BTreeSet<String>,
    faults: Vec<String>,
}

/// Everything that is wrong with a configuration, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Faults(pub Vec<String>);

impl Env {
    /// The variables of this process, and those of the file `.env` that this process does not
    /// have. Only names with the prefix are looked at: one file may serve several services.
    #[must_use]
    pub fn load(prefix: &'static str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
        let process = std::env::vars_os();
        let process = process
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(prefix));
        let mut env = Self::of(prefix, []);
        env.read_file(Path::new(".env"));
        for (name, value) in process {
            match value.into_string() {
                Ok(value) => drop(env.variables.insert(name, value)),
                Err(_) => env.fault(&name, "is not UTF-8"),
            }
        }
        env
    }

    /// These variables and nothing else.
    #[must_use]
    pub fn of<'v>(
        prefix: &'static str,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            prefix,
            variables: variables.into_iter().map(own).collect(),
            from_file: BTreeSet::new(),
            known: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    /// The name under which this environment has a setting that every service has.
    #[must_use]
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The text of a setting, if it is there and not empty.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// A setting of any type that can be parsed, or its default.
    pub fn get<T>(&mut self, name: &str, default: T) -> T
    where
        T: FromStr<Err: Display>,
    {
        let parsed = self.text(name).map(|value| value.parse());
        self.settle(name, parsed, default)
    }

    /// A length of time, as "500ms", "90s", "15m", "24h" or "30d", within these bounds.
    pub fn duration(
        &mut self,
        name: &str,
        default: Duration,
        least: Duration,
        most: Duration,
    ) -> Duration {
        let parsed = self.text(name).map(|value| match parse_duration(&value) {
            Some(duration) if (least..=most).contains(&duration) => Ok(duration),
            Some(_) => Err(format!("must be {} to {}", show(least), show(most))),
            None => Err("must be a number with a unit: ms, s, m, h or d".to_owned()),
        });
        self.settle(name, parsed, default)
    }

    /// A number within these bounds.
    pub fn number(&mut self, name: &str, default: i64, least: i64, most: i64) -> i64 {
        let parsed = self.text(name).map(|value| match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("must be a number from {least} to {most}")),
        });
        self.settle(name, parsed, default)
    }

    /// A secret: the setting itself, or the content of the file that `<name>_FILE` names, less one
    /// line end.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let value = self.text(name);
        let file = self.path(&format!("{name}_FILE"));
        match (value, file) {
            (Some(_), Some(_)) => {
                self.fault(name, format!("and {name}_FILE are both set"));
                None
            }
            (Some(value), None) => Some(value.into()),
            (None, Some(path)) => self.read_secret(name, &path),
            (None, None) => None,
        }
    }

    /// A path.
    pub fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// An address and a port, if they are set.
    pub fn socket_addr(&mut self, name: &str) -> Option<SocketAddr> {
        let parsed = self.text(name).map(|value| match value.parse() {
            Ok(addr) => Ok(Some(addr)),
            Err(_) => Err("must be an address and a port, as 127.0.0.1:50051"),
        });
        self.settle(name, parsed, None)
    }

    /// Whether something is switched on, which it is not unless the operator says so.
    pub fn flag(&mut self, name: &str) -> bool {
        let parsed = self.text(name).map(|value| match value.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false"),
        });
        self.settle(name, parsed, false)
    }

    /// The name of a party: 1 to 64 visible ASCII characters without a comma.
    pub fn name(&mut self, name: &str, default: &str) -> String {
        let parsed = self.text(name).map(|value| {
            if is_name(&value) {
                Ok(value)
            } else {
                Err("must be 1 to 64 visible ASCII characters")
            }
        });
        self.settle(name, parsed, default.to_owned())
    }

    /// Notes that a setting can not be used. The value is never repeated: it may be a secret.
    pub fn fault(&mut self, name: &str, description: impl Display) {
        self.faults.push(format!("{name} {description}"));
    }

    /// The configuration, if nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is.
    pub fn finish<T>(&mut self, config: T) -> Result<T, Faults> {
        let unknown: Vec<_> = self.from_file.difference(&self.known).cloned().collect();
        for name in unknown {
            self.fault(&name, "in .env is not a setting");
        }
        let faults = std::mem::take(&mut self.faults);
        if faults.is_empty() { Ok(config) } else { Err(Faults(faults)) }
    }

    /// The name of every setting that has been asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    fn settle<T, E: Display>(&mut self, name: &str, parsed: Option<Result<T, E>>, default: T) -> T {
        match parsed {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(fault)) => {
                self.fault(name, fault);
                default
            }
        }
    }

    fn read_file(&mut self, path: &Path) {
        let (entries, faults) = dotenv::read(path);
        for (name, value) in entries.into_iter().filter(|(name, _)| name.starts_with(self.prefix)) {
            self.from_file.insert(name.clone());
            self.variables.insert(name, value);
        }
        for fault in faults {
            self.fault(".env", fault);
        }
    }

    fn read_secret(&mut self, name: &str, path: &Path) -> Option<SecretString> {
        let read = read_secret_file(path);
        let fault = |fault| {
            self.fault(&format!("{name}_FILE"), format!("names {}: {fault}", path.display()));
        };
        read.map_err(fault).ok()
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("known", &self.known).finish_non_exhaustive()
    }
}

/// Whether a text can be the name of an issuer or an audience.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn every_fault_is_reported_and_no_value_repeated() {
        let mut env = Env::of("T_", [("T_PORT", "hunter2"), ("T_TTL", "5"), ("T_LIFE", "9d")]);
        let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
        env.number("T_PORT", 1, 1, 9);
        env.duration("T_TTL", second, second, day);
        env.duration("T_LIFE", second, second, day);
        let faults = env.finish(()).unwrap_err();
        assert_eq!(
            faults.to_string(),
            "T_PORT must be a number from 1 to 9\n\
             T_TTL must be a number with a unit: ms, s, m, h or d\n\
             T_LIFE must be 1s to 1d"
        );
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "from a file\n").unwrap();
        let path = file.path().display().to_string();
        let mut env = Env::of("T_", [("T_KEY_FILE", path.as_str())]);
        assert_eq!(env.secret("T_KEY").unwrap().expose_secret(), "from a file");

        let mut env = Env::of("T_", [("T_KEY_FILE", path.as_str()), ("T_KEY", "x")]);
        assert!(env.secret("T_KEY").is_none());
        assert!(env.finish(()).is_err());
    }

    #[test]
    fn the_file_yields_to_the_process_and_a_misspelt_name_in_it_is_a_fault() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "T_A=\"1\"\n# a comment\nOTHER=x\nT_MISSPELT=2\n").unwrap();
        let mut env = Env::of("T_", []);
        env.read_file(file.path());
        assert_eq!(env.number("T_A", 0, 0, 9), 1);
        let faults = env.finish(()).unwrap_err();
        assert_eq!(faults.to_string(), "T_MISSPELT in .env is not a setting");
    }
}
