// Who was left out or refused, and why.

import { byId, make } from "./dom.js";
import { count, percent, words } from "./format.js";

const ROWS = 60;

/** Why an update of each outcome earned nothing. */
const WHY = {
  "left out": ({ rule }) => `${words(rule)} did not choose it`,
  "not revealed": () => "committed, and did not reveal it",
};

export class Refusals {
  constructor(fleet, selection) {
    this._fleet = fleet;
    this._selection = selection;
    this._leftOut = table(["Iteration", "Vehicle", "Accuracy it claims", "Why"]);
    this._refused = table(["Vehicle", "Refused", "The last one, and why"]);
    byId("left-out").append(this._leftOut.table);
    byId("refused").append(this._refused.table);
  }

  draw() {
    if (this._drawnChain !== this._fleet.chainRevision) {
      this._drawnChain = this._fleet.chainRevision;
      this._drawLeftOut();
    }
    this._drawRefused();
  }

  _drawLeftOut() {
    const rows = [];
    for (const iteration of [...this._fleet.iterations].reverse()) {
      for (const [address, outcome] of Object.entries(iteration.outcomes)) {
        if (WHY[outcome] && rows.length < ROWS) {
          rows.push([
            this._link("block", iteration.block.hash, String(iteration.number)),
            this._vehicle(address),
            percent(iteration.accuracies.get(address)),
            WHY[outcome](iteration),
          ]);
        }
      }
      if (rows.length >= ROWS) break;
    }
    this._leftOut.show(rows, "Every update earned its reward.");
  }

  _drawRefused() {
    const spoken = [...this._fleet.vehicles.values()].filter(({ status }) => status);
    const lines = [];
    for (const { name, status } of spoken) {
      for (const proof of status.equivocations ?? []) {
        lines.push([name, "–", `holds proof of two blocks on one parent: ${proof}`]);
      }
      if (status.refused > 0) lines.push([name, count(status.refused), status.last_refusal || "–"]);
    }
    const key = JSON.stringify(lines);
    if (key === this._drawnRefused) return;
    this._drawnRefused = key;
    this._refused.show(
      lines.map(([name, ...rest]) => [this._link("vehicle", name, name), ...rest]),
      "No vehicle has refused anything.",
    );
  }

  _vehicle(address) {
    const name = this._fleet.nameOf(address);
    return this._fleet.vehicles.has(name) ? this._link("vehicle", name, name) : name;
  }

  _link(kind, id, text) {
    const choose = () => this._selection.choose(kind, id);
    return make("button", { type: "button", class: "link", onclick: choose }, text);
  }
}

function table(headings) {
  const body = make("tbody");
  const head = make("thead", {}, make("tr", {}, ...headings.map((h) => make("th", { scope: "col" }, h))));
  return {
    table: make("table", {}, head, body),
    show(rows, none) {
      const cells = (row) => row.map((cell) => make("td", {}, cell));
      const empty = make("tr", {}, make("td", { colspan: headings.length, class: "empty" }, none));
      body.replaceChildren(...(rows.length ? rows.map((row) => make("tr", {}, ...cells(row))) : [empty]));
    },
  };
}
