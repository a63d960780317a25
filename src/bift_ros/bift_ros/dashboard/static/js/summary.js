// The line at the top: where the fleet stands, in a few numbers.

import { byId, make, setText } from "./dom.js";
import { count, NONE, percent } from "./format.js";

const FIGURES = {
  "task": (fleet) => (fleet.task || NONE) + (fleet.isCancelled ? ", cancelled" : ""),
  "iteration": ({ iterations }) =>
    iterations.length ? `${iterations.at(-1).number} / ${iterations.at(-1).total}` : NONE,
  "accuracy": ({ iterations }) => percent(iterations.at(-1)?.accuracy ?? NaN),
  "rule": ({ iterations }) => iterations.at(-1)?.rule ?? NONE,
  "vehicles heard": (fleet) => {
    const all = [...fleet.vehicles.values()];
    return `${all.filter((vehicle) => !fleet.isSilent(vehicle)).length} / ${all.length}`;
  },
  "on one tip": (fleet) => `${fleet.standing(fleet.head)} / ${fleet.vehicles.size}`,
  "height": ({ chain }) => (chain.canonical.length ? count(chain.canonical.at(-1).index) : NONE),
  "final": (fleet) => (fleet.vehicles.size ? count(fleet.finalHeight) : NONE),
  "blocks beside": ({ chain }) => count(chain.forks),
};

export class Summary {
  constructor(fleet) {
    this._fleet = fleet;
    this._cells = {};
    for (const name of Object.keys(FIGURES)) {
      this._cells[name] = make("dd", {}, NONE);
      byId("summary").append(make("div", {}, make("dt", {}, name), this._cells[name]));
    }
  }

  draw() {
    for (const [name, figure] of Object.entries(FIGURES)) {
      setText(this._cells[name], figure(this._fleet));
    }
  }
}
