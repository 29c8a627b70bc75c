//! Which route of the app gets a message: CEL expressions over the CloudEvent, the first true one wins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::{Context, Program, Value};

use super::verdict::Verdict;
use crate::components::Subscription;

/// A subscription's rules, compiled.
pub(in crate::embedded) struct Routes {
    rules: Vec<(Option<Program>, String)>,
    raw: bool,
    dead_letter: Option<String>,
}

// === impl Routes ===

impl Routes {
    pub(super) fn compile(subscription: &Subscription) -> Result<Self, String> {
        let mut rules = Vec::new();
        for rule in &subscription.rules {
            let program = match &rule.matches {
                None => None,
                Some(text) => Some(
                    // The expression is input; a parser that panics on it must not take the sidecar along.
                    catch_unwind(|| Program::compile(text).map_err(|error| error.to_string()))
                        .unwrap_or_else(|_| Err("the expression cannot be read".to_owned()))
                        .map_err(|error| format!("match {text:?}: {error}"))?,
                ),
            };
            let path = if rule.path.starts_with('/') { rule.path.clone() } else { format!("/{}", rule.path) };
            path.parse::<http::uri::PathAndQuery>().map_err(|error| format!("route {path:?}: {error}"))?;
            rules.push((program, path));
        }
        Ok(Self { rules, raw: subscription.raw(), dead_letter: subscription.dead_letter.clone() })
    }

    pub(super) fn raw(&self) -> bool {
        self.raw
    }

    pub(super) fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    /// Returns the route for an event, `None` if no rule matches.
    pub(super) fn pick(&self, event: &[u8]) -> Result<Option<&str>, Verdict> {
        // No rule looks at the event: it need not be parsed.
        if let Some((None, path)) = self.rules.first() {
            return Ok(Some(path));
        }
        let event: serde_json::Value = serde_json::from_slice(event)
            .map_err(|error| Verdict::Drop(format!("not a CloudEvent: {error}")))?;
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.evaluate(&event)));
        evaluated.unwrap_or_else(|_| Err(Verdict::Retry("a match expression failed".to_owned())))
    }

    fn evaluate(&self, event: &serde_json::Value) -> Result<Option<&str>, Verdict> {
        let mut context = Context::with_env(Arc::new(cel::Env::stdlib()));
        context.add_variable("event", event).map_err(|error| Verdict::Retry(error.to_string()))?;
        for (program, path) in &self.rules {
            let Some(program) = program else { return Ok(Some(path)) };
            match program.execute(&context) {
                Ok(Value::Bool(true)) => return Ok(Some(path)),
                Ok(Value::Bool(false)) => {}
                Ok(other) => return Err(Verdict::Retry(format!("a match is no truth value: {other:?}"))),
                Err(error) => return Err(Verdict::Retry(format!("a match failed: {error}"))),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::{Origin, Rule};

    fn routes(rules: &[(Option<&str>, &str)]) -> Result<Routes, String> {
        Routes::compile(&Subscription {
            pubsub: "p".into(),
            topic: "t".into(),
            dead_letter: None,
            metadata: Default::default(),
            rules: rules
                .iter()
                .map(|(matches, path)| Rule { matches: matches.map(str::to_owned), path: (*path).to_owned() })
                .collect(),
            origin: Origin::Declarative,
        })
    }

    #[test]
    fn the_first_true_rule_wins() {
        let routes = routes(&[
            (Some(r#"event.type == "a""#), "/a"),
            (Some(r#"event.data.n > 3"#), "big"),
            (None, "/rest"),
        ])
        .unwrap();
        assert_eq!(routes.pick(br#"{"type":"a"}"#), Ok(Some("/a")));
        assert_eq!(routes.pick(br#"{"type":"b","data":{"n":4}}"#), Ok(Some("/big")));
        assert_eq!(routes.pick(br#"{"type":"b","data":{"n":1}}"#), Ok(Some("/rest")));
    }

    #[test]
    fn no_rule_is_no_route_and_a_failing_one_is_retried() {
        let only = routes(&[(Some(r#"event.type == "a""#), "/a")]).unwrap();
        assert_eq!(only.pick(br#"{"type":"b"}"#), Ok(None));
        assert!(matches!(only.pick(b"{}"), Err(Verdict::Retry(_))));
        assert!(matches!(only.pick(b"no json"), Err(Verdict::Drop(_))));
        assert!(routes(&[(Some("event.type"), "/a")]).unwrap().pick(br#"{"type":"b"}"#).is_err());
    }

    #[test]
    fn an_unreadable_expression_is_refused() {
        assert!(routes(&[(Some("event.type =="), "/a")]).is_err());
        assert!(routes(&[(None, "/a b")]).is_err());
    }
}
