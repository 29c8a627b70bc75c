//! `callboard trust`: says of a folder that its files speak for the user, and takes it back.

use super::{Exit, Misuse};
use crate::{cli, trust::Trust, user::User};

pub fn perform(asked: &cli::Trust) -> anyhow::Result<Exit> {
    let trust = Trust::of(&User::of_process())?;
    let shown = asked.folder.display();
    if asked.list {
        trust.folders()?.iter().for_each(|folder| println!("{}", folder.display()));
    } else if asked.remove {
        match trust.remove(&asked.folder)? {
            true => eprintln!("{shown} is not trusted any more"),
            false => {
                return Err(Misuse(format!(
                    "{shown} was not trusted; `callboard trust --list` shows what is"
                ))
                .into());
            }
        }
    } else {
        let folder = trust.add(&asked.folder).map_err(|error| Misuse(format!("{error:#}")))?;
        eprintln!(
            "{} is trusted: its config/, components/local and data count as yours, also after they change. \
             `callboard trust --remove` takes it back.",
            folder.display()
        );
    }
    Ok(Exit::Done)
}
