//! Thinking aloud: blocks before the answer that are no part of it, of models whose server does not take them out.

/// How a block begins and ends; case does not matter.
const BLOCKS: [(&str, &str); 4] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[think]", "[/think]"),
];

/// Takes the blocks off a text that comes in pieces. What may be the beginning of one is held back.
#[derive(Debug, Default)]
pub(super) struct Aloud {
    state: State,
    held: String,
    /// There was a block.
    pub thought: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Before,
    /// Until this ends the block.
    Inside(&'static str),
    Answer,
}

// === impl Aloud ===

impl Aloud {
    /// Adds a piece; returns what of the answer can be shown.
    pub fn push(&mut self, piece: &str) -> String {
        if self.state == State::Answer {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        loop {
            match self.state {
                State::Before => {
                    let begun = self.held.trim_start();
                    if let Some((open, close)) = BLOCKS.into_iter().find(|(open, _)| begins(begun, open)) {
                        self.held = begun[open.len()..].to_owned();
                        self.state = State::Inside(close);
                        self.thought = true;
                    } else if BLOCKS.iter().any(|(open, _)| begins(open, begun)) {
                        return String::new();
                    } else {
                        self.state = State::Answer;
                        return self.take();
                    }
                }
                State::Inside(close) => match find(&self.held, close) {
                    Some(at) => {
                        self.held = self.held[at + close.len()..].to_owned();
                        self.state = State::Before;
                    }
                    None => {
                        // Only its end can be the beginning of what ends the block.
                        let keep = self.held.floor_char_boundary(self.held.len().saturating_sub(close.len()));
                        self.held.drain(..keep);
                        return String::new();
                    }
                },
                State::Answer => return self.take(),
            }
        }
    }

    /// Returns what was held back and is no block.
    pub fn finish(&mut self) -> String {
        match self.state {
            State::Before => self.take(),
            State::Inside(_) | State::Answer => String::new(),
        }
    }

    /// What stands between a block and the answer is nobody's.
    fn take(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if self.thought { held.trim_start().to_owned() } else { held }
    }
}

/// Takes off a block whose beginning was a part of the prompt: its end stands in a line of its own.
pub(super) fn without_head(text: &str) -> Option<&str> {
    // Most answers have neither, and are not searched.
    if !text.contains("</") && !text.contains("[/") {
        return None;
    }
    BLOCKS.into_iter().find_map(|(_, close)| {
        let at = find(text, close)?;
        let (before, after) = (&text[..at], &text[at + close.len()..]);
        let alone = (before.is_empty() || before.ends_with('\n'))
            && (after.is_empty() || after.starts_with(['\n', '\r']));
        alone.then(|| after.trim_start())
    })
}

fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}

/// `what` is ASCII, so places in the one are places in the other.
fn find(text: &str, what: &str) -> Option<usize> {
    text.as_bytes().windows(what.len()).position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&str]) -> String {
        let mut aloud = Aloud::default();
        let mut all: String = pieces.iter().map(|piece| aloud.push(piece)).collect();
        all.push_str(&aloud.finish());
        all
    }

    #[test]
    fn thinking_is_taken_off_in_whatever_pieces_it_comes() {
        for (text, expected) in [
            ("yes", "yes"),
            ("\n yes ", "\n yes "),
            ("<think>hm < 3</think>\n\nyes", "yes"),
            ("<THINK>\nhm\n</Think>yes</think>", "yes</think>"),
            ("\n<think></think><thinking>é</thinking> yes", "yes"),
            ("[THINK]hm[/THINK]yes", "yes"),
            ("<think>for ever", ""),
            ("<thin", "<thin"),
            ("< think>x</think>", "< think>x</think>"),
            ("say <think>x</think>", "say <think>x</think>"),
        ] {
            assert_eq!(shown(&[text]), expected, "{text}");
            let chars: Vec<String> = text.chars().map(String::from).collect();
            assert_eq!(shown(&chars.iter().map(String::as_str).collect::<Vec<_>>()), expected, "{text}");
        }
    }

    #[test]
    fn a_block_without_its_beginning_ends_in_a_line_of_its_own() {
        assert_eq!(without_head("hm\n</think>\n\nyes"), Some("yes"));
        assert_eq!(without_head("</think>\r\nyes"), Some("yes"));
        assert_eq!(without_head("the tag </think> ends it"), None);
        assert_eq!(without_head("yes"), None);
    }
}
