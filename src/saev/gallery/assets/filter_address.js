"use strict";
// The filters and the order of the list as part of the address, so that a link shows the same list.

/** The name in the address of a part of the filters' state: `isStarred` is `starred`. */
const addressName = (name) => name.replace(/^is([A-Z])/, (_, letter) => letter.toLowerCase());

/** How a part of the state stands in the address. */
function addressText(value) {
  if (Array.isArray(value)) return value.map((bound) => bound ?? "").join("..");
  return typeof value === "boolean" ? String(Number(value)) : String(value);
}

/** The value of a part of the state, of the same kind as `initial`, from its text; undefined if it is none. */
function addressValue(text, initial) {
  const number = (part) => (/^-?\d+(\.\d+)?(e-?\d+)?$/.test(part) ? Number(part) : undefined);
  if (Array.isArray(initial)) {
    const bounds = text.split("..").map((part) => (part === "" ? null : number(part)));
    return bounds.length === 2 && !bounds.includes(undefined) ? bounds : undefined;
  }
  if (typeof initial === "boolean") return { 0: false, 1: true }[text];
  return typeof initial === "number" ? number(text) : text;
}

/** Keeps filters and the address the same while the overview is shown; changes make no new step in the history. */
class FilterAddress {
  static wait = 200; // ms; browsers slow pages down that write more often

  constructor(filters, isShown) {
    Object.assign(this, { filters, isShown });
    /** Whether the address is that of a page that was loaded again; those that come later are not. */
    this.isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
    // Whoever goes to another view has written first.
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => this.flush(), true);
  }

  /** Takes over what the address says; one that says nothing of filters leaves them as they are. */
  read(params) {
    const { filters } = this;
    if (this.isReload) return; // what the tab remembers is as new, or newer than what could be written
    const names = Object.keys(filters.initial).filter((name) => params[addressName(name)] !== undefined);
    if (names.length === 0) return;
    const state = { ...filters.initial };
    for (const name of names) {
      const value = addressValue(params[addressName(name)], filters.initial[name]);
      if (value !== undefined) state[name] = filters.known({ ...filters.initial, [name]: value })[name] ?? filters.initial[name];
    }
    if (!isSame(state, filters.state)) filters.set(state);
  }

  /** Writes the filters into the address, soon. */
  write() {
    this.timer ??= setTimeout(() => this.flush(), FilterAddress.wait);
  }

  flush() {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.isShown()) return;
    const { state, initial } = this.filters;
    const params = new URLSearchParams(location.hash.slice(1)); // others may stand there, too
    for (const [name, value] of Object.entries(initial)) {
      if (isSame(state[name], value)) params.delete(addressName(name));
      else params.set(addressName(name), addressText(state[name]));
    }
    const hash = `#${params}`;
    if (hash !== (location.hash || "#")) history.replaceState(history.state, "", hash);
  }
}
