//! What a run's events look like while it runs: a spinner per running step on a terminal, plain lines otherwise.

use crate::{
    client::shapes,
    say::say,
    terminal::{plain, took},
};
use callboard_core::workflow::view::EventView as Event;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use std::{collections::HashMap, io::IsTerminal, time::Duration};

/// Spinners at once; further steps only show their end.
const SPINNERS: usize = 24;

/// The progress of one run.
pub struct Progress {
    screen: Option<MultiProgress>,
    steps: HashMap<String, Step>,
}

struct Step {
    /// By the history, in milliseconds: what is told may have happened long ago.
    since: Option<i64>,
    bar: Option<ProgressBar>,
    /// Iterations begun and ended.
    begun: u64,
    ended: u64,
}

// === impl Progress ===

impl Progress {
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { screen: terminal.then(MultiProgress::new), steps: HashMap::new() }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        let name = name(event);
        match &*event.r#type {
            "step.started" => self.begin(&name, event),
            "step.retrying" => self.line(&format!("↻ {name}: {}, trying again", failure(&event.data))),
            "step.completed" => {
                let tokens = usage(&event.data);
                let took = self.end(&name, event);
                self.fallbacks(&event.data);
                self.line(&format!("✓ {name}{took}{tokens}"));
            }
            "step.failed" => {
                let took = self.end(&name, event);
                self.fallbacks(&event.data);
                self.line(&format!("✗ {name}{took}: {}", failure(&event.data)));
            }
            "step.skipped" => self.line(&format!("- {name} skipped")),
            "step.cancelled" => {
                self.end(&name, event);
                self.line(&format!("- {name} cancelled"));
            }
            "step.unknown" => {
                self.line(&format!("? {name}: nobody knows whether it was done; approve or reject it"))
            }
            "step.iteration_started" => self.iterations(&name, |step| step.begun += 1),
            "step.iteration_ended" => self.iterations(&name, |step| step.ended += 1),
            "run.paused" => self.line("‖ paused"),
            "run.resumed" => self.line("▸ resumed"),
            "run.budget_breached" => self.line("! the budget is used up"),
            _ => {}
        }
    }

    /// Says why other models were asked.
    fn fallbacks(&self, data: &Value) {
        for fallback in data["fallbacks"].as_array().into_iter().flatten() {
            let part = |name: &str| text(fallback, name).unwrap_or_default();
            let (model, next, code, message) =
                (part("/model"), part("/next"), part("/code"), part("/message"));
            self.line(&format!("  {model} gave no answer ({code}: {message}), {next} was asked"));
        }
    }

    /// Shows a line of its own.
    pub fn line(&self, text: &str) {
        // Messages and titles are somebody else's.
        let text = plain(text);
        match &self.screen {
            Some(screen) => {
                let _ = screen.println(&text);
            }
            None => say!("{text}"),
        }
    }

    /// Takes everything that moves off the screen.
    pub fn finish(&mut self) {
        self.steps.clear();
        if let Some(screen) = &self.screen {
            let _ = screen.clear();
        }
    }

    fn begin(&mut self, name: &str, event: &Event) {
        // A further attempt goes on in the same line.
        if self.steps.contains_key(name) {
            return;
        }
        let showing = self.steps.values().filter(|step| step.bar.is_some()).count();
        if let (Some(title), Some(hash)) =
            (text(&event.data, "/input/title"), text(&event.data, "/args_hash"))
        {
            self.line(&format!("? {name}: {title}"));
            if let (Some(node), Some(sends)) =
                (text(&event.data, "/input/guards/node"), event.data.pointer("/input/guards/sends"))
            {
                self.line(&format!("  {node} will send {sends}"));
            }
            self.line(&format!("  it waits for an approval: args_hash {hash}"));
        }
        let bar = match &self.screen {
            Some(screen) if showing < SPINNERS => {
                let bar = screen.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                    bar.set_style(style);
                }
                bar.set_message(name.to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Some(_) => None,
            None => {
                let attempt = event.attempt.filter(|attempt| *attempt > 1);
                let attempt = attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
                say!("▸ {name}{attempt}");
                None
            }
        };
        self.steps.insert(name.to_owned(), Step { since: instant(event), bar, begun: 0, ended: 0 });
    }

    fn iterations(&mut self, name: &str, count: impl FnOnce(&mut Step)) {
        let Some(step) = self.steps.get_mut(name) else { return };
        count(step);
        if let Some(bar) = &step.bar {
            bar.set_message(format!("{name} {}/{}", step.ended, step.begun));
        }
    }

    /// Ends a step's line and returns how long it took.
    fn end(&mut self, name: &str, event: &Event) -> String {
        let Some(step) = self.steps.remove(name) else { return String::new() };
        if let Some(bar) = step.bar {
            bar.finish_and_clear();
        }
        step.since
            .zip(instant(event))
            .map(|(began, ended)| format!(" {}", took(ended - began)))
            .unwrap_or_default()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn name(event: &Event) -> String {
    let mut name = event.node.as_deref().unwrap_or_default().to_owned();
    if let Some(iteration) = event.iteration.as_deref().filter(|iteration| !iteration.is_empty()) {
        name.push_str(&format!("[{iteration}]"));
    }
    match event.generation {
        Some(generation) if generation > 1 => format!("{} (rerun {})", plain(&name), generation - 1),
        _ => plain(&name).into_owned(),
    }
}

fn instant(event: &Event) -> Option<i64> {
    shapes::instant(Some(&event.at))
}

fn text<'v>(data: &'v Value, pointer: &str) -> Option<&'v str> {
    data.pointer(pointer).and_then(Value::as_str)
}

fn failure(data: &Value) -> String {
    let message = data.pointer("/error/message").and_then(Value::as_str).unwrap_or("failed");
    let code = data.pointer("/error/code").and_then(Value::as_str).unwrap_or_default();
    format!("{message} [{code}]")
}

fn usage(data: &Value) -> String {
    let tokens = |name| data.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
    match tokens("prompt_tokens") + tokens("completion_tokens") {
        0 => String::new(),
        tokens if data.pointer("/usage/estimated").is_some() => format!(", about {tokens} tokens"),
        tokens => format!(", {tokens} tokens"),
    }
}
