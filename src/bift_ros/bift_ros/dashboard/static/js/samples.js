// A vehicle's dataset: how many samples each class has, and some of them where they may be seen.

import { make, setText } from "./dom.js";
import { count, words } from "./format.js";

const REFRESH_MILLISECONDS = 5000;

export class SampleGrid {
  constructor(name) {
    this._name = name;
    this._list = make("ul", { class: "classes" });
    this._note = make("p", { class: "note" });
    this.element = make("div", {}, this._list, this._note);
    this._asked = -Infinity;
  }

  /** Show the class balance, and look for new samples where the vehicle has other ones now. */
  draw(status) {
    const { samples, class_samples: said } = status;
    if (samples !== this._samples && performance.now() - this._asked > REFRESH_MILLISECONDS) {
      this._samples = samples;
      this._asked = performance.now();
      this._ask(said);
    }
  }

  /** `said`: the vehicle's own counts by class; without them the crops in its folder are counted. */
  async _ask(said) {
    const response = await fetch(`/api/vehicles/${encodeURIComponent(this._name)}/samples`);
    const { classes, why_none: whyNone } = await response.json();
    setText(this._note, whyNone ?? "From the vehicle's own folder on this machine; they are sent nowhere.");
    const counts = classes.map(({ train, val }, n) => said?.[n] ?? train + val);
    const most = Math.max(1, ...counts);
    this._list.replaceChildren(
      ...classes.map(({ name, newest }, n) => this._row(name, counts[n], counts[n] / most, newest)),
    );
  }

  _row(name, number, share, newest) {
    const bar = make("span", { class: "bar" });
    bar.style.setProperty("--share", share);
    return make(
      "li",
      {},
      make("span", { class: "class" }, words(name)),
      make("span", { class: "meter" }, bar),
      make("span", { class: "number" }, count(number)),
      make("span", { class: "crops" }, ...newest.map((place) => this._crop(place, name))),
    );
  }

  _crop(place, name) {
    const address = `/api/vehicles/${encodeURIComponent(this._name)}/samples/${place}`;
    return make("img", { src: address, alt: words(name), width: 28, height: 28, loading: "lazy" });
  }
}
