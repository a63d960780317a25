// Builds elements. What vehicles say is only ever set as text, so none of it can become markup.

/** An element with attributes, and children that are nodes or text. */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function makeSvg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** A table with a heading over each column, and its body. */
export function table(headings, ...rows) {
  const body = make("tbody", {}, ...rows);
  const cells = headings.map((heading) => make("th", { scope: "col" }, heading));
  return [make("table", {}, make("thead", {}, make("tr", {}, ...cells)), body), body];
}

/** Names and values, one to a line: values are text or elements; null ones are left out. */
export function facts(entries) {
  return make(
    "dl",
    { class: "facts" },
    ...Object.entries(entries)
      .filter(([, value]) => value != null)
      .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}

/** Set an element's text, where it is another one: an unchanged cell costs no layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute where it is another one. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export const byId = (id) => document.getElementById(id);
