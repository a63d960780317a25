// The chain once more, as a table: for screen readers, and for those who like to read.

import { byId, make, table } from "./dom.js";
import { count, percent, shortHash, time, words } from "./format.js";

const ROWS = 50;

export class ChainTable {
  constructor(fleet, selection) {
    this._fleet = fleet;
    this._selection = selection;
    this._shown = ROWS;
    this._holder = byId("chain-table");
    this._more = make("button", { type: "button", class: "quiet", onclick: () => this._showMore() });
    const [chainTable, body] = table(HEADINGS);
    this._body = body;
    this._holder.append(
      make(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "The chain as a table" },
        chainTable,
        this._more,
      ),
    );
    this._holder.addEventListener("toggle", () => this.draw());
  }

  draw() {
    if (!this._holder.open || this._drawn === this._fleet.chainRevision) return;
    this._drawn = this._fleet.chainRevision;
    const placed = [...this._fleet.chain.lanes.keys()].map((hash) => this._fleet.blocks.get(hash));
    placed.sort((a, b) => b.index - a.index);
    this._body.replaceChildren(...placed.slice(0, this._shown).map((block) => this._row(block)));
    this._more.hidden = placed.length <= this._shown;
    this._more.textContent = `Show ${ROWS} more of ${count(placed.length - this._shown)}`;
  }

  _showMore() {
    this._shown += ROWS;
    this._drawn = null;
    this.draw();
  }

  _row(block) {
    const { model } = block;
    const beside = this._fleet.chain.lanes.get(block.hash) > 0;
    return make(
      "tr",
      { class: beside ? "beside" : null },
      make("th", { scope: "row", class: "number" }, this._selection.link("block", block.hash, String(block.index))),
      make("td", { class: "hash" }, shortHash(block.hash)),
      make("td", {}, beside ? "fork" : "chain"),
      make("td", {}, time(block.timestamp)),
      make("td", {}, this._fleet.nameOf(block.miner)),
      make("td", { class: "number" }, model ? String(model.current_iter) : ""),
      make("td", {}, model ? words(model.rule) : ""),
      make("td", { class: "number" }, model ? percent(model.accuracy) : ""),
      make("td", { class: "number" }, model ? `${model.contributors.length} of ${block.updates.length}` : ""),
    );
  }
}

const HEADINGS = ["Height", "Hash", "Where", "Time", "Miner", "Iteration", "Rule", "Accuracy", "Paid"];
