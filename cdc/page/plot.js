// A line plot over time: one line per warehouse, an axis that starts at 0, and the values under the pointer.

import { drawn, make, seconds } from "./dom.js";

const HEIGHT = 176, LEFT = 46, BOTTOM = 20, TOP = 6;

export class Plot {
  constructor(id, format) {
    this.place = document.getElementById(id);
    this.legend = this.place.closest("figure").querySelector(".legend");
    this.format = format;
    this.tip = make("div", { class: "tip", hidden: true });
    this.at = null;
    this.place.classList.add("plot");
    this.place.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.place.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(this.place);
  }

  // samples: [{at, values: {name: number | null}}], oldest first; span: seconds that the axis shows
  show(samples, span) {
    this.samples = samples;
    this.span = span;
    this.draw();
  }

  draw() {
    const width = this.place.clientWidth;
    if (!this.samples || width < LEFT + 20) return;
    const names = [...new Set(this.samples.flatMap((sample) => Object.keys(sample.values)))].sort();
    const end = this.samples.length ? this.samples.at(-1).at : Date.now() / 1000;
    const all = this.samples.flatMap((sample) => Object.values(sample.values)).filter((value) => value != null);
    const top = ceiling(Math.max(0, ...all));
    const x = (at) => LEFT + ((at - end + this.span) / this.span) * (width - LEFT);
    const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": this.told(names) });
    for (const value of [0, top / 2, top]) {
      svg.append(drawn("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }));
      svg.append(drawn("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value ? this.format(value) : "0"));
    }
    for (const part of [1, 0.5, 0]) {
      const anchor = part === 1 ? "start" : part ? "middle" : "end";
      const text = part ? `${seconds(this.span * part)} ago` : "now";
      svg.append(drawn("text", { x: x(end - this.span * part), y: HEIGHT - 4, "text-anchor": anchor }, text));
    }
    names.forEach((name, number) => {
      let path = "";
      let pen = "M";
      for (const sample of this.samples) {
        const value = sample.values[name];
        if (value == null) pen = "M"; // unknown is a gap, not a zero
        else (path += `${pen}${x(sample.at).toFixed(1)} ${y(value).toFixed(1)}`), (pen = "L");
      }
      svg.append(drawn("path", { d: path || "M0 0", class: `s${number % 4}` }));
    });
    this.scale = { x, end, names, width };
    this.place.replaceChildren(svg, this.tip);
    this.legend.replaceChildren(
      ...names.map((name, number) => make("span", {}, make("i", { class: `s${number % 4}` }), name)),
    );
    this.mark();
  }

  told(names) {
    const last = this.samples.at(-1)?.values ?? {};
    return names.map((name) => `${name}: ${this.format(last[name])}`).join(", ") || "no data yet";
  }

  point(clientX) {
    this.at = clientX;
    if (this.scale) this.mark();
  }

  mark() {
    const svg = this.place.querySelector("svg");
    svg.querySelector(".cursor")?.remove();
    this.tip.hidden = true;
    if (this.at == null || !this.samples.length) return;
    const { x, names, width } = this.scale;
    const wanted = this.at - this.place.getBoundingClientRect().left;
    const sample = this.samples.reduce((a, b) => (Math.abs(x(b.at) - wanted) < Math.abs(x(a.at) - wanted) ? b : a));
    const where = x(sample.at);
    svg.append(drawn("line", { class: "cursor", x1: where, x2: where, y1: TOP, y2: HEIGHT - BOTTOM }));
    const time = new Date(sample.at * 1000).toLocaleTimeString();
    this.tip.textContent = [time, ...names.map((name) => `${name} ${this.format(sample.values[name])}`)].join(" · ");
    this.tip.hidden = false;
    this.tip.style.left = `${Math.max(0, Math.min(where + 8, width - this.tip.offsetWidth))}px`;
  }
}

// The next of 1, 2, 5 times a power of ten.
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}
