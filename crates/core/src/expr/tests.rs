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

mod bombs;

#[test]
fn measuring_stands_behind_every_operand() {
    let cases = [
        ("a.b == c[d]|f(e, g=h) + 1", "a.b|M == c[d|M]|f(e|M, g=h|M)|M + 1"),
        ("not a in b and c not in [1, 'x']", "not a|M in b|M and c|M not in [1, 'x']|M"),
        ("a * -b ** 2", "a|S * -b|S ** 2"),
        ("2 * (a or [1])", "2|S * (a|M or [1]|M)|S"),
        (
            "a is defined and b is not odd or c is divisibleby 3",
            "a|M is defined and b|M is not odd or c|M is divisibleby 3",
        ),
        ("a is eq(b) == {'x': y}", "a|M is eq(b|M) == {'x': y|M}|M"),
        ("f(*a, **b)", "f(*a|M, **b|M)|M"),
        ("x if y else z.1.0", "x|M if y|M else z.1.0|M"),
        ("a[1:b]~'x'|upper", "a[1:b|M]|M~'x'|upper|M"),
        ("()", "()|M"),
    ];
    let short = |text: String| text.replace(measure::MEASURED, "M").replace(measure::SCALAR, "S");
    for (source, expected) in cases {
        assert_eq!(short(measure::expression(source)), expected, "{source}");
    }
    let template = "{{- a -}} {# {{ b }} #}{% raw %}{{ c }}{% endraw %}{% for x, y in z if x %}{{ loop.index }}{% endfor -%}{% set q = r %}{% set s %}t{% endset %}{{ {'a': {'b': u}} }}{% if v %}{ {% elif w == 1 %}{% endif %}";
    let expected = "{{- a|M -}} {# {{ b }} #}{% raw %}{{ c }}{% endraw %}{% for x, y in z|M if x|M %}{{ loop.index }}{% endfor -%}{% set q = r|M %}{% set s %}t{% endset %}{{ {'a': {'b': u|M}|M}|M }}{% if v|M %}{ {% elif w|M == 1 %}{% endif %}";
    assert_eq!(short(measure::template(template)), expected);
}

#[test]
fn the_listed_filters_and_tests_exist() {
    for name in names::FILTERS {
        assert_eq!(evaluate(&format!("'{name}' is filter"), &json!({})), Ok(json!(true)), "{name}");
    }
    for name in names::TESTS {
        assert_eq!(evaluate(&format!("'{name}' is test"), &json!({})), Ok(json!(true)), "{name}");
    }
}
