//! What a run is pinned to: its definition, and by a hash who its agents were when it began.
//!
//! The hash stands in the definition that the run records, in `metadata`, which is nobody's to interpret: a release that
//! does not know it reads the same definition, and the hash of that document covers it.

use super::{
    definition::Definition,
    pin::Pin,
    plan::{Plan, compile},
};
use crate::Problem;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, sync::Arc};

/// Where a recorded definition's `metadata` names its agents. What a person writes there is taken out at a start.
const PIN: &str = "callboard.pin";

impl Plan {
    /// Compiles a definition that was checked before; its agents need not exist any more.
    pub fn pinned(mut definition: Definition) -> Result<Plan, Vec<Problem>> {
        let pin = definition.metadata.remove(PIN).and_then(|pin| serde_json::from_value(pin).ok());
        // Without surroundings nothing is checked that can change after the pinning.
        let plan = compile::compile(definition, &BTreeSet::new(), vec![], None)?;
        Ok(Plan { pin, ..plan })
    }

    /// Says who the agents are, whatever the definition says itself. Without a pin they are whoever has their names.
    pub fn with_pin(mut self, pin: Option<Pin>) -> Plan {
        if self.definition.metadata.contains_key(PIN) {
            Arc::make_mut(&mut self.definition).metadata.remove(PIN);
        }
        Plan { pin, ..self }
    }

    /// Splits what a run recorded into its definition, as it stands, and who its agents are. Nothing is checked: another
    /// version may have recorded it.
    pub fn recorded(mut document: Value) -> (Value, Option<Pin>) {
        let metadata = document.get_mut("metadata").and_then(Value::as_object_mut);
        let pin = metadata.and_then(|metadata| metadata.shift_remove(PIN));
        if let Some(fields) = document.as_object_mut()
            && fields.get("metadata").and_then(Value::as_object).is_some_and(Map::is_empty)
        {
            fields.shift_remove("metadata");
        }
        (document, pin.and_then(|pin| serde_json::from_value(pin).ok()))
    }

    /// Returns the definition as a run records it; `pinned` makes this plan of it again.
    pub fn document(&self) -> Result<Value, serde_json::Error> {
        let mut document = serde_json::to_value(&*self.definition)?;
        if let (Some(pin), Value::Object(fields)) = (&self.pin, &mut document) {
            let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
            metadata[PIN] = serde_json::to_value(pin)?;
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, workflow::plan::Surroundings};
    use serde_json::json;

    fn fresh(metadata: Value) -> Plan {
        let definition = json!({"name": "w", "metadata": metadata, "nodes": [
            {"id": "a", "type": "agent", "config": {"agent": "qa", "prompt": "p"}}]});
        let around = Surroundings { agents: ["qa".to_owned()].into(), ..Surroundings::default() };
        Plan::compile_value(definition, &around).expect("a plan")
    }

    fn pin(secrets: &[&str]) -> Pin {
        Pin { agents: Hash::of(b"x"), secrets: secrets.iter().map(|&name| name.to_owned()).collect() }
    }

    fn again(document: &Value) -> Plan {
        Plan::pinned(serde_json::from_value(document.clone()).expect("a definition")).expect("a plan")
    }

    #[test]
    fn a_recorded_definition_names_its_agents_and_gives_the_same_plan() {
        for (metadata, pin) in [(json!({}), pin(&[])), (json!({"x": 1}), pin(&["tok"]))] {
            let plan = fresh(metadata.clone()).with_pin(Some(pin.clone()));
            let document = plan.document().expect("JSON");
            assert_eq!(document["metadata"]["callboard.pin"]["agents"], json!(pin.agents.to_string()));
            let read = again(&document);
            assert_eq!((&read.pin, &read.definition), (&Some(pin), &plan.definition));
            assert_eq!(read.document().expect("JSON"), document);
        }
    }

    #[test]
    fn what_a_person_writes_there_pins_nothing() {
        let forged = json!({"callboard.pin": {"agents": Hash::of(b"y").to_string()}});
        let unpinned = fresh(forged.clone()).with_pin(None);
        assert_eq!(unpinned.document().expect("JSON").get("metadata"), None);
        let pinned = fresh(forged).with_pin(Some(pin(&[])));
        assert_eq!(again(&pinned.document().expect("JSON")).pin, Some(pin(&[])));
    }

    #[test]
    fn a_definition_of_the_release_before_has_no_pin() {
        let document = fresh(json!({"x": 1})).document().expect("JSON");
        assert_eq!((again(&document).pin, &document["metadata"]), (None, &json!({"x": 1})));
        let other = json!({"name": "w", "metadata": {"callboard.pin": "mine"}, "nodes": []});
        assert_eq!(again(&other).pin, None, "somebody's own note of that name");
    }
}
