//! A changed copy of a folder of Dapr resources: for tests that need other times or limits
//! than the ones that are shipped.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{root, scratch};

/// A folder that `--resources-path` may name.
pub struct Components {
    documents: Vec<Value>,
    dir: TempDir,
}

impl Components {
    /// Copies `components/redis`.
    pub fn redis() -> Self {
        Self::copy(&root().join("components/redis"))
    }

    pub fn copy(from: &Path) -> Self {
        let files = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let mut documents: Vec<Value> = Vec::new();
        for file in files.map(|file| file.expect("a folder can be listed").path()) {
            let text = fs::read_to_string(&file).expect("a component file is text");
            let parsed = serde_saphyr::from_multiple::<Value>(&text);
            documents.extend(parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        }
        let copy = Self { documents, dir: scratch() };
        copy.write();
        copy
    }

    /// Changes the resource of this name.
    pub fn edit(mut self, name: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let found = self.documents.iter_mut().find(|document| document["metadata"]["name"] == name);
        edit(found.unwrap_or_else(|| panic!("there is no resource {name}")));
        self.write();
        self
    }

    /// Sets one item of a component's metadata.
    pub fn set(self, component: &str, item: &str, value: &str) -> Self {
        self.edit(component, |component| {
            let items = component["spec"]["metadata"].as_array_mut().expect("a component has metadata");
            items.retain(|known| known["name"] != item);
            items.push(json!({"name": item, "value": value}));
        })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// One document a file, and JSON, which is YAML.
    fn write(&self) {
        for (index, document) in self.documents.iter().enumerate() {
            let text = serde_json::to_string_pretty(document).expect("it was parsed");
            fs::write(self.dir.path().join(format!("{index}.yaml")), text)
                .expect("a file of a temporary folder");
        }
    }
}
