// Numbers as people read them. Whatever is unknown is a dash.

export const NONE = "–";

const known = (value) => Number.isFinite(value);
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value) => (known(value) ? grouped.format(value) : NONE);

export const percent = (share, digits = 1) =>
  known(share) ? `${(100 * share).toFixed(digits)} %` : NONE;

export const decimal = (value, digits = 3) => (known(value) ? value.toFixed(digits) : NONE);

export function bytes(value) {
  if (!known(value)) return NONE;
  let unit = 0;
  while (value >= 999.5 && unit < 4) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

export function seconds(value) {
  if (!known(value)) return NONE;
  if (value >= 90) return `${(value / 60).toFixed(value < 570 ? 1 : 0)} min`;
  return `${value.toFixed(value < 9.95 ? 1 : 0)} s`;
}

export const shortHash = (hash) => (hash ? hash.slice(0, 10) : NONE);

/** The time of day, from milliseconds since the epoch. */
export const time = (milliseconds) =>
  new Date(milliseconds).toLocaleTimeString("en-GB", { hour12: false });

/** "1 block", "2 blocks". */
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** A name of the code, such as model_update, as words. */
export const words = (name) => name.replaceAll("_", " ");
