// The panel at the side: the vehicle or block that was chosen; until then the newest block.

import { blockDetails } from "./block_details.js";
import { byId, make, setText } from "./dom.js";
import { VehicleDetails } from "./vehicle_details.js";

export class Details {
  constructor(fleet, selection) {
    this._fleet = fleet;
    this._selection = selection;
    this._vehicle = null;
  }

  draw() {
    const chosen = this._selection.current ?? { kind: "block", id: this._fleet.head };
    if (chosen.kind === "vehicle") this._showVehicle(chosen.id);
    else this._showBlock(chosen.id);
  }

  /** Make everything anew: charts keep the colours that they were made with. */
  restyle() {
    this._vehicle = null;
    this._key = null;
  }

  _showVehicle(name) {
    const vehicle = this._fleet.vehicles.get(name);
    setText(byId("details-title"), name);
    if (!vehicle) return this._showNothing(`No vehicle of this name was heard: ${name}`);
    if (this._vehicle?.name !== name) {
      this._vehicle = new VehicleDetails(this._fleet, name);
      this._show(this._vehicle.element, null);
    }
    this._vehicle.draw(vehicle);
  }

  _showBlock(hash) {
    const block = this._fleet.blocks.get(hash);
    this._vehicle = null;
    if (!block) {
      setText(byId("details-title"), "Details");
      return this._showNothing("Choose a vehicle or a block to see more of it.");
    }
    setText(byId("details-title"), `Block ${block.index}`);
    const key = `${hash} ${this._fleet.chainRevision} ${this._fleet.standing(hash)}`;
    if (key !== this._key) this._show(blockDetails(this._fleet, block, this._selection), key);
  }

  _showNothing(text) {
    this._vehicle = null;
    if (this._key !== text) this._show(make("p", { class: "note" }, text), text);
  }

  _show(element, key) {
    this._key = key;
    byId("details-body").replaceChildren(element);
  }
}
