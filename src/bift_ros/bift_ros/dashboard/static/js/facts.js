// Names and values, one to a line.

import { make } from "./dom.js";

/** A list of what is in `entries`: values are text or elements; null ones are left out. */
export function facts(entries) {
  return make(
    "dl",
    { class: "facts" },
    ...Object.entries(entries)
      .filter(([, value]) => value != null)
      .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}
