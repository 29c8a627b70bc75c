//! The same of marks. Both catalogs have to be new: there is one mark in each.

use super::{Chance, told};
use crate::Marks;

/// Makes one call on both, and returns what each answered.
pub async fn count(chance: &mut Chance, one: &dyn Marks, other: &dyn Marks) -> [String; 2] {
    let (name, beyond) = (chance.pick(&["one", "another"]), chance.roll(60));
    let counts = chance.one_in(2);
    let mut answers = [String::new(), String::new()];
    for (marks, answer) in [one, other].into_iter().zip(&mut answers) {
        *answer = match counts {
            true => format!("count {name} {beyond}: {}", told(marks.count_on(name, beyond).await)),
            false => format!("mark: {}", told(marks.mark().await)),
        };
    }
    answers
}
