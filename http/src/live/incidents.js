// What was and is anomalous, newest first.

import { by, el, put, repeat } from "./dom.js";
import * as text from "./text.js";

/// `open(id)` is called when an incident is chosen. Returns `show(live)`.
export function incidents({ open }) {
  let now = 0;
  const list = repeat(by("incident-list"), () => {
    const peak = el("span", "score");
    const where = el("bdi", "where");
    const what = el("bdi", "what");
    const sub = el("bdi", "sub");
    const age = el("span", "age");
    const button = el("button", "row", peak, el("span", "name", what, " ", where), sub, age);
    button.type = "button";
    let id = null;
    button.addEventListener("click", () => open(id));
    return {
      node: el("li", "", button),
      fill(one) {
        id = one.id;
        const [head, tail] = text.nameParts(one.name);
        put(peak, text.score(one.peak));
        put(what, tail);
        put(where, head);
        put(sub, text.incident(one) || text.clip(one.cause));
        const lasts =
          one.ended === null ? `${text.duration(now - one.started)}, open` : text.duration(one.ended - one.started);
        put(age, `${text.time(one.started, now)} · ${lasts}`);
        button.classList.toggle("bad", one.ended === null);
      },
    };
  });

  return (live) => {
    now = live.now;
    list(live.incidents);
    const open = live.incidents.filter((one) => one.ended === null).length;
    put(
      by("incidents-count"),
      live.incidents.length === 0 ? "" : `${text.count(open)} open, ${text.count(live.incidents.length - open)} ended`,
    );
    put(by("incidents-empty"), "No incident since qualm started.");
    by("incidents-empty").hidden = live.incidents.length > 0;
    by("incident-list").hidden = live.incidents.length === 0;
  };
}
