// The page: asks /status every two seconds and draws what it says. Nothing is kept but the token, for as long as the tab lives.

import { ago, brief, count, make, pill, put, seconds, tone } from "./dom.js";
import { Line } from "./line.js";
import { Plot } from "./plot.js";

const EVERY = 2000, SHORTEST = 120, LONGEST = 900, MOST_TABLES = 200;
const ORDER = ["parked", "copying", "new", "catching_up", "live"];
const behind = new Plot("behind", seconds), rates = new Plot("rates", brief), line = new Line("line");
const main = document.querySelector("main"), filter = document.getElementById("filter");
let samples = [], status = null, before = null;

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...options.headers };
  return fetch(path, { ...options, headers, cache: "no-store", signal: AbortSignal.timeout(10_000) });
}

async function look() {
  try {
    const answer = await ask("status");
    document.getElementById("sign-in").hidden = answer.status !== 401;
    if (!answer.ok) return lost(answer.status === 401 ? "" : `/status answered ${answer.status}`);
    if (!samples.length) await remember();
    before = status;
    status = await answer.json();
    main.classList.remove("stale");
    main.hidden = false;
    show();
  } catch (error) {
    lost(`The daemon does not answer (${error.message}). What is shown is as of its last answer.`);
  }
}

// What the daemon remembers of the time before this page was opened.
async function remember() {
  const answer = await ask("history");
  if (answer.ok) samples = (await answer.json()).samples;
}

function lost(why) {
  main.classList.add("stale");
  banner(why);
  if (why) state("no answer");
}

function banner(text) {
  const element = document.getElementById("banner");
  element.textContent = text;
  element.hidden = !text;
}

function state(name) {
  const element = document.getElementById("state");
  element.className = `pill ${tone(name)}`;
  element.textContent = name;
  document.title = name === "streaming" ? "cdc" : `cdc: ${name}`;
}

function show() {
  state(status.state);
  banner(status.state === "streaming" ? "" : status.error);
  const since = status.started ? `up ${seconds(Date.now() / 1000 - status.started)}` : "";
  put("facts", [`cdc ${status.version}`, since].filter(Boolean).join(", "));
  line.show(status, before);
  sample();
  tables();
  notes();
  actions();
}

function sample() {
  const now = Date.now() / 1000;
  const of = (field) => Object.fromEntries(status.warehouses.map((each) => [each.name, each[field]]));
  samples.push({ at: now, behind_seconds: of("behind_seconds"), rows_per_second: of("rows_per_second") });
  samples = samples.filter((each) => each.at > now - LONGEST);
  const span = Math.max(SHORTEST, now - samples[0].at);
  behind.show(samples.map((each) => ({ at: each.at, values: each.behind_seconds })), span);
  rates.show(samples.map((each) => ({ at: each.at, values: each.rows_per_second })), span);
}

function tables() {
  const wanted = filter.value.trim().toLowerCase();
  const rank = (table) => (ORDER.indexOf(table.state) + ORDER.length) % ORDER.length;
  const found = status.tables
    .filter((table) => `${table.name} ${table.state.replaceAll("_", " ")}`.toLowerCase().includes(wanted))
    .sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const numbers = ["inserts", "updates", "deletes"];
  const head = make("tr", {}, make("th", {}, "table"), make("th", {}, "state"), make("th", { class: "number wide" }, "copied"),
    ...numbers.map((name) => make("th", { class: "number wide" }, name)));
  if (mayAct()) head.append(make("th", {}, ""));
  put("tables", make("thead", {}, head), make("tbody", {}, ...found.slice(0, MOST_TABLES).map((table) => row(table, numbers))));
  const states = ORDER.map((name) => [name, status.tables.filter((table) => table.state === name).length]);
  put("counts", states.filter(([, many]) => many).map(([name, many]) => `${many} ${name.replaceAll("_", " ")}`).join(", "));
  const hidden = found.length - MOST_TABLES;
  put("more", hidden > 0 ? `… and ${count(hidden)} more: filter by name or state` : found.length ? "" : "No such table.");
}

function row(table, numbers) {
  const name = make("td", { class: "name" }, table.name);
  if (table.reason) name.append(make("div", { class: "why" }, table.reason, " ", ...spoken(table.mend)));
  const shown = make("td", {}, pill(table.state));
  if (table.state === "copying" && table.rows_estimated) {
    const part = Math.min(table.rows_copied / table.rows_estimated, 1);
    shown.append(" ", make("progress", { max: 1, value: part, "aria-label": `${table.name} copied` }), ` ${Math.floor(part * 100)}%`);
  }
  return make("tr", {}, name, shown, make("td", { class: "number wide" }, count(table.rows_copied)),
    ...numbers.map((field) => make("td", { class: "number wide" }, count(table[field]))), mayAct() && choices(table));
}

// What is between backticks is a command.
const spoken = (text) => text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));

// What may be done to one table, as `cdc resync` and `cdc snapshot` ask it; the latter only for one that has no copy yet.
function choices({ name, state }) {
  const disabled = status.state !== "streaming", tables = [literal(name)];
  const resync = () => confirm(`Copy ${name} anew? It keeps its rows until the new copy is complete.`)
    && act("snapshot", { tables, restart: true }, `resync of ${name}`);
  const snapshot = () => act("snapshot", { tables }, `snapshot of ${name}`);
  return make("td", { class: "choices" },
    state === "new" && make("button", { disabled, onclick: snapshot, "aria-label": `Snapshot ${name}` }, "Snapshot"),
    make("button", { disabled, onclick: resync, "aria-label": `Resync ${name}` }, "Resync"));
}

// The daemon reads globs: a name that looks like one means itself alone.
const literal = (name) => name.replace(/[*?[]/g, "[$&]");

function notes() {
  const items = (status.notes ?? []).map((note) =>
    make("li", {}, make("time", { class: "quiet", datetime: new Date(note.at * 1000).toISOString() }, ago(note.at)), pill(note.kind),
      make("span", {}, [note.table, note.warehouse].filter(Boolean).join(", "), note.table || note.warehouse ? ": " : "", note.text)));
  put("notes", ...(items.length ? items : [make("li", { class: "quiet alone" }, "Nothing to tell: no errors, no changes of shape.")]));
}

// Only somebody who has given the token may change anything.
const mayAct = () => Boolean(sessionStorage.getItem("token"));

function actions() {
  if (!mayAct()) return put("actions");
  const paused = status.state === "paused", name = paused ? "resume" : "pause";
  const usable = paused || status.state === "streaming";
  put("actions", make("button", { disabled: !usable, onclick: () => act(name) }, paused ? "Resume" : "Pause"));
}

async function act(path, body = {}, name = path) {
  try {
    const answer = await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.text();
    tell(`${name}: ${answer.ok ? "asked for" : words(told)}`, answer.ok);
  } catch (error) {
    tell(`${name}: ${error.message}`, false);
  }
  await look();
}

// A refusal is plain text, or an error with what, why and a hint.
function words(told) {
  try {
    const { what, why, hint } = JSON.parse(told);
    return [what, why, hint].filter(Boolean).join("\n");
  } catch {
    return told;
  }
}

// What came of the last thing that was asked for; it stays until the next.
function tell(text, well) {
  const element = document.getElementById("said");
  element.className = well ? "banner well" : "banner";
  element.textContent = text;
  element.hidden = false;
}

document.getElementById("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", document.getElementById("token").value);
  look();
});
filter.addEventListener("input", () => status && tables());
document.addEventListener("visibilitychange", () => document.hidden || look());
setInterval(() => document.hidden || look(), EVERY);
look();
