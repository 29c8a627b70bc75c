//! Comparisons between kinds, in operators, tests and filters.

use super::*;
use serde_json::json;

fn context() -> Value {
    json!({"input": {
        "amount": "5", "score": null, "n": 7, "yes": true, "flag": "true", "list": [1, 2], "map": {"a": 1},
        "prices": [{"p": "250"}, {"p": 90}, {"p": null}, {}],
        "rows": [{"p": 250, "t": "a"}, {"p": 90, "t": "b"}], "mixed": [3, "10", 2], "holes": [3, null, 2],
        "long": "x".repeat(500)
    }})
}

fn fails(source: &str, parts: &[&str]) {
    let found = evaluate(source, &context());
    let Err(Error::Evaluation(message)) = &found else { panic!("{source}: {found:?}") };
    for part in parts {
        assert!(message.contains(part), "{source}: `{message}` does not say `{part}`");
    }
}

#[test]
fn values_of_different_kinds_have_no_order() {
    let text_and_number = ["the text \"5\"", "the number 1000", "can't be ordered", "`| int`", "`| float`"];
    for operator in ["<", "<=", ">", ">="] {
        fails(&format!("input.amount {operator} 1000"), &text_and_number);
        fails(&format!("1000 {operator} input.amount"), &text_and_number);
        fails(&format!("input.score {operator} 0.5"), &["null", "the number 0.5", "`| default(0, true)`"]);
        fails(&format!("input.nope {operator} 0.5"), &["input.nope is undefined"]);
        fails(&format!("input.a.b {operator} 0.5"), &["input.a.b is undefined"]);
        fails(&format!("input.yes {operator} 1"), &["the truth value true", "`| int`"]);
        fails(&format!("input.flag {operator} true"), &["the text \"true\"", "the truth value true"]);
        fails(&format!("input.list {operator} 1"), &["a list", "the number 1"]);
        fails(&format!("input.map {operator} input.map"), &["an object", "can't be ordered"]);
        fails(&format!("none {operator} none"), &["null and null can't be ordered"]);
        fails(&format!("[1, 'a'] {operator} [1, 2]"), &["the text \"a\"", "the number 2"]);
        fails(
            &format!("input.long {operator} 1"),
            &["the text \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\""],
        );
    }
    for test in ["lt", "lessthan", "le", "gt", "greaterthan", "ge"] {
        fails(&format!("input.amount is {test}(1000)"), &["the text \"5\"", "the number 1000"]);
        fails(&format!("input.prices | selectattr('p', '{test}', 100) | list"), &["the text \"250\""]);
        fails(&format!("input.mixed | select('{test}', 5) | list"), &["the text \"10\""]);
        fails(&format!("input.prices | rejectattr('p', '{test}', 'z') | list"), &["the number 90"]);
    }
    for test in ["<", "<=", ">", ">="] {
        fails(&format!("input.mixed | select('{test}', 5) | list"), &["the text \"10\""]);
    }
}

#[test]
fn what_can_not_be_equal_for_its_kind_is_no_answer() {
    for operator in ["==", "!="] {
        fails(
            &format!("'200' {operator} 200"),
            &["the text \"200\"", "the number 200", "`| int`", "`| string`"],
        );
        fails(&format!("input.flag {operator} true"), &["the text \"true\"", "the truth value true"]);
        fails(&format!("input.list {operator} 1"), &["a list", "the number 1", "can't be equal"]);
        fails(&format!("input.list {operator} input.map"), &["a list", "an object"]);
        fails(&format!("input.nope {operator} none"), &["input.nope is undefined"]);
    }
    for test in ["eq", "equalto", "ne"] {
        fails(&format!("input.mixed | select('{test}', 3) | list"), &["the text \"10\"", "the number 3"]);
        fails(&format!("input.amount is {test}(5)"), &["the text \"5\""]);
    }
    for test in ["==", "!=", "in"] {
        fails(
            &format!("['10'] | select('{test}', {}) | list", if test == "in" { "[10]" } else { "10" }),
            &["\"10\""],
        );
    }
    for source in
        ["input.amount in [5, 6]", "input.amount not in [5, 6]", "5 in ['5']", "5 in '15'", "1 in input.map"]
    {
        fails(source, &["the text", "the number"]);
    }
    fails("1 in 5", &["nothing can be looked up in the number 5"]);
    fails("input.nope in [1]", &["input.nope is undefined"]);
    fails("1 in input.nope", &["input.nope is undefined"]);
}

#[test]
fn what_can_be_compared_is() {
    for (source, expected) in [
        ("input.amount | int > 1000", false),
        ("input.amount | float < 1000 and input.n == 7", true),
        ("1 < 1.5", true),
        ("'a' < 'b'", true),
        ("'10' < '9'", true),
        ("false < true", true),
        ("[1, 2] < [1, 3]", true),
        ("[1] < [1, 2]", true),
        ("[1, 'a'] < [2, 3]", true),
        ("1 == 1.0", true),
        ("true == 1", true),
        ("input.score == none", true),
        ("input.n != none", true),
        ("none == none", true),
        ("input.map == {'a': 1}", true),
        ("input.list == [1, 2]", true),
        ("input.list == ['1']", false),
        ("5 in []", false),
        ("5 in [none]", false),
        ("none in [1]", false),
        ("'a' in [1, 'a']", true),
        ("'b' in [1, 'a']", false),
        ("'b' in 'abc'", true),
        ("'a' in input.map", true),
        ("'z' not in input.map", true),
        ("1 in {}", false),
        ("1 < 2 < 3", true),
        ("1 < 2 <= 2 == 2 != 3", true),
        ("3 > 2 > 2", false),
        ("1 > 2 > 'a'", false),
        ("1 in [1] in [[1]]", true),
        ("not 1 == 2", true),
        ("not 1 < 2 or 2 > 1", true),
        ("(1 if 2 > 1 else 0) == 1", true),
        ("{'a': 1 < 2}['a'] == true", true),
        ("[1 < 2, 2 < 1] == [true, false]", true),
        ("-input.n < 0", true),
        ("input.n + 1 > input.n * 1", true),
        ("'a' ~ 1 == 'a1'", true),
        ("input.n is odd == true", true),
        ("input.n is divisibleby 7 and 2 > 1", true),
        ("range(3) | list == [0, 1, 2]", true),
        ("dict(a=1 < 2).a", true),
        ("input.list[0 if 1 < 2 else 1] == 1", true),
    ] {
        assert_eq!(holds(source, &context()), Ok(expected), "{source}");
    }
    let template = "{% for r in input.rows if r.p > 100 %}{{ r.t }}{% endfor %}{% set x = input.n >= 7 %}{{ x }}\
        {% if input.n == 7 %}seven{% elif input.n < 7 %}less{% endif %}";
    assert_eq!(render_text(template, &context()), Ok("atrueseven".to_owned()));
    let trimmed = "a {{- input.n == 7 -}} b {%- if input.n < 8 -%} c {%- endif -%} d {{- input.n -}} e";
    assert_eq!(render_text(trimmed, &context()), Ok("atruebcd7e".to_owned()));
}

#[test]
fn filters_that_order_want_one_kind() {
    for filter in ["sort", "min", "max"] {
        fails(&format!("input.mixed | {filter}"), &["the number 3", "the text \"10\"", "`| int`"]);
        fails(&format!("input.holes | {filter}"), &["null", "the number 3", "`| default(0, true)`"]);
        fails(&format!("input.prices | {filter}(attribute='p')"), &["missing", "selectattr('p', 'defined')"]);
        fails(&format!("[{{'p': 1}}, {{'p': 'a'}}] | {filter}(attribute='p')"), &["the number 1"]);
        fails(&format!("[[1], ['a']] | {filter}"), &["the number 1", "the text \"a\""]);
        fails(&format!("[true, 2] | {filter}"), &["the truth value true"]);
        fails(&format!("input.rows | {filter}"), &["an object"]);
        fails(&format!("input.nope | {filter}"), &["input.nope is undefined"]);
    }
    fails("[{'a': 1, 'b': 1}, {'a': 1, 'b': 'x'}] | sort(attribute='a, b')", &["the text \"x\""]);
    fails("{'a': 1, 'b': 'x'} | dictsort(by='value')", &["the number 1", "the text \"x\""]);
    fails("{1: 1, 'b': 2} | dictsort", &["the number 1", "the text \"b\""]);
    fails("['1', 1] | unique | list", &["the text \"1\"", "the number 1"]);
    fails("input.prices | groupby('p') | list", &["missing"]);
    fails("[{'p': 1}, {'p': '1'}] | groupby('p') | list", &["the text \"1\""]);
    fails("input.mixed | sum", &["the text \"10\"", "map('float')"]);
    fails("input.holes | sum", &["null", "default(0, true)"]);
    fails("input.prices[3:] | sum(attribute='p')", &["missing"]);
    for (source, expected) in [
        ("[3, 1.5, 2] | sort", json!([1.5, 2, 3])),
        ("['b', 'A'] | sort", json!(["A", "b"])),
        ("[[2, 'b'], [1, 'a']] | sort", json!([[1, "a"], [2, "b"]])),
        ("[] | sort", json!([])),
        ("[none] | min", json!(null)),
        ("input.rows | sort(attribute='p') | map(attribute='t') | list", json!(["b", "a"])),
        ("input.rows | max(attribute='p')", json!({"p": 250, "t": "a"})),
        ("[1, none, 1, none] | unique | list", json!([1, null])),
        ("{'b': 1, 'a': 2} | dictsort", json!([["a", 2], ["b", 1]])),
        ("[{'p': 2}, {'p': none}] | groupby('p') | map('first') | list", json!([null, 2])),
        ("[{'p': 2}, {}] | groupby('p', default=0) | map('first') | list", json!([0, 2])),
        ("input.rows | sum(attribute='p')", json!(340)),
        ("['1', '2.5'] | map('float') | sum", json!(3.5)),
    ] {
        assert_eq!(evaluate(source, &context()), Ok(expected), "{source}");
    }
}

#[test]
fn a_text_is_no_number() {
    fails("input.amount * 3", &["the text \"5\" can't be multiplied", "`| int`"]);
    fails("3 * input.amount", &["the text \"5\" can't be multiplied"]);
    fails("-input.amount", &["the text \"5\" can't be multiplied"]);
    fails("1 - -(input.amount)", &["the text \"5\""]);
    fails("input.amount is odd", &["the text \"5\" is not a number", "`| int`"]);
    fails("input.amount is divisibleby 5", &["the text \"5\""]);
    fails("input.score is even", &["null is not a number"]);
    fails("input.mixed | select('odd') | list", &["the text \"10\""]);
    fails("input.amount + 1", &["string and number", "`| int`", "`~`"]);
    fails("'n/a' | int", &["the text \"n/a\" is not a number"]);
    for filter in ["int", "float"] {
        fails(&format!("input.score | {filter}"), &["null is not a number", "`| default(0, true)`"]);
        fails(&format!("'inf' | {filter}"), &["the text \"inf\" is not a number"]);
        fails(&format!("'NaN' | {filter}"), &["the text \"NaN\" is not a number"]);
        fails(&format!("'1e400' | {filter}"), &["the text \"1e400\" is not a number"]);
        fails(&format!("'' | {filter}"), &[]);
        for text in ["none", "'n/a'", "'inf'"] {
            assert_eq!(
                evaluate(&format!("{text} | {filter}(default='-')"), &context()),
                Ok(json!("-")),
                "{text}"
            );
        }
    }
    assert_eq!(evaluate("'-' * 3", &context()), Ok(json!("---")));
    assert_eq!(evaluate("input.amount | int * 3", &context()), Ok(json!(15)));
}

/// What stands in a source that is none is left alone, so that the message is about what was written.
#[test]
fn comparisons_become_tests() {
    for (source, expected) in [
        ("a < 1", "(a ) is lt( 1)"),
        ("a not in b", "(a ) is not in( b)"),
        ("not a==b", "not (a) is eq(b)"),
        ("a < b < 3", "(a|M ) is chain__('<',  b|M , '<',  3)"),
        ("f(x=a > 1, *b)", "f(x=(a ) is gt( 1), *b|M)|M"),
        ("x[a<1]", "(x|P((a) is lt(1)))|M"),
        ("a + b < -c", "(a|M + b|M ) is lt( -(c|F)|M)"),
        ("a.b.c|f == [d]", "((a|P('b', 'c'))|f ) is eq( [d|M])"),
        ("a <", "a|M <"),
        ("a b < c", "a|M b < c|M"),
        ("a < not b", "a|M < not b|M"),
        ("a < **b", "a|M < **b|M"),
    ] {
        let found = operands::expression(source)
            .replace("measured__", "M")
            .replace("path__", "P")
            .replace("factor__", "F");
        assert_eq!(found, expected, "{source}");
    }
}
