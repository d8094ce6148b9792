// Elements and numbers for people. Text is only ever set as text: names of tables come from a database.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

export function drawn(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

export const put = (id, ...children) => document.getElementById(id).replaceChildren(...children);

const UNKNOWN = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => (number == null ? UNKNOWN : whole.format(number));
export const brief = (number) => (number == null ? UNKNOWN : number < 10_000 ? whole.format(number) : short.format(number));

export function seconds(value) {
  if (value == null) return UNKNOWN;
  if (value === 0) return "0 s";
  if (value < 1) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172_800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86_400)} days`;
}

export function size(bytes) {
  if (bytes == null) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function ago(at) {
  return `${seconds(Math.max(0, Date.now() / 1000 - at))} ago`;
}

const GOOD = ["streaming", "live"], BUSY = ["starting", "copying", "catching_up", "new", "schema_change", "stream"];
const WARN = ["retrying", "paused", "stopping", "stopped", "slot"];
export function tone(state) {
  if (GOOD.includes(state)) return "good";
  if (BUSY.includes(state)) return "busy";
  return WARN.includes(state) ? "warn" : "bad";
}
export const pill = (state) => make("span", { class: `pill ${tone(state)}` }, state.replaceAll("_", " "));
