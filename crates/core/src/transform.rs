//! Pure data change: map, filter, reduce, one rule after the other over one document.
//!
//! A rule reads a list (its source), and writes its target; later rules may read earlier targets. What runs in a
//! rule is bounded together with all other rules of the same `apply`.

use crate::{
    expr::{self, COLLECTION_LIMIT, Context, Expression, Fuel, Meter, Use, meter},
    value::VALUE_LIMIT,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Units of work that all rules of one `apply` may do together.
const FUEL: u64 = 4_000_000;
/// Units that one evaluation costs beside its own instructions. A source of up to `SHORT` bytes costs no more, a
/// longer one another unit for `LONGER` bytes each.
const EVALUATION: u64 = 10;
const SHORT: usize = 64;
const LONGER: usize = 4;

/// Reads `source`, writes `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A dotted path into the targets so far, else into the node's data; `"."` is the data itself.
    pub source: String,
    pub target: String,
    #[serde(flatten)]
    #[schemars(flatten)]
    pub change: Change,
}

/// What a rule does with its source. An unknown type is an error, never passed through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// `value` for each `item`.
    Map {
        #[schemars(extend("x-callboard" = ["expression"]))]
        value: String,
    },
    /// The items for which `if` holds.
    Filter {
        #[schemars(extend("x-callboard" = ["expression"]))]
        r#if: String,
    },
    /// `value` over `acc` and `item`, starting from `initial`.
    Reduce {
        initial: Value,
        #[schemars(extend("x-callboard" = ["expression"]))]
        value: String,
    },
}

/// Why a rule failed. Rules count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("rule {rule}: there is nothing at `{path}`")]
    Missing { rule: usize, path: String },
    #[error("rule {rule}: `{path}` is {found}, not a list")]
    NotAList { rule: usize, path: String, found: &'static str },
    #[error("rule {rule}: `{path}` has {len} items, more than {COLLECTION_LIMIT}")]
    TooLong { rule: usize, path: String, len: usize },
    /// `item` is the index of the item at which it failed, if it was at one.
    #[error("rule {rule}{}: {error}", item.map(|i| format!(", item {i}")).unwrap_or_default())]
    Expression {
        rule: usize,
        item: Option<usize>,
        #[source]
        error: expr::Error,
    },
}

/// Applies the rules in order and returns an object of their targets. Errs at the first rule that fails.
pub fn apply(rules: &[Rule], data: &Value) -> Result<Value, Error> {
    apply_under(&Meter::default(), rules, data)
}

/// The same, with the work counted in `meter`, too.
pub fn apply_under(meter: &Meter<'_>, rules: &[Rule], data: &Value) -> Result<Value, Error> {
    let mut targets = Map::new();
    let mut fuel = Fuel::new(FUEL).under(meter);
    let mut room = VALUE_LIMIT as u64;
    // `data` is turned into the language's values once. If that fails it is the first rule's failure, so that the
    // message has a number; without rules nothing is read.
    let mut context = meter.enter(data).and_then(|()| Context::new(&Value::Null)).and_then(|mut context| {
        context.set("data", data)?;
        Ok(context)
    });
    for (i, rule) in rules.iter().enumerate() {
        let number = i + 1;
        let failed = |error| Error::Expression { rule: number, item: None, error };
        let context = context.as_mut().map_err(|e| failed(e.clone()))?;
        let items = list(rule, number, &targets, data)?;
        let mut run = Run { rule: number, context, fuel: &mut fuel, room: &mut room };
        let result = match &rule.change {
            Change::Map { value } => run.map(&compiled(value, Use::Value).map_err(failed)?, items),
            Change::Filter { r#if } => run.filter(&compiled(r#if, Use::Truth).map_err(failed)?, items),
            Change::Reduce { initial, value } => {
                run.reduce(&compiled(value, Use::Value).map_err(failed)?, initial.clone(), items)
            }
        }?;
        targets.insert(rule.target.clone(), result);
    }
    Ok(Value::Object(targets))
}

fn compiled(source: &str, what: Use) -> Result<Expression, expr::Error> {
    Expression::new(source)?.kept_for(what)
}

/// Returns the JSON Schema of what the rules give.
pub fn output(rules: &[Rule]) -> Value {
    let of = |rule: &Rule| match rule.change {
        Change::Map { .. } | Change::Filter { .. } => json!({"type": "array"}),
        Change::Reduce { .. } => json!({}),
    };
    let targets: Map<String, Value> = rules.iter().map(|rule| (rule.target.clone(), of(rule))).collect();
    let required: Vec<&String> = targets.keys().collect();
    json!({"type": "object", "required": required, "properties": targets})
}

/// Finds the source of a rule: in the targets if their first part is one, else in the data.
fn list<'a>(
    rule: &Rule,
    number: usize,
    targets: &'a Map<String, Value>,
    data: &'a Value,
) -> Result<&'a [Value], Error> {
    let path = rule.source.clone();
    let found = if path == "." {
        Some(data)
    } else {
        let mut parts = path.split('.').peekable();
        let start = parts.peek().and_then(|first| targets.get(*first));
        match start {
            Some(target) => parts.skip(1).try_fold(target, step),
            None => parts.try_fold(data, step),
        }
    };
    match found {
        None => Err(Error::Missing { rule: number, path }),
        Some(Value::Array(items)) if items.len() > COLLECTION_LIMIT => {
            Err(Error::TooLong { rule: number, path, len: items.len() })
        }
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(Error::NotAList { rule: number, path, found: kind(other) }),
    }
}

/// Follows one part of a path.
fn step<'a>(at: &'a Value, part: &str) -> Option<&'a Value> {
    match at {
        Value::Object(map) => map.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Names the type of a value for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// One rule at work.
struct Run<'a, 'm> {
    rule: usize,
    context: &'a mut Context,
    fuel: &'a mut Fuel<'m>,
    /// What the results of all rules may still take.
    room: &'a mut u64,
}

impl<'m> Run<'_, 'm> {
    fn map(&mut self, value: &Expression, items: &[Value]) -> Result<Value, Error> {
        let mut out = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let made =
                self.at(i, item, value.source().len(), |context, fuel| value.evaluate(context, fuel))?;
            self.keep(i, &made)?;
            out.push(made);
        }
        Ok(Value::Array(out))
    }

    fn filter(&mut self, condition: &Expression, items: &[Value]) -> Result<Value, Error> {
        let mut out = Vec::new();
        for (i, item) in items.iter().enumerate() {
            if self.at(i, item, condition.source().len(), |context, fuel| condition.holds(context, fuel))? {
                self.keep(i, item)?;
                out.push(item.clone());
            }
        }
        Ok(Value::Array(out))
    }

    fn reduce(&mut self, value: &Expression, initial: Value, items: &[Value]) -> Result<Value, Error> {
        let mut acc = initial;
        for (i, item) in items.iter().enumerate() {
            acc = self.at(i, item, value.source().len(), |context, fuel| {
                // Going through JSON keeps a growing value within depth and size at every step.
                fuel.take(crate::value::json_len(&acc) as u64 / 16)?;
                context.set("acc", &acc)?;
                value.evaluate(context, fuel)
            })?;
        }
        self.keep(items.len(), &acc)?;
        Ok(acc)
    }

    /// Takes a result's size off what is left for all results.
    fn keep(&mut self, i: usize, made: &Value) -> Result<(), Error> {
        match self.room.checked_sub(meter::room(made)) {
            Some(left) => *self.room = left,
            None => {
                let error = expr::Error::Limit("the results of the rules are too large together".into());
                return Err(Error::Expression { rule: self.rule, item: Some(i), error });
            }
        }
        Ok(())
    }

    /// Evaluates something for one item, with `item` and `index` set.
    fn at<T>(
        &mut self,
        i: usize,
        item: &Value,
        source: usize,
        evaluate: impl FnOnce(&mut Context, &mut Fuel<'m>) -> Result<T, expr::Error>,
    ) -> Result<T, Error> {
        // An evaluation compiles its source, so a long one is paid for each item.
        let run = || {
            let compiling = source.saturating_sub(SHORT) / LONGER;
            self.fuel.take(EVALUATION + compiling as u64 + meter::entry(item))?;
            self.context.set("item", item)?;
            self.context.set("index", &Value::from(i))?;
            evaluate(self.context, self.fuel)
        };
        run().map_err(|error| Error::Expression { rule: self.rule, item: Some(i), error })
    }
}

#[cfg(test)]
mod tests;
