//! The terminal that an operator types a password on.

use std::io::{self, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// For as long as it lives, the terminal does not show what is typed.
#[derive(Debug)]
pub struct Silence(Termios);

impl Silence {
    /// Asks for something that nobody else shall see, if standard input is a terminal.
    ///
    /// # Errors
    /// When the terminal can not be kept from showing it.
    pub fn ask(prompt: &str) -> io::Result<Option<Self>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&input)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &silent)?;
        io::stderr().write_all(prompt.as_bytes())?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Silence {
    /// Nothing more can be done if that fails.
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        let _ = io::stderr().write_all(b"\n");
    }
}
