#include "daemon/openapi/docs_page.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/auth/token.h"

namespace gathering::openapi {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--line:#8884;--soft:#8881;
--get:#2a7de1;--post:#2c9a4b;--put:#b7791f;--patch:#b7791f;--delete:#c53030}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif}
header{position:sticky;top:0;display:flex;flex-wrap:wrap;gap:.75rem;align-items:center;padding:.6rem 1rem}
header{background:Canvas;border-bottom:1px solid var(--line)}
header h1{font-size:1.1rem;margin:0}
header .grow{flex:1}
main{max-width:70rem;margin:0 auto;padding:1rem}
h2{margin:1.5rem 0 .5rem;font-size:1.15rem}
input,textarea,button{font:inherit;padding:.3rem .5rem;border:1px solid var(--line);border-radius:.3rem}
input,textarea,button{background:Field;color:FieldText}
button{cursor:pointer}
textarea{width:100%;min-height:8rem;font-family:ui-monospace,monospace}
details.op{border:1px solid var(--line);border-radius:.4rem;margin:.35rem 0}
details.op>summary{display:flex;gap:.75rem;align-items:baseline;padding:.4rem .75rem}
details.op>summary{cursor:pointer;list-style:none}
details.op>div{padding:.25rem .75rem .75rem;border-top:1px solid var(--line)}
.verb{font:bold .8rem ui-monospace,monospace;min-width:4.2rem;text-transform:uppercase}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}
.patch{color:var(--patch)}.delete{color:var(--delete)}
code,pre,.path{font-family:ui-monospace,monospace;font-size:.9em}
pre{background:var(--soft);padding:.6rem;border-radius:.3rem;overflow:auto;max-height:30rem;margin:.4rem 0}
.note{opacity:.7}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}
.badge{font-size:.75rem;border:1px solid var(--line);border-radius:1rem;padding:0 .5rem}
.error{color:var(--delete)}
)css";

constexpr std::string_view kScript = R"js(
"use strict";
const base = location.pathname.replace(/\/(docs|redoc)$/, "");
const main = document.querySelector("main");
const token = document.querySelector("#token");
const filter = document.querySelector("#filter");
let api;

function el(tag, options, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options || {})) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null));
  return node;
}

function resolve(thing) {
  while (thing && thing.$ref) thing = thing.$ref.slice(2).split("/").reduce((at, step) => at[step], api);
  return thing;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return "list of " + typeOf(schema.items || {});
  return (schema.type || "anything") + (schema.format ? " (" + schema.format + ")" : "");
}

function rules(schema) {
  const inner = schema.anyOf ? schema.anyOf[0] : schema;
  const said = [];
  for (const name of ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"]) {
    if (name in inner) said.push(name + " " + inner[name]);
  }
  if ("default" in schema) said.push("default " + JSON.stringify(schema.default));
  return said.join(", ");
}

function fieldRows(fields) {
  return el("table", {}, ...fields.map(({name, required, schema, note}) => el("tr", {},
    el("td", {}, el("code", {text: name}), required ? el("span", {class: "error", text: " *"}) : null),
    el("td", {text: typeOf(schema)}),
    el("td", {class: "note", text: [note, rules(schema)].filter(Boolean).join(" - ")}))));
}

function objectTable(schema) {
  const object = resolve(schema.type === "array" ? schema.items || {} : schema);
  if (!object || !object.properties) return el("p", {class: "note", text: typeOf(schema)});
  const required = object.required || [];
  return fieldRows(Object.entries(object.properties).map(([name, property]) => (
    {name, required: required.includes(name), schema: property, note: property.description})));
}

function sample(schema, depth) {
  if ("default" in schema) return schema.default;
  const real = resolve(schema);
  if (real.anyOf) return sample(real.anyOf[0], depth);
  if (real.const) return real.const;
  if (real.enum) return real.enum[0];
  if (real.type === "array") return [];
  if (real.type === "integer" || real.type === "number") return real.minimum || 0;
  if (real.type === "boolean") return false;
  if (real.type === "object" && depth < 4) {
    const value = {};
    for (const name of real.required || []) value[name] = sample(real.properties[name], depth + 1);
    return value;
  }
  return real.type === "string" ? "" : null;
}

function tryForm(path, verb, operation) {
  const inputs = {};
  const fields = (operation.parameters || []).map(parameter => {
    inputs[parameter.name] = el("input", {"aria-label": parameter.name, placeholder: parameter.name});
    return inputs[parameter.name];
  });
  const [media, content] = Object.entries((operation.requestBody || {content: {}}).content)[0] || [];
  const isForm = media === "application/x-www-form-urlencoded";
  const body = media ? el("textarea", {"aria-label": "body", spellcheck: "false"}) : null;
  if (body) {
    const value = sample(content.schema, 0);
    body.value = isForm ? new URLSearchParams(value).toString() : JSON.stringify(value, null, 2);
  }
  const out = el("pre", {hidden: ""});
  async function send() {
    const query = new URLSearchParams();
    const headers = {};
    let target = path;
    for (const parameter of operation.parameters || []) {
      const value = inputs[parameter.name].value;
      const place = "{" + parameter.name + "}";
      if (parameter.in === "path") target = target.replace(place, () => encodeURIComponent(value));
      else if (value === "") continue;
      else if (parameter.in === "header") headers[parameter.name] = value;
      else query.append(parameter.name, value);
    }
    if (token.value) headers.Authorization = "Bearer " + token.value.trim();
    if (media) headers["Content-Type"] = media;
    const text = query.toString();
    out.hidden = false;
    try {
      const began = performance.now();
      const answer = await fetch(base + target + (text ? "?" + text : ""),
        {method: verb.toUpperCase(), headers, body: body ? body.value : undefined});
      const raw = await answer.text();
      let shown = raw;
      try {
        const value = JSON.parse(raw);
        shown = JSON.stringify(value, null, 2);
        if (answer.ok && value && value.access_token) token.value = value.access_token;
      } catch (notJson) { /* shown as it is */ }
      const took = Math.round(performance.now() - began) + " ms";
      out.textContent = answer.status + " " + answer.statusText + "  (" + took + ")\n\n" + shown;
    } catch (failure) {
      out.textContent = "No answer: " + failure.message;
    }
  }
  return el("div", {}, ...fields, body, el("div", {}, el("button", {text: "Send", onclick: send})), out);
}

function operationBox(path, verb, operation) {
  const box = el("details", {class: "op", id: operation.operationId, "data-text":
    (path + " " + operation.operationId + " " + operation.summary).toLowerCase()},
    el("summary", {},
      el("span", {class: "verb " + verb, text: verb}),
      el("span", {class: "path", text: path}),
      el("span", {class: "note", text: operation.summary}),
      el("span", {class: "badge", text: operation["x-authority"]})));
  box.addEventListener("toggle", () => {
    if (!box.open || box.children.length > 1) return;
    const inner = el("div", {});
    const parameters = (operation.parameters || []).map(parameter => ({name: parameter.name,
      required: parameter.required, schema: parameter.schema,
      note: [parameter.in, parameter.description].filter(Boolean).join(": ")}));
    if (parameters.length) inner.append(el("h4", {text: "Parameters"}), fieldRows(parameters));
    for (const [media, content] of Object.entries((operation.requestBody || {content: {}}).content)) {
      inner.append(el("h4", {text: "Body, " + media + ": " + typeOf(content.schema)}),
        objectTable(content.schema));
    }
    inner.append(el("h4", {text: "Answers"}));
    for (const [status, reference] of Object.entries(operation.responses)) {
      const answer = resolve(reference);
      const content = Object.values(answer.content || {})[0];
      inner.append(el("p", {}, el("code", {text: status}), " " + answer.description +
        (content ? ": " + typeOf(content.schema) : "")));
      if (content && status.startsWith("2")) inner.append(objectTable(content.schema));
    }
    inner.append(el("h4", {text: "Try it"}), tryForm(path, verb, operation));
    box.append(inner);
  });
  return box;
}

function show() {
  document.querySelector("#version").textContent = api.info.version;
  for (const tag of api.tags) {
    main.append(el("h2", {id: tag.name, text: tag.name}));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        if (operation.tags.includes(tag.name)) main.append(operationBox(path, verb, operation));
      }
    }
  }
  main.append(el("h2", {id: "schemas", text: "Schemas"}));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    main.append(el("details", {class: "op", "data-text": name.toLowerCase()},
      el("summary", {}, el("code", {text: name})), el("div", {}, objectTable(schema))));
  }
}

filter.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase();
  for (const box of document.querySelectorAll("details.op")) box.hidden = !box.dataset.text.includes(wanted);
});

fetch(base + "/openapi.json").then(answer => answer.json()).then(read => { api = read; show(); })
  .catch(failure => main.append(
    el("p", {class: "error", text: "openapi.json cannot be read: " + failure.message})));
)js";

constexpr std::string_view kBody = R"html(<header><h1>gathering <span id="version" class="note"></span></h1>
<input id="filter" type="search" placeholder="filter" aria-label="filter"><span class="grow"></span>
<input id="token" type="password" placeholder="token (a login here fills it in)" aria-label="token"
 autocomplete="off">
<a href="openapi.json">openapi.json</a></header>
<main><noscript>This page needs JavaScript; openapi.json says the same.</noscript></main>)html";

// "'sha256-…'" as a Content-Security-Policy names an inline script or style.
std::string HashSource(std::string_view text) {
  const auth::Sha256 digest = auth::Sha256Of(text);
  std::string encoded = auth::Base64UrlEncode(std::string{digest.begin(), digest.end()});
  std::replace(encoded.begin(), encoded.end(), '-', '+');
  std::replace(encoded.begin(), encoded.end(), '_', '/');
  encoded.append((4 - encoded.size() % 4) % 4, '=');
  return fmt::format("'sha256-{}'", encoded);
}

}  // namespace

Page DocsPage() {
  return {.html = fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                              "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                              "<title>gathering: API</title><link rel=\"icon\" href=\"data:,\">"
                              "<style>{}</style></head>\n<body>{}\n<script>{}</script></body></html>\n",
                              kStyle, kBody, kScript),
          .content_security_policy = fmt::format(
              "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
              HashSource(kStyle), HashSource(kScript))};
}

}  // namespace gathering::openapi
