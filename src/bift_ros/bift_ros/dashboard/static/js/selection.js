// What the details show: a vehicle or a block, kept in the address so that it can be linked to.

import { make } from "./dom.js";

export class Selection {
  constructor() {
    this._listeners = [];
    addEventListener("hashchange", () => this._tell());
  }

  /** {kind: "vehicle" | "block", id}, or null: nothing was chosen. */
  get current() {
    const match = /^#(vehicle|block)\/([\w]+)$/.exec(location.hash);
    return match ? { kind: match[1], id: match[2] } : null;
  }

  is(kind, id) {
    return location.hash === `#${kind}/${id}`;
  }

  choose(kind, id) {
    if (this.is(kind, id)) return;
    // Replaced: the way back leads off the page, not through every block that was looked at.
    history.replaceState(null, "", `#${kind}/${id}`);
    this._tell();
  }

  /** A button that chooses a vehicle or a block. */
  link(kind, id, content = id) {
    const choose = () => this.choose(kind, id);
    return make("button", { type: "button", class: "link", onclick: choose }, content);
  }

  /** The name of the vehicle at an address; a button where such a vehicle was heard. */
  vehicleAt(address, fleet) {
    const name = fleet.nameOf(address);
    return fleet.vehicles.has(name) ? this.link("vehicle", name) : name;
  }

  onChange(listener) {
    this._listeners.push(listener);
  }

  _tell() {
    for (const listener of this._listeners) listener();
  }
}
