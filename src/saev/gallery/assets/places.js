"use strict";
// How far each entry of the tab's history was scrolled, so that going back finds the same place, also after a reload.

class Places {
  constructor(key) {
    this.key = key;
    this.scrolls = new Map(recallValue("sessionStorage", key) ?? []);
    this.isReplacing = false;
    history.scrollRestoration = "manual"; // the browser restores before the list is there
    addEventListener("pagehide", () => {
      this.leave();
      keep("sessionStorage", key, JSON.stringify([...this.scrolls].slice(-100)));
    });
  }

  /** Remembers how far the current entry is scrolled. */
  leave() {
    if (this.current !== undefined) this.scrolls.set(this.current.entry, scrollY);
  }

  /** Takes over the entry that is now current; gives how far it was scrolled, undefined if it is new. */
  enter() {
    if (history.state?.entry === undefined) {
      const depth = (this.current?.depth ?? -1) + (this.isReplacing ? 0 : 1);
      history.replaceState({ entry: performance.timeOrigin + performance.now(), depth }, "");
    }
    this.isReplacing = false;
    this.current = history.state;
    return this.scrolls.get(this.current.entry);
  }

  /** Loads the page anew for the current entry, which it then shows from its top. */
  reload() {
    this.current = undefined;
    location.reload();
  }

  /** Goes to a hash in place of the current entry, so that one step back leaves however many were leafed through. */
  replace(hash) {
    this.isReplacing = true;
    location.replace(hash);
  }

  /** One step back, or to the overview if this entry is the first one. */
  back() {
    if (this.current.depth > 0) history.back();
    else location.hash = "";
  }
}
