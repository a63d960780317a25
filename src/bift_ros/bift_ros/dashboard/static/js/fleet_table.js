// A row for each vehicle: what it does, where it stands, what it earns.

import { byId, make, setAttribute, setText } from "./dom.js";
import { bytes, count, decimal, NONE, percent, seconds } from "./format.js";
import { drawOutcomes, legend, STRIP_LENGTH } from "./outcomes.js";

/** Of each column: its heading, how it sorts, how it is shown; `number` aligns to the right. */
const COLUMNS = [
  { title: "State", key: (v) => v.status?.state ?? "", show: showState },
  { title: "Tip", key: (v) => v.status?.height ?? -1, show: showTip },
  { title: "Loss", key: (v) => v.status?.loss, text: (v) => decimal(v.status?.loss ?? NaN), number: true },
  { title: "Accuracy", key: accuracyOf, text: (v, fleet) => percent(accuracyOf(v, fleet)), number: true },
  { title: "Samples", key: (v) => v.status?.samples, text: (v) => count(v.status?.samples), number: true },
  { title: "Stake", key: (v) => v.status?.balance, show: showStake, number: true },
  { title: `Last ${STRIP_LENGTH} iterations`, key: paidShare, show: showOutcomes },
  { title: "Refused", key: (v) => v.status?.refused, text: (v) => count(v.status?.refused), number: true },
  { title: "Fetched", key: (v) => v.status?.fetched_bytes, text: (v) => bytes(v.status?.fetched_bytes), number: true },
  { title: "Served", key: (v) => v.status?.served_bytes, text: (v) => bytes(v.status?.served_bytes), number: true },
  { title: "Memory", key: (v) => v.status?.rss_mb, text: (v) => bytes(v.status?.rss_mb * 2 ** 20), number: true },
];

export class FleetTable {
  constructor(fleet, selection) {
    this._fleet = fleet;
    this._selection = selection;
    this._rows = new Map(); // By name.
    this._sort = { column: null, descending: false }; // No column: by name.
    this._headings = [make("th", { scope: "col" }, this._sortButton("Vehicle", null))];
    for (const column of COLUMNS) {
      const cell = make("th", { scope: "col", class: column.number ? "number" : null });
      cell.append(this._sortButton(column.title, column));
      this._headings.push(cell);
    }
    this._body = make("tbody");
    byId("fleet")
      .querySelector(".scroll")
      .append(make("table", { class: "fleet" }, make("thead", {}, make("tr", {}, ...this._headings)), this._body));
    byId("fleet-legend").append(...legend());
  }

  draw() {
    const vehicles = this._sorted();
    for (const vehicle of vehicles) this._update(vehicle);
    vehicles.forEach((vehicle, place) => {
      const row = this._rows.get(vehicle.name);
      if (this._body.children[place] !== row) this._body.insertBefore(row, this._body.children[place]);
    });
    this._headings.forEach((cell, number) => {
      const sorted = (COLUMNS[number - 1] ?? null) === this._sort.column;
      setAttribute(cell, "aria-sort", sorted ? (this._sort.descending ? "descending" : "ascending") : "none");
    });
  }

  _sortButton(title, column) {
    const sort = () => {
      const again = this._sort.column === column;
      // Of numbers the largest is what one looks for first.
      this._sort = { column, descending: again ? !this._sort.descending : Boolean(column?.number) };
      this.draw();
    };
    return make("button", { type: "button", onclick: sort }, title);
  }

  _sorted() {
    const { column, descending } = this._sort;
    const direction = descending ? -1 : 1;
    const byName = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true });
    return [...this._fleet.vehicles.values()].sort((a, b) => {
      if (!column) return direction * byName(a, b);
      const [x, y] = [column.key(a, this._fleet), column.key(b, this._fleet)];
      if (x === y) return byName(a, b);
      if (x == null) return 1;
      if (y == null) return -1;
      return direction * (x < y ? -1 : 1);
    });
  }

  _update(vehicle) {
    const row = this._rows.get(vehicle.name) ?? this._add(vehicle);
    row.classList.toggle("chosen", this._selection.is("vehicle", vehicle.name));
    row.classList.toggle("silent", this._fleet.isSilent(vehicle));
    COLUMNS.forEach((column, number) => {
      const cell = row.children[number + 1];
      if (column.text) setText(cell, column.text(vehicle, this._fleet));
      else column.show(cell, vehicle, this._fleet);
    });
  }

  _add(vehicle) {
    const choose = () => this._selection.choose("vehicle", vehicle.name);
    const row = make(
      "tr",
      {},
      make("th", { scope: "row" }, this._selection.link("vehicle", vehicle.name)),
      ...COLUMNS.map((column) => make("td", { class: column.number ? "number" : null })),
    );
    row.addEventListener("click", choose);
    this._rows.set(vehicle.name, row);
    return row;
  }
}

/** Accuracy of the vehicle's newest update on the chain. */
function accuracyOf(vehicle, { iterations }) {
  for (let n = iterations.length - 1; n >= 0; n -= 1) {
    const accuracy = iterations[n].accuracies.get(vehicle.address);
    if (accuracy !== undefined) return accuracy;
  }
  return NaN;
}

function paidShare(vehicle, { iterations }) {
  const last = iterations.slice(-STRIP_LENGTH);
  const paid = last.filter(({ outcome }) => outcome(vehicle.address) === "contributed");
  return paid.length / (last.length || 1);
}

function showState(cell, vehicle, fleet) {
  const silence = fleet.silence(vehicle);
  const silent = fleet.isSilent(vehicle);
  const { state, epoch, local_epochs: epochs } = vehicle.status ?? {};
  const text = !vehicle.status
    ? "not heard yet"
    : silent
      ? `silent for ${seconds(silence)}`
      : state === "training"
        ? `training ${epoch}/${epochs}`
        : state;
  setText(cell, text);
  setAttribute(cell, "data-state", silent ? "silent" : state);
}

function showTip(cell, vehicle, fleet) {
  const { relations, blocks, head } = fleet;
  const height = vehicle.status?.height ?? blocks.get(vehicle.tip)?.index;
  const relation = relations[vehicle.name];
  const behind = relation === "behind" ? blocks.get(head).index - height : 0;
  const where = relation === "forked" ? " fork" : behind > 0 ? ` −${behind}` : "";
  setText(cell, `${height === undefined ? NONE : height}${where}`);
  setAttribute(cell, "data-where", relation === "forked" ? "fork" : behind > 1 ? "behind" : "chain");
}

function showStake(cell, vehicle, fleet) {
  if (!cell.firstChild) {
    cell.append(make("span", { class: "track" }, make("span", { class: "bar" })), make("span"));
  }
  const stakes = [...fleet.vehicles.values()].map((each) => each.status?.balance ?? 0);
  const balance = vehicle.status?.balance;
  cell.firstChild.firstChild.style.setProperty("--share", (balance ?? 0) / Math.max(1, ...stakes));
  setText(cell.lastChild, count(balance));
}

function showOutcomes(cell, vehicle, fleet) {
  if (cell.dataset.drawn === String(fleet.chainRevision)) return;
  cell.dataset.drawn = fleet.chainRevision;
  drawOutcomes(cell, fleet, vehicle.address);
}
