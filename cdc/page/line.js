// The line: source, topics if there are any, warehouses, and what flows between them.

import { brief, make, pill, seconds, size } from "./dom.js";

const SLOW = 10, LATE = 60; // seconds behind at which a figure is shown as a warning, as an alarm

export class Line {
  constructor(id) {
    this.place = document.getElementById(id);
    this.links = {}; // kept from one look to the next, so that their motion does not start again
  }

  show(status, before) {
    const rate = status.warehouses.reduce((sum, each) => Math.max(sum, each.rows_per_second), 0);
    const parts = [source(status.source), this.link("stream", rate, `${brief(rate)} rows/s`)];
    const topics = partitions(status.warehouses);
    if (topics.length) {
      const waiting = topics.reduce((sum, each) => sum + unread(each), 0);
      parts.push(kafka(topics), this.link("topics", rate, waiting ? `${brief(waiting)} waiting` : "nothing waits"));
    }
    parts.push(make("div", { class: "stops" }, ...status.warehouses.map(warehouse)));
    this.place.classList.toggle("long", topics.length > 0);
    this.place.replaceChildren(...parts);
  }

  link(name, rate, text) {
    const link = (this.links[name] ??= make("div", { class: "link" }, make("div", { class: "pipe" }), make("span")));
    const [pipe, label] = link.children;
    pipe.classList.toggle("moving", rate > 0);
    pipe.style.setProperty("--pace", `${Math.max(0.25, 1.6 - 0.3 * Math.log10(1 + rate)).toFixed(2)}s`);
    label.textContent = text;
    return link;
  }
}

function fact(name, value, style = "") {
  return make("div", {}, make("dt", {}, name), make("dd", { class: style }, value));
}

function source(each) {
  const trouble = each.wal_status && !["reserved", "extended"].includes(each.wal_status);
  return make("article", { class: "card stop" },
    make("h2", {}, "PostgreSQL", make("span", { class: "kind" }, each.plugin)),
    make("div", { class: "where" }, each.server),
    make("dl", {},
      fact("not yet confirmed", size(each.behind_bytes)),
      fact("WAL kept for the slot", size(each.retained_bytes)),
      each.safe_wal_bytes != null && fact("until the slot is lost", size(each.safe_wal_bytes)),
      fact("confirmed up to", make("span", { class: "mono" }, each.confirmed_lsn ?? "–")),
      fact(`slot ${each.slot}`, trouble ? pill(each.wal_status) : each.active === false ? "nobody streams" : "in use")));
}

// Each partition once, with how far every warehouse is in it.
function partitions(warehouses) {
  const found = new Map();
  for (const { name, partitions } of warehouses) {
    for (const { topic, partition, end, applied } of partitions) {
      const key = `${topic}/${partition}`;
      const known = found.get(key) ?? { topic, partition, published: 0, consumed: {} };
      known.published = Math.max(known.published, end);
      known.consumed[name] = applied;
      found.set(key, known);
    }
  }
  return [...found.values()];
}

function unread(partition) {
  return Math.max(0, ...Object.values(partition.consumed).map((offset) => partition.published - Math.max(offset, 0)));
}

function kafka(partitions) {
  const topics = new Set(partitions.map((each) => each.topic));
  const worst = partitions.reduce((a, b) => (unread(b) > unread(a) ? b : a));
  return make("article", { class: "card stop" },
    make("h2", {}, "Kafka"),
    make("div", { class: "where" }, `${brief(topics.size)} topics, ${brief(partitions.length)} partitions`),
    make("dl", {},
      fact("records", brief(partitions.reduce((sum, each) => sum + each.published, 0))),
      fact("not yet consumed", brief(partitions.reduce((sum, each) => sum + unread(each), 0)))),
    unread(worst) > 0 && make("div", { class: "where" }, `most in ${worst.topic}, partition ${worst.partition}`));
}

function warehouse(each) {
  const behind = each.behind_seconds;
  const style = behind == null ? "" : behind > LATE ? "bad-text" : behind > SLOW ? "warn-text" : "good-text";
  return make("article", { class: "card stop" },
    make("h2", {}, each.name, make("span", { class: "kind" }, each.kind)),
    make("div", { class: "where" }, each.target),
    each.parked && make("div", { class: "why" }, pill("parked"), ` left behind: ${each.parked}. When it answers, it is taken in again, and its tables want a resync.`),
    make("dl", {},
      fact("behind the source", behind === 0 ? "in sync" : seconds(behind), `large ${style}`),
      fact("rows/s", brief(each.rows_per_second), "large"),
      fact("rows applied", brief(each.rows_applied)),
      fact("lag p50", seconds(each.lag_p50)),
      fact("lag p95", seconds(each.lag_p95)),
      fact("lag p99", seconds(each.lag_p99)),
      each.queue_limit_bytes && fact("on its way", `${size(each.queue_bytes)} of ${size(each.queue_limit_bytes)}`),
      each.dead_letters > 0 && fact("dead letters", brief(each.dead_letters), "bad-text")));
}
