//! Expressions and templates: what they give, and what they may cost.

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
mod compared;
mod metered;
mod optional;
mod passing;
mod timed;
mod unchanged;

#[test]
fn measuring_stands_behind_every_operand() {
    let cases = [
        ("a.b + c[d]|f(e, g=h) ~ 1", "a.b|M + c[d|M]|f(e|M, g=h|M)|J ~ 1"),
        ("not a and c not in [1, 'x']", "not a|M and c|M not in [1, 'x']|M"),
        ("a * -b ** 2", "a|F * -b|F ** 2"),
        ("2 * (a or [1])", "2|S * (a|M or [1]|M)|F"),
        (
            "a is defined and b is not odd or c is divisibleby 3",
            "a|M is defined and b|M is not odd or c|M is divisibleby 3",
        ),
        ("a is eq(b) ~ {'x': y}", "a|M is eq(b|M) ~ {'x': y|M}|J"),
        ("f(*a, **b)", "f(*a|M, **b|M)|M"),
        ("x if y else z.1.0", "x|M if y|M else z.1.0|M"),
        ("a[1:b]~'x'|upper", "(a|M(1,b|M))|J~'x'|upper|J"),
        ("()", "()|M"),
    ];
    let short = |text: String| {
        text.replace("measured__", "M")
            .replace("joined__", "J")
            .replace("scalar__", "S")
            .replace("factor__", "F")
    };
    for (source, expected) in cases {
        assert_eq!(short(operands::plain_expression(source)), expected, "{source}");
    }
    let template = "{{- a -}} {# {{ b }} #}{% raw %}{{ c }}{% endraw %}{% for x, y in z if x %}{{ loop.index }}{% endfor -%}{% set q = r %}{% set s %}t{% endset %}{{ {'a': {'b': u}} }}{% if v %}{ {% elif w ~ 1 %}{% endif %}";
    let expected = "{{- a|M -}} {# {{ b }} #}{% raw %}{{ c }}{% endraw %}{% for x, y in z|M if x|M %}{{ loop.index }}{% endfor -%}{% set q = r|M %}{% set s %}t{% endset %}{{ {'a': {'b': u|M}|M}|M }}{% if v|M %}{ {% elif w|J ~ 1 %}{% endif %}";
    assert_eq!(short(operands::plain_template(template)), expected);
}

#[test]
fn the_listed_filters_and_tests_exist() {
    for (name, _) in names::FILTERS {
        assert_eq!(evaluate(&format!("'{name}' is filter"), &json!({})), Ok(json!(true)), "{name}");
    }
    for (name, _) in names::TESTS {
        assert_eq!(evaluate(&format!("'{name}' is test"), &json!({})), Ok(json!(true)), "{name}");
    }
    for (name, about) in [&names::FILTERS[..], &names::TESTS, &names::FUNCTIONS].concat() {
        assert!(about.ends_with('.') && !about.contains('\n'), "{name}: {about}");
    }
    assert_eq!(evaluate("[range(2), dict(a=1)]", &json!({})), Ok(json!([[0, 1], {"a": 1}])));
}

#[test]
fn text_is_as_written_and_the_rest_is_json() {
    let context = json!({"a": {"s": "<b>", "n": null, "t": true, "f": 1.5, "o": {"k": ["x"]}}});
    let template = "{{ a.s }} {{ a.n }} {{ a.t }} {{ a.f }} {{ a.o }} {# no #}{% raw %}{{ a }}{% endraw %}";
    assert_eq!(render_text(template, &context), Ok(r#"<b> null true 1.5 {"k":["x"]} {{ a }}"#.to_owned()));
    assert_eq!(render_text("plain { text }", &context), Ok("plain { text }".to_owned()));
    let list =
        "{% for k in a.o.k %}{{ loop.index }}{{ k }}{% else %}none{% endfor %}{% if a.nope %}x{% endif %}";
    assert_eq!(render_text(list, &context), Ok("1x".to_owned()));
}

#[test]
fn numbers_keep_their_kind() {
    for (source, expected) in [
        ("1 + 1", json!(2)),
        ("1 / 2", json!(0.5)),
        ("2 ** 62", json!(1u64 << 62)),
        ("18446744073709551615", json!(u64::MAX)),
        ("input.big", json!(u64::MAX)),
        ("-input.n", json!(-3)),
        ("input.f * 2", json!(3.0)),
        ("{1: 'a', true: 'b'}", json!({"1": "b"})),
        ("(1, 2)", json!([1, 2])),
        ("range(3)", json!([0, 1, 2])),
        ("dict(a=1)", json!({"a": 1})),
        ("none", json!(null)),
        ("'{\"a\": [1]}' | fromjson", json!({"a": [1]})),
        ("input | tojson", json!(r#"{"big":18446744073709551615,"n":3,"f":1.5}"#)),
    ] {
        let context = json!({"input": {"big": u64::MAX, "n": 3, "f": 1.5}});
        assert_eq!(evaluate(source, &context), Ok(expected), "{source}");
    }
    for source in ["2 ** 100", "'nan' | float", "range", "input.nope", "'x' | fromjson", "1 if false"] {
        assert!(evaluate(source, &json!({"input": {}})).is_err(), "{source}");
    }
}

#[test]
fn truth_is_jinjas() {
    let context = json!({"input": {"empty": [], "zero": 0, "text": "x", "null": null}});
    for (source, expected) in [
        ("input.empty", false),
        ("input.zero", false),
        ("''", false),
        ("input.null", false),
        ("input.nope", false),
        ("not input.nope", true),
        ("input.text", true),
        ("input.text == 'x' and 1 < 2 <= 2", true),
        ("'x' in input.text", true),
        ("input.nope is defined", false),
        ("input.zero is number and input.zero is not odd", true),
    ] {
        assert_eq!(holds(source, &context), Ok(expected), "{source}");
    }
    assert_eq!(holds("input.nope.deeper", &context), Ok(false));
}

#[test]
fn only_one_pair_of_braces_is_whole() {
    for (template, expected) in [
        ("{{ a }}", Some(" a ")),
        ("{{- a -}}", Some(" a ")),
        ("{{ a }}\n", Some(" a ")),
        ("{{ {'a': {'b': 1}} }}", Some(" {'a': {'b': 1}} ")),
        ("{{ '}} {{' }}", Some(" '}} {{' ")),
        (" {{ a }}", None),
        ("{{ a }}{{ b }}", None),
        ("{{ a }} and {{ b }}", None),
        ("{{ a", None),
        ("{{}}", None),
    ] {
        assert_eq!(whole(template), expected, "{template}");
    }
}

#[test]
fn references_are_paths_roots_and_steps() {
    let of = |source: &str| References::of_template(source).expect("references");
    let found =
        of("{% for item in input.list %}{{ item.x }}{{ steps.a.output.b[run.id] }}{% endfor %}{{ steps.b }}");
    assert_eq!(found.paths().collect::<Vec<_>>(), ["input.list", "run.id", "steps.a.output.b", "steps.b"]);
    assert_eq!(found.roots().into_iter().collect::<Vec<_>>(), ["input", "run", "steps"]);
    assert_eq!(
        found.steps().into_iter().map(|(id, f)| (id, f.len())).collect::<Vec<_>>(),
        [("a", 1), ("b", 0)]
    );
    assert!(!found.reads().item);
    assert_eq!(of("{{ steps['a-b'].output }}{{ steps [ \"c\" ].output }}").steps().len(), 2);
    assert!(of("{{ steps['a' ~ 'b'].output }}").reads().all_steps);
    assert!(of("{{ mysteps['a'] }}{{ x.steps['a'] }}").steps().is_empty());
    let sliced = of(
        "{% for x in input.a[1:] %}{{ x[:2] }}{{ steps.b.output[:][0] }}{{ (run.c or 1)[::x[1]] }}{% endfor %}",
    );
    assert_eq!(sliced.paths().collect::<Vec<_>>(), ["input.a", "run.c", "steps.b.output"]);
    assert_eq!(of("{{ range(3) }}{{ dict(a=1) }}"), References::default());
    assert_eq!(of("{{ \"steps['a']\" }} steps['b']"), References::default());
    assert_eq!(of("{% raw %}{{ steps.a }}{% endraw %}{# {{ steps.b }} #}"), References::default());
}

#[test]
fn mistakes_are_named() {
    for (source, expected) in [
        ("{{ a }}", "an expression is written without {{ and }}"),
        ("now() | date", "`now` is an instant and no function: it is written without ()"),
        ("a }} {{ b", "an expression is written without {{ and }}"),
        ("a |nope", "there is no filter `nope`"),
        ("a is nope", "there is no test `nope`"),
        ("a +", "unexpected end of input, expected expression"),
        ("", "unexpected end of input, expected expression"),
        ("a b", "unexpected input after expression"),
        ("'a", "unexpected end of string"),
    ] {
        assert_eq!(check_expression(source), Err(Error::Syntax(expected.to_owned())), "{source}");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Pieces of sources, put together at random: many are nonsense, some are not.
    fn source() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "b.c",
            "steps",
            "['x']",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            " + ",
            " * ",
            " ** ",
            "-",
            " ~ ",
            " == ",
            " < ",
            " in ",
            " not ",
            " and ",
            " or ",
            " if ",
            " else ",
            " is ",
            "defined",
            "odd",
            "|",
            "upper",
            "list",
            "join",
            "1",
            "2.5",
            "'t'",
            "\"u\"",
            "loop",
            "range(3)",
            ".",
            "=",
            " ",
            "é",
            "%",
            "/",
            "//",
            "none",
            "{{",
            "}}",
            "{%",
            "%}",
            "for x in ",
            "endfor",
            "set y = ",
            "{#",
            "#}",
            "raw",
            "endraw",
        ]);
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_source_ends(source in source()) {
            let context = json!({"a": [1, 2], "b": {"c": 3}, "steps": {"x": {"output": "o"}}});
            let _ = check_expression(&source);
            let _ = evaluate(&source, &context);
            let _ = holds(&source, &context);
            let _ = check_template(&json!(source));
            let _ = render(&json!(source), &context);
        }

        /// The filters behind the operands change nothing but the price.
        #[test]
        fn measuring_changes_no_result(source in source()) {
            let source = source.replace('é', "e");
            let plain = minijinja::Environment::new();
            let measured = operands::expression(&source);
            let env = environment::plain();
            let parses = plain.compile_expression(&source).is_ok();
            let found = env.compile_expression(&measured).is_ok();
            // A variable named `not` is the one thing that is refused.
            prop_assert!(parses == found || parses && source.contains("not"), "{} -> {}", source, measured);
            if let (Ok(expression), true) = (plain.compile_expression(&source), found) {
                let context = minijinja::context! { a => vec![1, 2], b => minijinja::context! { c => 3 } };
                if let Ok(expected) = expression.eval(context.clone()) {
                    let found = env.compile_expression(&measured).expect("parses").eval(context);
                    // Lists are not multiplied.
                    if let Ok(found) = found {
                        prop_assert_eq!(found.to_string(), expected.to_string(), "{} -> {}", source, measured);
                    }
                }
            }
        }

        #[test]
        fn the_pieces_of_a_template_are_the_whole(source in source()) {
            let whole: String = scan::pieces(&source)
                .into_iter()
                .map(|piece| match piece {
                    scan::Piece::Inert(text) => text.to_owned(),
                    scan::Piece::Tag { open, body, close, .. } => format!("{open}{body}{close}"),
                })
                .collect();
            prop_assert_eq!(whole, source);
        }

        #[test]
        fn a_template_parses_as_it_would_unmeasured(source in source()) {
            let plain = minijinja::Environment::new();
            let refused = bounds::template(&source).is_err();
            let measured = operands::template(&source);
            let (parses, found) = (plain.template_from_str(&source).is_ok(), plain.template_from_str(&measured).is_ok());
            prop_assert!(refused || parses == found || parses && source.contains("not"), "{} -> {}", source, measured);
        }
    }
}
