"""Says what a model answered, and fails unless it is the model's and what was asked for: judge.py KIND OUTPUT PRICE RECORD"""

import json
import sys


def shown(value):
    text = " ".join((value if isinstance(value, str) else json.dumps(value)).split())
    return text if len(text) <= 160 else text[:157] + "..."


def text():
    check(len(answers) == 4, f"the server made {len(answers)} completions, not the 4 of the four agents")
    texts = [answer["content"].strip() for answer in answers]
    check(all(texts), "an answer is empty")
    shared = [text in call["asked"]["messages"][-1]["content"] for text, call in zip(texts, calls[1:])]
    check(all(shared), "an agent was not shown the answer before its own")
    check([output["proposal"].strip(), output["review"].strip()] == texts[2:], "the output is not the last agents' answers")
    return "\n".join(["4 answers:", *("    " + shown(text) for text in texts)])


def structured():
    kinds = {"animal": str, "legs": int, "kind": str}
    fits = isinstance(output, dict) and {key: type(value) for key, value in output.items()} == kinds
    check(fits and output["kind"] in ("farm", "pet", "wild"), f"{shown(output)} does not fit the schema")
    check(any(shown(output) == shown(json.loads(answer["content"])) for answer in answers), "the output is no answer")
    held = [(call["status"], call["asked"].get("response_format", {}).get("type", "the prompt alone")) for call in calls]
    refused = "".join(f", after {kind} was refused" for status, kind in held if status != 200)
    return f"{shown(output)}, held by {held[-1][1]}{refused}; {len(answers)} completions"


def tools():
    called = [call["function"] for answer in answers for call in answer.get("tool_calls") or []]
    check(called, f"no tool was called: {shown(answers[0]['content'])}")
    check([json.loads(call["arguments"])["item"] for call in called] == priced, f"the shop was asked for {priced}")
    check(price in output, f"the answer does not say what the tool gave, {price}: {shown(output)}")
    check(output.strip() == answers[-1]["content"].strip(), "the output is not the model's answer")
    asked = ", ".join(f"{call['name']}({call['arguments']})" for call in called)
    return f"{asked} gave {price} euros; then: {shown(output)}"


def check(holds, otherwise):
    if not holds:
        sys.exit(otherwise)


kind, output, price, record = sys.argv[1:]
output = json.load(open(output))
record = [json.loads(line) for line in open(record)]
calls = [exchange for exchange in record if "asked" in exchange]
priced = [exchange["priced"] for exchange in record if "priced" in exchange]
answers = [call["answered"]["choices"][0]["message"] for call in calls if call["status"] == 200]
check(answers, "the server made no completion")
check("[scripted]" not in json.dumps(output), "an answer is scripted")
check(all(call["answered"]["usage"]["completion_tokens"] for call in calls if call["status"] == 200), "no tokens were used")
print({"text": text, "structured": structured, "tools": tools}[kind]())
