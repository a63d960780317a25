// Tells those who listen to the page of each new iteration, once.

import { byId, setText } from "./dom.js";
import { percent, plural, words } from "./format.js";

export class Announcer {
  constructor(fleet) {
    this._fleet = fleet;
    this._told = null; // Hash of the block that was told of last.
  }

  draw() {
    const newest = this._fleet.iterations.at(-1);
    if (!newest || newest.block.hash === this._told) return;
    const first = this._told === null;
    this._told = newest.block.hash;
    if (first) return; // It was there when the page was opened.
    setText(
      byId("announcements"),
      `Iteration ${newest.number} of ${newest.total}: accuracy ${percent(newest.accuracy)}, ` +
        `${plural(newest.block.model.contributors.length, "contributor")} by ${words(newest.rule)}`,
    );
  }
}
