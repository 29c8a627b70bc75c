use super::*;

const EXAMPLE: &str = include_str!("../../../tests/corpus/valid/design.yaml");

#[test]
fn the_example_of_the_design_reads_the_same_in_yaml_and_json() {
    let yaml = Definition::read(EXAMPLE, Format::Yaml).expect("a definition");
    let json = serde_json::to_string(&yaml).expect("json");
    assert_eq!(Definition::read(&json, Format::Json), Ok(yaml.clone()));
    assert_eq!(Definition::read(&json, Format::Yaml), Ok(yaml.clone()));
    assert_eq!(serde_json::from_str::<Definition>(&json).expect("a definition"), yaml);
}
