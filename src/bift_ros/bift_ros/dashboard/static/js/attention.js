// What is not well with the fleet, or with one of its vehicles.

import { byId, make } from "./dom.js";

const WORDS = { warn: "warning", error: "error", stale: "silent" };

export class Attention {
  constructor(fleet, selection) {
    this._fleet = fleet;
    this._selection = selection;
  }

  draw() {
    const { findings } = this._fleet;
    if (this._drawn === findings) return;
    this._drawn = findings;
    byId("attention").hidden = findings.length === 0;
    byId("attention")
      .querySelector("ul")
      .replaceChildren(...findings.map((finding) => this._line(finding)));
  }

  _line({ subject, part, level, message }) {
    return make(
      "li",
      {},
      make("span", { class: "level", "data-level": level }, WORDS[level]),
      this._fleet.vehicles.has(subject) ? this._selection.link("vehicle", subject) : make("span", {}, subject),
      make("span", { class: "note" }, part),
      make("span", {}, message),
    );
  }
}
