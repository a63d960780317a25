// One uPlot chart in a panel, in the theme's colours and as wide as its holder.

import uPlot from "../vendor/uPlot.esm.js";
import { make, setAttribute } from "./dom.js";
import { colour } from "./theme.js";

const HEIGHT = 170;
const FONT = "11px system-ui, sans-serif";

export class Chart {
  /**
   * `series`: [{label, colour, width?, dash?, points?, hidden?}]; a hidden one bounds a band.
   * `bands`: pairs of series numbers (from 1) to shade between.
   * `x`: {label, format, time?, range?}. `y`: {format, exact?, range?}: how numbers are written
   * along the axis, and in the legend.
   */
  constructor(holder, { title, series, bands = [], x, y }) {
    this._holder = holder;
    this._options = { title, series, bands, x, y };
    this._data = [[], ...series.map(() => [])];
    this._empty = make("p", { class: "empty" }, "Nothing yet");
    holder.setAttribute("role", "img");
    new ResizeObserver(() => this._resize()).observe(holder);
  }

  /** Show data, [xs, ys, …]; `description` says it to those who don't see it. */
  draw(data, description) {
    this._data = data;
    setAttribute(this._holder, "aria-label", `${this._options.title}: ${description}`);
    if (!data[0].length) this._clear();
    else if (this._plot) this._plot.setData(data);
    else this._make();
    this._showNewest();
  }

  /** Take on the theme's colours anew. */
  restyle() {
    if (this._plot) this._make();
  }

  /** Have the legend tell the newest values, unless a pointer asks for others. */
  _showNewest() {
    // uPlot draws in a microtask of its own, and empties the legend there.
    queueMicrotask(() => {
      if (this._plot && this._plot.cursor.idx == null) {
        this._plot.setLegend({ idx: this._data[0].length - 1 }, false);
      }
    });
  }

  _clear() {
    this._plot?.destroy();
    this._plot = null;
    this._holder.replaceChildren(this._empty);
  }

  _make() {
    this._clear();
    this._holder.replaceChildren();
    this._plot = new uPlot(this._settings(), this._data, this._holder);
    this._plot.over.addEventListener("mouseleave", () => this._showNewest());
    this._resize();
    this._showNewest();
  }

  _resize() {
    const width = this._holder.clientWidth;
    if (this._plot && width && width !== this._plot.width) {
      this._plot.setSize({ width, height: HEIGHT });
    }
  }

  _settings() {
    const { series, bands, x, y } = this._options;
    const axis = {
      stroke: colour("muted"),
      font: FONT,
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    return {
      width: this._holder.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 10, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: Boolean(x.time), range: x.range }, y: { range: y.range } },
      axes: [
        { ...axis, size: 26, gap: 4, space: 44, ...(x.time ? { values: clockTimes } : { incrs: WHOLE }) },
        { ...axis, size: 46, gap: 4, space: 26, values: (_, ticks) => ticks.map(y.format) },
      ],
      series: [
        { label: x.label, value: x.format },
        ...series.map((each) => ({
          label: each.label,
          class: each.hidden ? "hidden" : undefined,
          stroke: each.hidden ? "transparent" : colour(each.colour),
          width: each.hidden ? 0 : (each.width ?? 1.6),
          dash: each.dash,
          points: { show: each.points ? areFew : false, size: 5, fill: colour(each.colour) },
          value: (_, value) => (y.exact ?? y.format)(value ?? NaN),
        })),
      ],
      bands: bands.map((pair) => ({ series: pair, fill: colour("band") })),
    };
  }
}

const areFew = (_, __, first, last) => last - first < 60;

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

const clockTimes = (_, ticks) =>
  ticks.map((seconds) =>
    new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
  );
