// Shows the description of the API and sends requests. Text goes into the page as text only; the key stays in this page.
"use strict";

/** Makes an element with attributes and children; a child that is a string is text. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Follows references, as far as an example needs it. */
function resolve(description, schema) {
  let found = schema ?? {};
  for (let n = 0; n < 16 && typeof found.$ref === "string"; n += 1) {
    found = found.$ref.slice(2).split("/").reduce((at, part) => at?.[part], description) ?? {};
  }
  return found;
}

/** An example of a body: the fields that it has to have. */
function example(description, schema, depth) {
  const own = resolve(description, schema);
  if (own.const !== undefined) return own.const;
  if (Array.isArray(own.enum)) return own.enum[0];
  const kind = Array.isArray(own.type) ? own.type[0] : own.type;
  if (own.properties && depth < 4) {
    const fields = (own.required ?? []).map((name) => [name, example(description, own.properties[name], depth + 1)]);
    return Object.fromEntries(fields);
  }
  return { array: [], object: {}, integer: 0, number: 0, boolean: false, string: "" }[kind] ?? null;
}

function field(parameter) {
  const id = `field-${Math.random().toString(36).slice(2)}`;
  const input = make("input", { id, name: parameter.name, "data-in": parameter.in, autocomplete: "off" });
  if (parameter.required) input.required = true;
  const label = make("label", { for: id }, make("code", {}, parameter.name), make("span", { class: "dim" }, ` ${parameter.in}`));
  const hint = parameter.description ? make("p", { class: "dim" }, parameter.description) : "";
  return make("div", { class: "field" }, label, make("div", {}, input, hint));
}

/** The address that the fields name. One field may name several values, with commas between, where it takes a list. */
function address(path, parameters, form) {
  const query = new URLSearchParams();
  let filled = path;
  for (const parameter of parameters) {
    const text = form.elements.namedItem(parameter.name)?.value ?? "";
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(text));
    if (parameter.in !== "query" || text === "") continue;
    const values = parameter.schema?.type === "array" ? text.split(",") : [text];
    for (const value of values) query.append(parameter.name, value.trim());
  }
  const asked = query.toString();
  return asked === "" ? filled : `${filled}?${asked}`;
}

async function send(method, url, headers, body, shown) {
  shown.textContent = "…";
  const began = performance.now();
  try {
    const response = await fetch(url, { method, headers, body, credentials: "omit", cache: "no-store" });
    const text = await response.text();
    let pretty = text;
    try {
      pretty = JSON.stringify(JSON.parse(text), null, 2);
    } catch { /* It is no JSON, and shown as it is. */ }
    const took = Math.round(performance.now() - began);
    shown.textContent = `${response.status} ${response.statusText} (${took} ms)\n\n${pretty}`;
  } catch (error) {
    shown.textContent = String(error);
  }
}

function inside(description, method, path, operation) {
  const parameters = operation.parameters ?? [];
  const content = operation.requestBody?.content?.["application/json"];
  const form = make("form", { class: "inside" });
  if (operation["x-callboard-permission"]) {
    form.append(make("p", { class: "dim" }, `Asks for the permission ${operation["x-callboard-permission"]}.`));
  }
  form.append(...parameters.map(field));
  const body = make("textarea", { "aria-label": "Body in JSON", spellcheck: "false" });
  if (content) {
    body.value = JSON.stringify(example(description, content.schema, 0), null, 2);
    form.append(make("p", {}, "Body"), body);
    form.append(make("details", {}, make("summary", {}, "Schema"),
      make("pre", {}, JSON.stringify(resolve(description, content.schema), null, 2))));
  }
  const answers = Object.entries(operation.responses ?? {}).map(([status, answer]) => {
    const text = resolve(description, answer).description ?? "";
    return make("p", {}, make("code", {}, status), ` ${text}`);
  });
  form.append(make("details", {}, make("summary", {}, "Answers"), ...answers));
  const shown = make("pre", { "aria-live": "polite", hidden: "" });
  form.append(make("button", { type: "submit" }, "Send"), shown);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const headers = { accept: "application/json" };
    const key = document.getElementById("key").value.trim();
    if (key !== "") headers.authorization = `Bearer ${key}`;
    for (const parameter of parameters.filter((one) => one.in === "header")) {
      const value = form.elements.namedItem(parameter.name).value;
      if (value !== "") headers[parameter.name] = value;
    }
    const hasBody = content && body.value.trim() !== "";
    if (hasBody) headers["content-type"] = "application/json";
    shown.hidden = false;
    void send(method.toUpperCase(), address(path, parameters, form), headers, hasBody ? body.value : undefined, shown);
  });
  return form;
}

function route(description, method, path, operation) {
  const summary = make("summary", {}, make("span", { class: "method" }, method.toUpperCase()), make("code", {}, path),
    make("span", { class: "dim" }, ` ${operation.summary ?? ""}`));
  const details = make("details", { "data-text": `${method} ${path} ${operation.summary ?? ""}`.toLowerCase() }, summary);
  // A form is made when it is looked at: there are many.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(inside(description, method, path, operation));
  });
  return details;
}

function show(description) {
  const main = document.getElementById("routes");
  main.replaceChildren();
  main.removeAttribute("aria-busy");
  for (const tag of description.tags ?? []) {
    const section = make("section", {}, make("h2", {}, tag.name), make("p", { class: "dim" }, tag.description ?? ""));
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags?.[0] === tag.name) section.append(route(description, method, path, operation));
      }
    }
    main.append(section);
  }
}

document.getElementById("find").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const details of document.querySelectorAll("[data-text]")) details.hidden = !details.dataset.text.includes(wanted);
});

fetch("/api/v1/openapi.json", { credentials: "omit" })
  .then((response) => response.json())
  .then(show)
  .catch((error) => { document.getElementById("routes").replaceChildren(make("p", {}, `The description can't be read: ${error}`)); });
