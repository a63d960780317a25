// The chain as blocks in a row, forks beneath. Only those in view are in the document.

import { byId, make, makeSvg, setAttribute, setText } from "./dom.js";
import { count, percent, plural, words } from "./format.js";

const PITCH = 78; // Pixels from one height to the next.
const WIDTH = 62;
const HEIGHT = 54;
const LANE = 64;
const TOP = 18; // Room for the number of vehicles that stand on a block.
const MARGIN = 3; // Blocks beyond the edges that are kept ready.

export class ChainView {
  constructor(fleet, selection) {
    this._fleet = fleet;
    this._selection = selection;
    this._buttons = new Map(); // By hash: those in the document.
    this._focus = null; // Hash of the block that Tab reaches.
    this._atNewest = true;
    this._links = makeSvg("path", { class: "links" });
    this._forkLinks = makeSvg("path", { class: "links fork" });
    this._svg = makeSvg("svg", { "aria-hidden": "true" }, this._links, this._forkLinks);
    this._canvas = make("div", { class: "canvas", role: "group", "aria-label": LABEL }, this._svg);
    this._view = byId("chain-view");
    this._view.append(this._canvas);
    this._view.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this._canvas.addEventListener("keydown", (event) => this._move(event));
    byId("chain-newest").addEventListener("click", () => this._goToNewest());
    new ResizeObserver(() => this._place()).observe(this._view);
  }

  draw() {
    const { chain } = this._fleet;
    setText(
      byId("chain-note"),
      chain.canonical.length
        ? `${plural(chain.canonical.length, "block")}, ${count(chain.forks)} beside. ` +
            "Arrow keys go along the chain and into forks."
        : "No block heard yet.",
    );
    const depth = Math.max(1, chain.depth);
    this._canvas.style.width = `${(chain.highest - chain.lowest + 1) * PITCH + 20}px`;
    this._canvas.style.height = `${TOP + (depth + 1) * LANE - (LANE - HEIGHT) + 4}px`;
    if (this._atNewest) this._goToNewest();
    this._place();
  }

  _scrolled() {
    const { scrollLeft, clientWidth, scrollWidth } = this._view;
    this._atNewest = scrollLeft + clientWidth >= scrollWidth - PITCH;
    this._place();
  }

  _goToNewest() {
    this._atNewest = true;
    this._view.scrollLeft = this._view.scrollWidth;
  }

  _left(block) {
    return (block.index - this._fleet.chain.lowest) * PITCH + 10;
  }

  _top(hash) {
    return TOP + this._fleet.chain.lanes.get(hash) * LANE;
  }

  /** Put the blocks in view into the document, and take the others out. */
  _place() {
    const { chain, blocks } = this._fleet;
    const first = chain.lowest + Math.floor(this._view.scrollLeft / PITCH) - MARGIN;
    const last = first + Math.ceil(this._view.clientWidth / PITCH) + 2 * MARGIN;
    const wanted = new Set();
    for (let index = first; index <= last; index += 1) {
      for (const hash of chain.levels.get(index) ?? []) wanted.add(hash);
    }
    if (!chain.lanes.has(this._focus)) this._focus = chain.canonical.at(-1)?.hash ?? null;
    // The one with the keyboard's focus stays, so that scrolling never loses it.
    if (this._focus) wanted.add(this._focus);
    for (const [hash, button] of this._buttons) {
      if (!wanted.has(hash)) {
        button.remove();
        this._buttons.delete(hash);
      }
    }
    for (const hash of wanted) this._update(blocks.get(hash));
    this._drawLinks(wanted);
  }

  _update(block) {
    let button = this._buttons.get(block.hash);
    if (!button) {
      button = this._made(block);
      this._buttons.set(block.hash, button);
      this._canvas.append(button);
    }
    const lane = this._fleet.chain.lanes.get(block.hash);
    button.style.left = `${this._left(block)}px`;
    button.style.top = `${this._top(block.hash)}px`;
    const standing = this._fleet.standing(block.hash);
    setText(button.firstChild, standing ? String(standing) : "");
    button.classList.toggle("fork", lane > 0);
    setAttribute(button, "aria-pressed", this._selection.is("block", block.hash));
    setAttribute(button, "tabindex", block.hash === this._focus ? 0 : -1);
    setAttribute(button, "aria-label", describe(block, this._fleet, lane, standing));
  }

  _made(block) {
    const { model } = block;
    const button = make(
      "button",
      { type: "button", class: model ? "block model" : "block", "data-hash": block.hash },
      make("span", { class: "standing" }),
      make("span", { class: "height" }, String(block.index)),
      ...contents(block).map((line) => make("span", { class: "what" }, line)),
    );
    button.addEventListener("click", () => this._choose(block.hash));
    return button;
  }

  _choose(hash) {
    this._focus = hash;
    this._selection.choose("block", hash);
  }

  _drawLinks(wanted) {
    const paths = ["", ""];
    for (const hash of wanted) {
      const block = this._fleet.blocks.get(hash);
      const parent = this._fleet.blocks.get(block.previous_hash);
      if (!parent || !this._fleet.chain.lanes.has(parent.hash)) continue;
      const [x1, y1] = [this._left(parent) + WIDTH, this._top(parent.hash) + HEIGHT / 2];
      const [x2, y2] = [this._left(block), this._top(hash) + HEIGHT / 2];
      const middle = (x1 + x2) / 2;
      paths[y2 === y1 && y1 === TOP + HEIGHT / 2 ? 0 : 1] +=
        `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
    }
    setAttribute(this._links, "d", paths[0]);
    setAttribute(this._forkLinks, "d", paths[1]);
  }

  _move(event) {
    const target = this._neighbour(event.key);
    if (target === undefined) return;
    event.preventDefault();
    if (target === null) return;
    this._choose(target);
    this._reveal(target);
    this._place();
    this._buttons.get(target).focus({ preventScroll: true });
  }

  /** Where a key leads: a hash, null for nowhere, undefined for a key that isn't ours. */
  _neighbour(key) {
    const { chain, blocks } = this._fleet;
    const block = blocks.get(this._focus);
    if (!block) return undefined;
    const level = chain.levels.get(block.index);
    const children = (chain.levels.get(block.index + 1) ?? []).filter(
      (hash) => blocks.get(hash).previous_hash === block.hash,
    );
    switch (key) {
      case "ArrowLeft":
        return chain.lanes.has(block.previous_hash) ? block.previous_hash : null;
      case "ArrowRight":
        return children[0] ?? null;
      case "ArrowDown":
        return level[level.indexOf(block.hash) + 1] ?? null;
      case "ArrowUp":
        return level[level.indexOf(block.hash) - 1] ?? null;
      case "Home":
        return chain.canonical[0].hash;
      case "End":
        return chain.canonical.at(-1).hash;
      default:
        return undefined;
    }
  }

  _reveal(hash) {
    const left = this._left(this._fleet.blocks.get(hash));
    const { scrollLeft, clientWidth } = this._view;
    if (left < scrollLeft + PITCH) this._view.scrollLeft = left - PITCH;
    else if (left + 2 * PITCH > scrollLeft + clientWidth) {
      this._view.scrollLeft = left + 2 * PITCH - clientWidth;
    }
  }
}

const LABEL = "Blocks of the chain; left and right go along it, down and up into forks and back";

/** What a block is for, in two short lines. */
function contents({ model, transactions }) {
  if (model) return [words(model.rule), percent(model.accuracy)];
  const { model_commit: commits, propose_task: task } = transactions;
  if (task) return ["new task", ""];
  if (commits) return ["commits", count(commits)];
  const all = Object.values(transactions).reduce((sum, n) => sum + n, 0);
  return all ? ["transactions", count(all)] : ["empty", ""];
}

function describe(block, fleet, lane, standing) {
  const { model } = block;
  return [
    `Block ${block.index}${lane > 0 ? ", beside the chain" : ""}`,
    model
      ? `iteration ${model.current_iter}, ${words(model.rule)}, accuracy ${percent(model.accuracy)}`
      : contents(block).join(" "),
    `by ${fleet.nameOf(block.miner)}`,
    standing ? `${plural(standing, "vehicle")} here` : "no vehicle here",
  ].join(", ");
}
