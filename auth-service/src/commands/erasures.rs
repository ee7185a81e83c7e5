//! `erasures`: what operators see of the users who have been deleted.

use clap::Subcommand;
use shared::database::Engine;

use super::{CommandFault, Operator, lines, show};
use crate::erasures::Erasure;

/// How many erasures are read at once.
const PAGE: i64 = 500;

/// About the erasures of users.
#[derive(Debug, Clone, Subcommand)]
pub enum Erasures {
    /// Print each erasure that is not complete: its id, the id that the user had, since when, and the
    /// services that have not confirmed
    List {
        /// Print those that are complete too, with the time at which they were
        #[arg(long)]
        all: bool,
    },
}

impl<DB: Engine> Operator<'_, DB> {
    pub(super) async fn erasures(&self, command: Erasures) -> Result<String, CommandFault> {
        let Erasures::List { all } = command;
        let (mut text, mut after) = (String::new(), Some(0));
        while let Some(place) = after {
            let (page, next) = self.store.erasures(place, PAGE, all).await?;
            text.push_str(&lines(page.iter().map(line)));
            after = next;
        }
        Ok(text)
    }
}

fn line(erasure: &Erasure) -> String {
    let Erasure { id, user_id, delete_time, .. } = erasure;
    let state = match erasure.complete_time() {
        Some(time) => format!("COMPLETE {}", show(time)),
        None => format!("PENDING {}", erasure.missing().collect::<Vec<_>>().join(",")),
    };
    format!("{id} {user_id} {} {state}", show(*delete_time))
}
