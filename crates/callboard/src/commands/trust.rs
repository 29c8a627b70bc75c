//! `callboard trust`: says of a folder that its files speak for the user, and takes it back.

use super::{Exit, Misuse};
use crate::{
    cli,
    say::{self, say},
    trust::Trust,
    user::User,
};

pub fn perform(asked: &cli::Trust) -> anyhow::Result<Exit> {
    let trust = Trust::of(&User::of_process())?;
    let shown = asked.folder.display();
    if asked.list {
        let folders: Vec<_> = trust.folders()?.iter().map(|folder| folder.display().to_string()).collect();
        if !folders.is_empty() {
            say::result(&folders.join("\n"))?;
        }
    } else if asked.remove {
        match trust.remove(&asked.folder)? {
            true => say!("{shown} is not trusted any more"),
            false => {
                return Err(Misuse(format!(
                    "{shown} was not trusted; `callboard trust --list` shows what is"
                ))
                .into());
            }
        }
    } else {
        let folder = trust.add(&asked.folder).map_err(|error| Misuse(format!("{error:#}")))?;
        say!(
            "{} is trusted: its config/, components/local and data count as yours, also after they change. \
             `callboard trust --remove` takes it back.",
            folder.display()
        );
    }
    Ok(Exit::Done)
}
