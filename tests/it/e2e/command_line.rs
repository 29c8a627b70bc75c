//! The command line beside other programs: readers that leave, disks that are full, files as editors write them.

use crate::harness::{callboard, scratch};
use std::{
    path::Path,
    process::{Command, Output},
};

/// Two waits in a chain, and an output.
const SLOW: &str = r#"{"name": "slow", "nodes": [
    {"id": "one", "type": "wait", "config": {"for": "1s"}},
    {"id": "two", "type": "wait", "config": {"for": "1s"}}],
    "edges": [{"source": "one", "target": "two"}], "output": {"done": true}}"#;

/// Repeats its input.
const ECHO: &str = r#"{"name": "echo", "nodes": [{"id": "moment", "type": "wait", "config": {"for": "0s"}}],
    "output": {"got": "{{ input }}"}}"#;

/// Runs a line of a shell in which `callboard` is the program, and `$code` what it ended with.
fn shell(folder: &Path, line: &str) -> Output {
    let own = folder.join("user");
    let mut command = Command::new("bash");
    command.args(["-c", &format!("callboard() {{ '{}' \"$@\"; }}\n{line}", callboard().display())]);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CALLBOARD_") || name.starts_with("OPENAI_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("XDG_CONFIG_HOME", &own).env("XDG_STATE_HOME", &own);
    command.output().expect("bash starts")
}

/// Runs a line and returns what it printed, after checking that nothing panicked.
#[track_caller]
fn prints(folder: &Path, line: &str) -> String {
    let output = shell(folder, line);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(!out.contains("panicked") && !err.contains("panicked"), "{line}\n{out}\n{err}");
    assert!(output.status.success(), "{line}\n{out}\n{err}");
    out
}

#[test]
fn whoever_stops_reading_stops_nothing() {
    let folder = scratch();
    let folder = folder.path();
    std::fs::write(folder.join("slow.json"), SLOW).expect("a definition");
    std::fs::write(folder.join("wrong.json"), r#"{"name": "x", "nodes": [{"id": "a", "type": "b"}]}"#)
        .expect("a definition");
    let code = |line: &str| prints(folder, &format!("{line}; echo \"${{PIPESTATUS[0]}}\""));

    // Nobody reads the result, or the progress; the run ends all the same, and so does the program.
    assert_eq!(code("callboard run slow.json --data a 2>/dev/null | true"), "0\n");
    let left = code("callboard run slow.json --data b 2>&1 >out.json | grep -q '^run '");
    assert_eq!(left, "0\n");
    let out = std::fs::read_to_string(folder.join("out.json")).expect("the output");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON"),
        serde_json::json!({"done": true})
    );

    // The verdict is that of the files.
    let many = vec!["slow.json"; 400].join(" ");
    assert_eq!(code(&format!("callboard check {many} 2>&1 | head -1 >/dev/null")), "0\n");
    let many = vec!["wrong.json"; 400].join(" ");
    assert_eq!(code(&format!("callboard check {many} 2>&1 | head -1 >/dev/null")), "1\n");
    assert_eq!(code("callboard check --schema | true"), "0\n");

    // A result that is lost is an error, and says why.
    let said =
        prints(folder, "callboard run slow.json --data c 2>err.txt >/dev/full; echo $?; tail -1 err.txt");
    assert!(said.starts_with("1\n") && said.contains("standard output: No space left"), "{said}");
    let quiet = prints(folder, "callboard run slow.json --data d 2>/dev/full; echo $?");
    assert!(quiet.ends_with("0\n") && quiet.contains("done"), "{quiet}");
}

#[test]
fn a_file_may_be_standard_input_and_begin_with_a_mark() {
    let folder = scratch();
    let folder = folder.path();
    let marked = |text: &str| format!("\u{feff}{text}");
    std::fs::write(folder.join("echo.json"), marked(ECHO)).expect("a definition");
    std::fs::write(
        folder.join("echo.yaml"),
        marked(
            "name: echo\nnodes:\n  - {id: moment, type: wait, config: {for: 0s}}\noutput: {got: '{{ input }}'}\n",
        ),
    )
    .expect("a definition");
    std::fs::write(folder.join("input.json"), marked(r#"{"a": "😀"}"#)).expect("an input");
    for line in [
        "callboard run echo.json --input @input.json",
        "callboard run echo.yaml --input @input.json",
        "callboard run - --input @input.json <echo.json",
        "callboard run - --input @input.json <echo.yaml",
        "callboard run echo.json --input - <input.json",
        "callboard run echo.json --input @- <input.json",
        r#"echo '{"a": "\ud83d\ude00"}' | callboard run echo.json --input -"#,
    ] {
        let out = prints(
            folder,
            &format!("{line} --data data 2>err.txt || {{ cat err.txt; exit 1; }}").replace("<", "0<"),
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&out).expect("JSON")["got"]["a"],
            "😀",
            "{line}"
        );
    }
    assert_eq!(prints(folder, "callboard check - <echo.json 2>&1"), "-: ok\n");
    let both = prints(folder, "callboard run - --input - <echo.json 2>&1; echo $?");
    assert!(both.ends_with("64\n") && both.contains("not both"), "{both}");
}

#[test]
fn what_is_empty_is_not_said_and_what_is_wrong_is_named() {
    let folder = scratch();
    let folder = folder.path();
    std::fs::write(folder.join("echo.json"), ECHO).expect("a definition");
    let empty =
        "CALLBOARD__SERVER__LISTEN= CALLBOARD__SERVER__DRAIN=' ' OPENAI_API_KEY= OPENAI_BASE_URL= APP_PORT=";
    let out = prints(folder, &format!("{empty} callboard run echo.json --data data --input 1"));
    assert!(out.contains("\"got\": 1"), "{out}");
    for (line, named) in [
        ("callboard dev --listen 8080", "localhost:8080"),
        ("CALLBOARD__SERVER__LISTEN=here callboard dev", "CALLBOARD__SERVER__LISTEN"),
        ("APP_PORT=eighty callboard serve --role all", "APP_PORT"),
        ("callboard run missing.json", "missing.json"),
        ("callboard run echo.json --input @missing.json", "missing.json"),
    ] {
        let said = prints(folder, &format!("{line} 2>&1; echo $?"));
        assert!(said.ends_with("64\n") && said.contains(named), "{line}: {said}");
    }
}
