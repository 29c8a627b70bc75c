//! How large a value may be that is only passed on, at the edges; and that a text arrives with its line breaks.

use super::*;
use crate::value::{VALUE_LIMIT, json_len};
use serde_json::json;

/// A text whose JSON has so many bytes.
fn text_of(bytes: usize) -> String {
    "x".repeat(bytes - 2)
}

fn limit(result: Result<Value, Error>) -> String {
    match result {
        Err(Error::Limit(message)) => message,
        Err(other) => panic!("{other}"),
        Ok(value) => panic!("a value of {} bytes", json_len(&value)),
    }
}

#[test]
fn what_is_passed_on_may_be_as_large_as_a_value() {
    for (bytes, fits) in [(VALUE_LIMIT - 1, true), (VALUE_LIMIT, true), (VALUE_LIMIT + 1, false)] {
        let context = json!({"input": {"t": text_of(bytes)}});
        for template in [json!("{{ input.t }}"), json!("{{input.t}}\n")] {
            let rendered = render(&template, &context);
            if fits {
                assert_eq!(rendered.expect("a value"), context["input"]["t"]);
            } else {
                assert!(limit(rendered).contains("16777216 bytes"));
            }
        }
        // Of a prompt the text counts, which has no quotes around it.
        let printed = render_text("{{ input.t }}", &context).map(|text| text.len());
        assert_eq!(printed.is_ok(), bytes - 2 <= VALUE_LIMIT);
    }
    // Inside an object its own braces and keys count as well.
    let wrapped =
        |bytes: usize| render(&json!({"a": "{{ input.t }}"}), &json!({"input": {"t": text_of(bytes)}}));
    assert_eq!(wrapped(VALUE_LIMIT - 6).map(|value| json_len(&value)), Ok(VALUE_LIMIT));
    assert_eq!(limit(wrapped(VALUE_LIMIT - 5)), "the result has 16777217 bytes, more than 16777216");
}

#[test]
fn several_large_values_are_bounded_together_before_they_are_copied() {
    let context = json!({"input": {"t": text_of(9 << 20)}});
    assert!(render(&json!(["{{ input.t }}"]), &context).is_ok());
    let many = json!(vec!["{{ input.t }}"; 10_000]);
    assert!(limit(render(&many, &context)).contains("larger than 16777216 bytes together"));
    let text = "{{ input.t }} ".repeat(1_000);
    assert!(
        limit(render_text(&text, &context).map(Value::from)).contains("larger than 16777216 bytes together")
    );
}

#[test]
fn paths_between_texts_are_passed_on_and_anything_else_is_made() {
    let large = "y".repeat(2 << 20);
    let context = json!({"input": {"t": large, "n": 1.0, "o": {"b": [1, null]}}});
    let prompt = render_text("Sum up:\n{{ input.t }}\n({{ input.n }}, {{ input.o }})\n", &context);
    assert_eq!(prompt, Ok(format!("Sum up:\n{large}\n(1.0, {{\"b\":[1,null]}})\n")));
    for made in [
        "{{ input.t | upper }}",
        "{{ input.t ~ '' }}",
        "a {{ input.t | trim }}",
        "{% if true %}{{ input.t }}{% endif %}",
        "{{- input.t }} x",
        "{# a #}{{ input.t }}",
    ] {
        let message = limit(render(&json!(made), &context));
        assert!(message.contains("larger than 1048576 bytes"), "{made}: {message}");
    }
    assert_eq!(
        render_text("a {{ input.nope }}", &context),
        Err(Error::Evaluation("input.nope is undefined".into()))
    );
    assert_eq!(render_text("a {{ input.t.0 }}", &context), Ok("a y".into()));
}

#[test]
fn entries_are_counted_where_a_list_is_looked_through_and_not_where_it_is_passed_on() {
    for (len, fits) in [(100_000, true), (100_001, false)] {
        let context = json!({"input": {"list": vec![0; len]}});
        assert_eq!(render(&json!("{{ input.list }}"), &context).as_ref(), Ok(&context["input"]["list"]));
        assert!(render_text("n: {{ input.list }}", &context).is_ok());
        let looked = evaluate("input.list | length", &context);
        let each = evaluate("input.list", &context);
        if fits {
            assert_eq!(looked, Ok(json!(len)));
            assert!(each.is_ok());
        } else {
            for result in [looked, each] {
                assert_eq!(limit(result), "a list or object has 100001 entries, more than 100000");
            }
        }
    }
}

#[test]
fn what_nests_deeper_than_64_levels_is_not_passed_on() {
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
    for (levels, fits) in [(63, true), (64, true), (65, false)] {
        let context = json!({"v": deep(levels)});
        for template in [json!("{{ v }}"), json!("x{{ v }}"), json!("{{ v | tojson }}")] {
            let rendered = render(&template, &context);
            if fits {
                assert!(rendered.is_ok(), "{template} {levels}: {rendered:?}");
            } else {
                assert!(limit(rendered).contains("deeper than 64 levels"), "{template}");
            }
        }
    }
}

#[test]
fn a_text_keeps_its_line_breaks_whatever_its_tags() {
    let context = json!({"x": "tea", "list": ["a\n", "b\n"]});
    for (template, expected) in [
        ("Hello {{ x }}\n", "Hello tea\n"),
        ("Hello {{ x }}\n\n", "Hello tea\n\n"),
        ("Hello {{ x | upper }}\n", "Hello TEA\n"),
        ("{% if x %}yes{% endif %}\n", "yes\n"),
        ("{{ x }}\r\nand {{ x | upper }}\r\n", "tea\r\nand TEA\r\n"),
        ("\n{{ x }}\n", "\ntea\n"),
        ("{% for t in list %}\n- {{ t }}{% endfor %}\n", "\n- a\n\n- b\n\n"),
        ("a\n{%- if x %}\nb\n{%- endif %}\nc\n", "a\nb\nc\n"),
        ("{# note #}\nx {{ x }}\n", "\nx tea\n"),
        ("{% raw %}{{ x }}{% endraw %}\n", "{{ x }}\n"),
        ("no tag\n", "no tag\n"),
        ("{{ x }}\n", "tea\n"),
    ] {
        assert_eq!(render_text(template, &context), Ok(expected.to_owned()), "{template:?}");
    }
    // One tag and a line break behind it is a value, not a text.
    assert_eq!(render(&json!("{{ list }}\n"), &context), Ok(context["list"].clone()));
    assert_eq!(render(&json!("{{ x }}\n"), &context), Ok(json!("tea")));
    assert_eq!(render(&json!(["x: {{ x }}\n"]), &context), Ok(json!(["x: tea\n"])));
}

#[test]
fn what_is_joined_is_written_as_a_template_prints_it() {
    let context =
        json!({"n": null, "t": true, "f": 1e16, "l": [1, null, "a"], "o": {"b": false}, "s": "tea", "i": 3});
    for (source, expected) in [
        ("'a' ~ n", "anull"),
        ("n ~ 'a'", "nulla"),
        ("t ~ l ~ o", "true[1,null,\"a\"]{\"b\":false}"),
        ("f ~ ''", "1e+16"),
        ("'a' ~ none ~ true", "anulltrue"),
        ("s ~ i ~ s", "tea3tea"),
        ("'n: ' ~ (i + 1)", "n: 4"),
        ("'n: ' ~ n + '!'", "n: null!"),
        ("(i + 1) ~ s", "4tea"),
        ("s + n ~ '!'", "teanull!"),
        ("i * 2 ~ '!'", "6!"),
        ("s | upper ~ s | length", "TEA3"),
        ("(t) ~ (l[0])", "true1"),
        ("'a' ~ n == 'anull'", "true"),
        ("-i ~ s", "-3tea"),
        ("l | join(',')", "1,null,a"),
        ("[t, o] | join", "true{\"b\":false}"),
        ("[{'x': 1}, {'x': 2}] | join('-', attribute='x')", "1-2"),
        ("s | join('.')", "t.e.a"),
        ("n | string", "null"),
        ("l | string", "[1,null,\"a\"]"),
        ("s | string", "tea"),
    ] {
        let printed = render_text(&format!("{{{{ {source} }}}}"), &context);
        assert_eq!(printed, Ok(expected.to_owned()), "{source}");
    }
    for source in ["'a' ~ nope", "nope ~ 'a'", "nope | string"] {
        assert!(matches!(evaluate(source, &context), Err(Error::Evaluation(_))), "{source}");
    }
}

#[test]
fn a_text_that_is_no_number_is_named() {
    for (source, expected) in [
        ("' 5 ' | int", r#"the text " 5 " is not a number"#),
        ("'1,5' | float", r#"the text "1,5" is not a number"#),
        ("'0x10' | int", r#"the text "0x10" is not a number"#),
    ] {
        assert_eq!(evaluate(source, &json!({})), Err(Error::Evaluation(expected.to_owned())), "{source}");
    }
    assert_eq!(evaluate("'ff' | int(base=16)", &json!({})), Ok(json!(255)));
    assert_eq!(evaluate("' 5 ' | trim | int", &json!({})), Ok(json!(5)));
}
