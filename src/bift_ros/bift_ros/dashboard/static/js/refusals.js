// Who was left out or refused, and why.

import { byId, make, table } from "./dom.js";
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
    this._showLeftOut = tableIn("left-out", ["Iteration", "Vehicle", "Accuracy it claims", "Why"]);
    this._showRefused = tableIn("refused", ["Vehicle", "Refused", "The last one, and why"]);
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
            this._selection.link("block", iteration.block.hash, String(iteration.number)),
            this._selection.vehicleAt(address, this._fleet),
            percent(iteration.accuracies.get(address)),
            WHY[outcome](iteration),
          ]);
        }
      }
      if (rows.length >= ROWS) break;
    }
    this._showLeftOut(rows, "Every update earned its reward.");
  }

  _drawRefused() {
    const spoken = [...this._fleet.vehicles.values()].filter(({ status }) => status);
    const lines = [];
    for (const { name, status } of spoken) {
      for (const proof of status.equivocations ?? []) {
        lines.push([name, "–", `holds proof of two blocks on one parent: ${proof}`]);
      }
      if (status.conflict) lines.push([name, "–", `was shown that rivals are final: ${status.conflict}`]);
      if (status.refused > 0) lines.push([name, count(status.refused), status.last_refusal || "–"]);
    }
    const key = JSON.stringify(lines);
    if (key === this._drawnRefused) return;
    this._drawnRefused = key;
    this._showRefused(
      lines.map(([name, ...rest]) => [this._selection.link("vehicle", name), ...rest]),
      "No vehicle has refused anything.",
    );
  }
}

/** Put an empty table into an element; returns what fills it with rows, or says that there are none. */
function tableIn(id, headings) {
  const [element, body] = table(headings);
  byId(id).append(element);
  const empty = (text) => make("td", { colspan: headings.length, class: "empty" }, text);
  return (rows, none) => {
    const cells = rows.length ? rows.map((row) => row.map((cell) => make("td", {}, cell))) : [[empty(none)]];
    body.replaceChildren(...cells.map((row) => make("tr", {}, ...row)));
  };
}
