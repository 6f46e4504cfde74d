// Shows captured calls as they arrive. What comes from the network is only ever set as text.
"use strict";

const ID = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 63.99rem)");

let about = { kept: 500, samples: [], settings: [] };
const calls = new Map(); // by number: {call, row}
let opened = 0; // the number of the call that is shown; 0 for none

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// --- the list ---

function statusOf(call) {
  const status = make("span", { class: `status s${Math.floor(call.status / 100)}` });
  status.textContent = call.status || "none";
  return status;
}

// A row stays the same element while its call changes: so does the focus, and a click that has begun arrives.
function makeRow(number) {
  const link = make("a", { href: `#/calls/${number}` });
  const row = make(
    "tr",
    {},
    make("td"),
    make("td", {}, link, make("div", { class: "notes" })),
    make("td", { class: "number" }),
    make("td", { class: "number" }),
  );
  row.addEventListener("click", () => { location.hash = link.hash; });
  return row;
}

function fillRow(row, call) {
  const notes = call.masked.map((name) => make("span", { class: "chip masked" }, name));
  notes.push(...call.notes.map((note) => make("span", { class: "chip" }, note)));
  if (call.masked.length) notes.unshift(make("span", { class: "visually-hidden" }, "masked: "));
  const [status, , duration, sizes] = row.cells;
  status.replaceChildren(statusOf(call));
  row.querySelector("a").replaceChildren(make("span", { class: "method" }, call.method), ` ${call.target}`);
  row.querySelector(".notes").replaceChildren(...notes);
  duration.textContent = `${call.milliseconds.toFixed(1)} ms`;
  sizes.textContent = call.sizes.join(" / ");
}

function take(event) {
  for (const call of event.calls) {
    const row = calls.get(call.number)?.row ?? makeRow(call.number);
    fillRow(row, call);
    if (!calls.has(call.number)) {
      row.classList.add("new");
      ID("rows").prepend(row);
    }
    calls.set(call.number, { call, row });
    addMethod(call.method);
    if (call.number === opened) open(opened);
  }
  const oldest = [...calls.keys()].sort((one, other) => one - other).slice(0, Math.max(0, calls.size - about.kept));
  for (const number of oldest) {
    calls.get(number).row.remove();
    calls.delete(number);
  }
  ID("passed").textContent = Math.max(event.passed, event.captured).toLocaleString("en");
  ID("captured").textContent = event.captured.toLocaleString("en");
  ID("dropped").textContent = (event.captured - calls.size).toLocaleString("en");
  ID("dropped-count").hidden = event.captured <= calls.size;
  filter();
}

function addMethod(method) {
  const options = [...ID("method").options];
  if (!options.some((option) => option.value === method) && options.length < 20) {
    ID("method").append(make("option", { value: method }, method));
  }
}

function filter() {
  const path = ID("path").value.toLowerCase();
  const method = ID("method").value;
  const status = ID("status").value;
  let shown = 0;
  for (const { call, row } of calls.values()) {
    row.hidden =
      (path && !call.target.toLowerCase().includes(path)) ||
      (method && call.method !== method) ||
      (status && String(Math.floor(call.status / 100)) !== status) ||
      (ID("masked").checked && !call.masked.length);
    shown += !row.hidden;
    row.classList.toggle("chosen", call.number === opened);
    const link = row.querySelector("a");
    if (call.number === opened) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  ID("empty").hidden = calls.size > 0;
  ID("table").hidden = calls.size === 0;
  ID("none").hidden = shown > 0 || calls.size === 0;
  return shown;
}

ID("filters").addEventListener("input", () => { ID("shown").textContent = `${filter()} calls shown`; });
ID("filters").addEventListener("submit", (event) => event.preventDefault());

// Up and down go from call to call.
ID("rows").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const links = [...ID("rows").querySelectorAll("tr:not([hidden]) a")];
  const next = step && links[links.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
});

// --- one call ---

function show(runs, marks) {
  return runs.map(([text, style, mark]) => {
    if (mark === undefined) return style ? make("span", { class: style }, text) : text;
    const reason = marks[mark];
    return make(
      "mark",
      { id: `mark-${mark}`, title: `Masked for its ${reason.kind}: ${reason.name}`, tabindex: "-1" },
      text,
      make("span", { class: "why", "aria-hidden": "true" }, reason.kind),
      make("span", { class: "visually-hidden" }, ` (masked for its ${reason.kind}: ${reason.name}) `),
    );
  });
}

function fates(call) {
  if (!call.marks.length) {
    const nothing = call.compared ? "Nothing was masked: what arrived is what was sent." : "Nothing looks masked.";
    return make("section", { class: "panel" }, make("h2", {}, "Masked"), make("p", { class: "note" }, nothing));
  }
  const rows = call.marks.slice(0, 100).map((mark, index) =>
    make(
      "tr",
      {},
      make("td", {}, make("button", { type: "button", onclick: () => find(index) }, mark.where)),
      make("td", { class: "sent" }, mark.sent ?? "not known"),
      make("td", { class: "arrived" }, make("mark", {}, mark.arrived)),
      make("td", {}, make("span", { class: "kind" }, mark.kind), ` ${mark.name}`),
    ),
  );
  const count = call.marks.length;
  const panel = make(
    "section",
    { class: "panel" },
    make("h2", {}, count === 1 ? "Masked in one place" : `Masked in ${count} places`),
    make(
      "table",
      { class: "fates" },
      make("thead", {}, make("tr", {}, ...["Where", "Was sent", "Arrived as", "Masked for its"].map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows),
    ),
  );
  if (count > rows.length) panel.append(make("p", { class: "note" }, `and ${count - rows.length} more, marked below`));
  return panel;
}

function find(index) {
  for (const other of document.querySelectorAll("mark.found")) other.classList.remove("found");
  const mark = ID(`mark-${index}`);
  if (!mark) return;
  mark.classList.add("found");
  mark.focus({ preventScroll: true });
  mark.scrollIntoView({ block: "center" });
}

function side(part, marks) {
  const headers = part.headers.flatMap(([name, runs]) => [make("dt", {}, name), make("dd", {}, ...show(runs, marks))]);
  const body = part.body;
  const block = make("div", { class: "block" }, make("h3", {}, ["Body", body.form, body.size].filter(Boolean).join(" · ")));
  block.append(...body.notes.map((note) => make("p", { class: "body-note" }, note)));
  if (body.runs.length) {
    const label = `${part.title} body`;
    block.append(make("pre", { class: "text", tabindex: "0", role: "region", "aria-label": label }, ...show(body.runs, marks)));
  }
  return make(
    "section",
    { class: "panel side" },
    make("h2", {}, part.title),
    make("div", { class: "block" }, make("h3", {}, "Headers"), make("dl", { class: "headers" }, ...headers)),
    block,
  );
}

function facts(pairs, marks) {
  return make(
    "dl",
    { class: "facts" },
    ...pairs.map(([name, runs]) => make("div", {}, make("dt", {}, name), make("dd", {}, ...show(runs, marks)))),
  );
}

function copy(text) {
  const told = make("span", { role: "status" });
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      told.textContent = "Copied.";
    } catch {
      told.textContent = "The browser did not allow it: select the text below.";
    }
  });
  return make("div", { class: "tools" }, button, told);
}

function article(call) {
  const title = make("h2", { id: "call-title", tabindex: "-1" }, `${call.method} `, ...show(call.targetRuns, call.marks));
  const summary = [statusOf(call), ` in ${call.milliseconds.toFixed(1)} ms`];
  if (!call.compared) summary.push(". What was sent is not known yet, or any more: masks are marked by their look.");
  return [
    make("a", { class: "back", href: "#/" }, "All calls"),
    make("div", { class: "title" }, title, make("p", {}, ...summary)),
    fates(call),
    make("div", { class: "sides" }, ...call.sides.map((part) => side(part, call.marks))),
    make("section", { class: "panel" }, make("h2", {}, "Exchange"), facts(call.facts, call.marks)),
    make(
      "details",
      { class: "panel" },
      make("summary", {}, "The span, as the collector gets it, in OTLP/JSON"),
      copy(call.span),
      make("pre", { class: "text", tabindex: "0", role: "region", "aria-label": "Span" }, call.span),
    ),
    make(
      "details",
      { class: "panel" },
      make("summary", {}, "Settings of the script that captured it"),
      facts(about.settings.map(([name, value]) => [name, [[value]]]), []),
    ),
  ];
}

async function open(number) {
  const answer = await fetch(`/calls/${number}`).catch(() => null);
  if (number !== opened) return; // another one was chosen meanwhile
  const detail = ID("detail");
  const isOther = detail.dataset.number !== String(number);
  const unfolded = [...detail.querySelectorAll("details")].map((item) => item.open);
  const focused = detail.contains(document.activeElement) ? document.activeElement.id : "";
  if (answer?.ok) {
    detail.replaceChildren(...article(await answer.json()));
  } else {
    const gone = answer ? `Only the last ${about.kept} calls are kept.` : "The demo does not answer.";
    detail.replaceChildren(
      make("a", { class: "back", href: "#/" }, "All calls"),
      make("h2", { id: "call-title", tabindex: "-1" }, "This call is not here"),
      make("p", {}, gone),
    );
  }
  detail.querySelectorAll("details").forEach((item, index) => { item.open = unfolded[index] ?? false; });
  detail.dataset.number = number;
  if (!isOther) {
    ID(focused)?.focus({ preventScroll: true });
    return;
  }
  ID("call").scrollTop = 0;
  if (narrow.matches) {
    scrollTo(0, 0);
    ID("call-title").focus();
  }
}

function route() {
  const before = opened;
  opened = Number(/^#\/calls\/(\d+)$/.exec(location.hash)?.[1] ?? 0);
  document.body.classList.toggle("opened", opened > 0);
  ID("hint").hidden = opened > 0;
  ID("detail").hidden = opened === 0;
  filter();
  if (opened) open(opened);
  else if (before) calls.get(before)?.row.querySelector("a").focus();
}

// --- start ---

async function send(index, button) {
  button.disabled = true;
  ID("told").textContent = "";
  const answer = await fetch(`/samples/${index}`, { method: "POST" }).catch(() => null);
  button.disabled = false;
  if (!answer?.ok) ID("told").textContent = `It was not sent: ${answer ? await answer.text() : "the demo does not answer."}`;
}

function listen() {
  const source = new EventSource("/events");
  let isFirst = true;
  source.addEventListener("open", () => {
    isFirst = true;
    ID("live").textContent = "live";
    ID("live").className = "on";
  });
  source.addEventListener("error", () => {
    ID("live").textContent = "cut off";
    ID("live").className = "off";
  });
  source.addEventListener("message", (message) => {
    if (isFirst) {
      calls.clear();
      ID("rows").replaceChildren();
      isFirst = false;
    }
    take(JSON.parse(message.data));
  });
}

async function start() {
  about = await (await fetch("/about")).json();
  ID("about").append(
    `${about.workload}, stack ${about.stack}. Send requests to `,
    make("code", {}, `http://${about.address}`),
  );
  ID("try").textContent = about.try;
  ID("samples").append(
    ...about.samples.map((sample, index) =>
      make("button", { type: "button", title: sample.request, onclick: (event) => send(index, event.currentTarget) }, sample.title),
    ),
  );
  listen();
  addEventListener("hashchange", route);
  route();
}

start();
