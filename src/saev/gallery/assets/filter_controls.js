"use strict";
// The controls of the filters; they show the state and change it.

class FilterControls {
  // id of the control -> name in the state, and which of its properties holds the value
  static simple = {
    "filter-search": ["search", "value"],
    "filter-kind": ["kind", "value"],
    "filter-starred": ["isStarred", "checked"],
    "filter-named": ["isNamed", "checked"],
    "filter-verdict": ["verdict", "value"],
    "filter-flag": ["flag", "value"],
    "filter-tag": ["tag", "value"],
    "sort-key": ["sort", "value"],
  };

  // id of the field -> range in the state, which of its ends, and the state's unit in the field's
  static ranges = {
    "frequency-from": ["frequency", 0, 100],
    "frequency-to": ["frequency", 1, 100],
    "value-from": ["meanValue", 0, 1],
    "value-to": ["meanValue", 1, 1],
  };

  constructor(filters) {
    this.filters = filters;
    for (const [id, [name, property]] of Object.entries(FilterControls.simple)) {
      const control = document.getElementById(id);
      control.addEventListener("input", () => filters.set({ [name]: control[property] }));
    }
    for (const [id, [name, end, unit]] of Object.entries(FilterControls.ranges)) {
      const field = document.getElementById(id);
      field.addEventListener("input", () => {
        const range = [...filters.state[name]];
        range[end] = field.value === "" ? null : Number(field.value) / unit;
        filters.set({ [name]: range });
      });
    }
    this.offer(filters.data);
    offerPlaces(filters.data);
    const kinds = document.getElementById("label-kind");
    kinds.append(...filters.data.labelKinds.map(({ kind }, number) => element("option", { value: number }, kind)));
    kinds.addEventListener("input", () => filters.set({ labels: Number(kinds.value) }));
    document.getElementById("label-kinds").hidden = filters.data.labelKinds.length < 2;
    document.getElementById("sort-direction").addEventListener("click", () => {
      const { sort, shuffle, isDescending } = filters.state;
      filters.set(sort === "shuffled" ? { shuffle: shuffle + 1 } : { isDescending: !isDescending });
    });
    document.getElementById("filter-reset").addEventListener("click", () => filters.reset());
    document.getElementById("clear-ranges").addEventListener("click", () => filters.clearRanges());
  }

  /** Offers what this gallery has of seeds. */
  offer({ seeds }) {
    const least = document.getElementById("filter-seeds");
    least.hidden = seeds === null;
    least.addEventListener("input", () => this.filters.set({ seeds: Number(least.value) }));
    if (seeds === null) return;
    least.append(...Array.from({ length: seeds.n }, (_, i) => element("option", { value: i + 1 }, `in ${i + 1 === seeds.n ? "" : "at least "}${i + 1} of ${showCount(seeds.n, "seed")}`)));
    document.getElementById("sort-key").append(element("option", { value: "seeds" }, "seeds"));
  }

  /** Offers the verdicts of tests and of notes, and the tags, that some latent has. */
  offerNoted() {
    const { data, notes, state } = this.filters;
    const said = new Set([...data.verdicts.values()].flat().map(({ standing }) => standing));
    const tested = Object.keys(standings).filter((one) => said.has(one)).map((one) => [one, `${standings[one]} ${one}`]);
    const own = ownVerdicts.filter((one) => notes.verdicts.has(one)).map((one) => [`own:${one}`, `noted as ${one}`]);
    offerChoices("filter-verdict", "any verdict", [...tested, ...own], state.verdict);
    offerChoices("filter-tag", "any tag", [...notes.tags].map(([tag, n]) => [tag, `#${tag} (${n})`]), state.tag);
  }

  /** Shows the state; a field in which someone writes is left alone. */
  show() {
    const { filters } = this;
    this.offerNoted();
    for (const [id, [name, property]] of Object.entries(FilterControls.simple)) {
      const control = document.getElementById(id);
      if (control[property] !== filters.state[name]) control[property] = filters.state[name];
    }
    for (const [id, [name, end, unit]] of Object.entries(FilterControls.ranges)) {
      const field = document.getElementById(id);
      const bound = filters.state[name][end];
      if (field !== document.activeElement) field.value = bound === null ? "" : Number((bound * unit).toPrecision(3));
    }
    document.getElementById("filter-seeds").value = filters.state.seeds;
    document.getElementById("label-kind").selectedIndex = filters.data.labelKinds[filters.state.labels] === undefined ? 0 : filters.state.labels;
    this.showDirection(filters.state);
    document.getElementById("filter-reset").disabled = !filters.isFiltering;
    document.getElementById("clear-ranges").hidden = !filters.hasRanges;
  }

  /** The button turns an order round, or shuffles anew. */
  showDirection({ sort, isDescending }) {
    const direction = document.getElementById("sort-direction");
    const [text, title, name] = sort === "shuffled" ? ["\u21bb", "shuffle anew", "Shuffle anew"]
      : [isDescending ? "\u2193" : "\u2191", isDescending ? "highest first" : "lowest first",
        `Sorted with the ${isDescending ? "highest" : "lowest"} first; turn round`];
    direction.textContent = text;
    direction.title = title;
    direction.setAttribute("aria-label", name);
  }
}

/** The choices of a filter, [[value, text]]; one that is chosen stays, though nothing has it any more. Hidden if there are none. */
function offerChoices(id, any, choices, chosen) {
  const control = document.getElementById(id);
  const all = [["", any], ...choices];
  if (!all.some(([value]) => value === chosen)) all.push([chosen, chosen.replace("own:", "noted as ")]);
  control.hidden = all.length === 1;
  const offered = JSON.stringify(all);
  if (control.dataset.offered === offered) return;
  control.dataset.offered = offered;
  control.replaceChildren(...all.map(([value, text]) => element("option", { value }, text)));
  control.value = chosen;
}
