//! Paths that lead nowhere.

use super::*;
use serde_json::json;

fn context() -> Value {
    json!({"input": {"here": {"x": 1}, "none": null, "list": [{"a": {"b": 1}}, {}], "text": "t"}, "steps": {"mk": {"status": "skipped"}}})
}

#[test]
fn what_is_not_there_may_be_asked_for_at_any_depth() {
    for (source, expected) in [
        ("input.a.b", false),
        ("input.a.b.c.d", false),
        ("input.a.b is defined", false),
        ("input.a.b is not defined", true),
        ("input.a['b'].c is defined", false),
        ("input['a']['b'] is defined", false),
        ("input.here.x is defined", true),
        ("input.here['x'] is defined", true),
        ("input.none.b.c is defined", false),
        ("input.text.b.c is defined", false),
        ("input.list[7].a.b is defined", false),
        ("input.list[1].a.b is defined", false),
        ("input.list.0.a.b is defined", true),
        ("(input.list | first).a.b is defined", true),
        ("(input.list | last).a.b is defined", false),
        ("(input.a or input.here).x == 1", true),
        ("steps.mk.output.o is defined", false),
        ("steps['mk'].output.o is defined", false),
        ("not input.a.b", true),
        ("input.a.b and input.a.b > 1", false),
        ("input.a is sequence or input.a is iterable or input.a is mapping", false),
        ("input.here[input.a.b | default('x')] == 1", true),
        ("-input.here.x == -1", true),
        ("2 ** input.here.x == 2", true),
        ("input.list[1:][0].a.b is defined", false),
    ] {
        assert_eq!(holds(source, &context()), Ok(expected), "{source}");
    }
    for (source, expected) in [
        ("input.a.b | default('-')", json!("-")),
        ("input.a.b | d('-') | upper", json!("-")),
        ("steps.mk.output.o | default([])", json!([])),
        ("input.list | map(attribute='a.b', default=0) | list", json!([1, 0])),
        ("input.list | selectattr('a', 'defined') | map(attribute='a.b') | list", json!([1])),
    ] {
        assert_eq!(evaluate(source, &context()), Ok(expected), "{source}");
    }
    for (template, expected) in [
        ("<{{ input.a.b | default('-') }}>", "<->"),
        ("{% for i in input.list %}{{ i.a.b | default('-') }}{% endfor %}", "1-"),
        ("{% set x = input.nope %}{{ x.y.z | default('-') }}", "-"),
        ("{% if input.a.b %}yes{% else %}no{% endif %}", "no"),
        ("{% for i in input.a.b | default([]) %}{{ i }}{% else %}none{% endfor %}", "none"),
    ] {
        assert_eq!(render_text(template, &context()), Ok(expected.to_owned()), "{template}");
    }
}

#[test]
fn what_is_not_there_is_an_error_where_it_is_used() {
    let uses = [
        "P",
        "P ~ 'x'",
        "P + 1",
        "1 - P",
        "P * 2",
        "-P",
        "P == 1",
        "1 != P",
        "P < 1",
        "P in [1]",
        "1 in P",
        "'x' ~ P",
        "[P]",
        "{'k': P}",
        "[[1, P]]",
        "P[1:]",
        "P[:1]",
        "P is odd",
        "P is lt(1)",
        "range(P) | list",
        "'x' | replace(P, 'y')",
        "dict(a=P)",
    ];
    let filters =
        names::FILTERS.into_iter().map(|(f, _)| f).filter(|f| !matches!(*f, "default" | "d" | "bool"));
    let filters = filters.map(|filter| match filter {
        "add" => "P | add('1h')".to_owned(),
        "since" => "P | since('2027-01-01T00:00:00Z')".to_owned(),
        "attr" => "P | attr('x')".to_owned(),
        "batch" | "slice" => format!("P | {filter}(2) | list"),
        "groupby" | "rejectattr" | "selectattr" => format!("P | {filter}('x') | list"),
        "map" => "P | map('upper') | list".to_owned(),
        "replace" => "P | replace('x', 'y')".to_owned(),
        _ => format!("P | {filter}"),
    });
    let mut wrong = Vec::new();
    for path in ["input.nope", "input.a.b", "input.list[7].a", "steps.mk.output"] {
        let named = path.split('[').next().expect("a path");
        for source in uses.iter().map(|source| (*source).to_owned()).chain(filters.clone()) {
            let source = source.replace('P', path);
            let found = evaluate(&source, &context());
            let says = match &found {
                Err(Error::Evaluation(message)) if path.contains('[') => message.contains("undefined"),
                Err(Error::Evaluation(message)) => message == &format!("{named} is undefined"),
                Ok(_) | Err(_) => false,
            };
            if !says {
                wrong.push(format!("{source}: {found:?}"));
            }
        }
        for template in
            ["{{ P }}", "a {{ P }}", "{% for x in P %}{% endfor %}", "{{ [P] }}!", "{{ P | tojson }}!"]
        {
            let template = template.replace('P', path);
            let found = render_text(&template, &context());
            assert!(
                matches!(&found, Err(Error::Evaluation(m)) if m.contains("undefined")),
                "{template}: {found:?}"
            );
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_path_that_is_missed_is_named() {
    for (source, expected) in [
        ("(input.a | default('')) ~ input.b", "input.b is undefined"),
        ("input.a ~ (input.b | default(''))", "input.a is undefined"),
        ("input.b if input.a is not defined else 1", "input.b is undefined"),
    ] {
        assert_eq!(evaluate(source, &context()), Err(Error::Evaluation(expected.into())), "{source}");
    }
}

#[test]
fn paths_go_through_a_filter_from_their_second_step_on() {
    for (source, expected) in [
        ("input.a", "input.a|M"),
        ("input.a.b", "(input.a|P('b'))|M"),
        ("input.a.0['c'][d].e", "(input.a|P(0, 'c', d|M, 'e'))|M"),
        ("x.y", "(x|P('y'))|M"),
        ("2 - -x.y ** 2", "2 - -((x|P('y'))|F)|M ** 2"),
        ("loop.index", "loop.index"),
        ("input.a.b(1)", "(input.a|P('b'))(1)|M"),
        ("input.a.b[1:2].c", "((input.a|P('b')|N)[1:2]|P('c'))|M"),
        ("input[1:]", "(input|N)[1:]|M"),
        ("input.a.b|f.g", "(input.a|P('b'))|f.g|M"),
        ("x|f(1).g", "x|f(1).g|M"),
        ("x is odd(1).g", "x|M is odd(1).g"),
        ("input.a[1, 2]", "input.a[1, 2]|M"),
        ("input.a[]", "input.a[]|M"),
        ("x is eq y.z", "x|M is eq (y|P('z'))|M"),
    ] {
        let found = operands::expression(source)
            .replace("measured__", "M")
            .replace("path__", "P")
            .replace("needed__", "N")
            .replace("factor__", "F");
        assert_eq!(found, expected, "{source}");
    }
}
