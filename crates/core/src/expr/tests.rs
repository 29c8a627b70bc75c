use super::*;
use serde_json::json;

#[test]
fn a_whole_template_keeps_the_type() {
    let context = json!({"input": {"n": 3, "list": [1, 2], "s": "{{ input.n }}"}});
    assert_eq!(render(&json!("{{ input.list }}"), &context), Ok(json!([1, 2])));
    assert_eq!(render(&json!("n={{ input.n }}"), &context), Ok(json!("n=3")));
    assert_eq!(render(&json!({"a": ["{{ input.n }}"]}), &context), Ok(json!({"a": [3]})));
    assert_eq!(render(&json!("{{ input.s }}"), &context), Ok(json!("{{ input.n }}")));
    assert_eq!(render(&json!("{{ input.n }} and {{ input.list }}"), &context), Ok(json!("3 and [1,2]")));
}

#[test]
fn undefined_is_false_in_a_condition_and_an_error_elsewhere() {
    let context = json!({"input": {"n": 3}});
    assert_eq!(holds("input.nope", &context), Ok(false));
    assert_eq!(evaluate("input.n + 1", &context), Ok(json!(4)));
    assert_eq!(evaluate("input.nope", &context), Err(Error::Evaluation("input.nope is undefined".into())));
    assert_eq!(
        render_text("Hello {{ input.a.b }}", &context),
        Err(Error::Evaluation("input.a.b is undefined".into()))
    );
}

#[test]
fn what_a_source_reads_is_known() {
    let reads =
        check_expression("steps.a.output.x + steps[\"b-c\"].output and index > input.n").expect("reads");
    assert_eq!(reads.steps, ["a".to_owned(), "b-c".to_owned()].into());
    assert!(reads.input && reads.item && !reads.all_steps && !reads.last);
    assert!(check_expression("steps[input.x].output").expect("reads").all_steps);
}
