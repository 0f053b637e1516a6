// @ts-check
/** Dead-letter work: find, choose, redrive or discard, export. */
import { el, setText } from "../shared/dom.js";
import { counted, number, words } from "../shared/format.js";
import { closeLetters } from "./closing.js";
import { LetterFilter } from "./letter_filter.js";
import { LetterSelection, keyOf } from "./letter_selection.js";
import { letterTable } from "./letter_table.js";
import { save } from "./save.js";
import { showingProblems, viewHeading } from "./view.js";

const PAGE_LETTERS = 100;

/** @implements {View} @typedef {import("./view.js").View} View */
export class Letters {
  /** @type {import("./letter_table.js").DeadLetter[]} */
  #rows = [];
  /** Where the pages before this one begin. @type {(string | undefined)[]} */
  #before = [undefined];
  /** @type {string | null} */
  #next = null;
  /** @type {{at: number, total: number, groups: any[]}} */
  #summary = { at: 0, total: 0, groups: [] };
  #shown = "";

  /** @param {HTMLElement} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    this.place = place;
    this.service = service;
    this.filter = new LetterFilter();
    this.selection = new LetterSelection(() => this.#drawSelection());
    this.groups = el("ul", { class: "groups", "aria-label": "By type and reason" });
    this.progress = el("div", { class: "said" });
    this.whole = /** @type {HTMLInputElement} */ (
      el("input", { type: "checkbox", id: "choose-page", onchange: () => this.selection.set(this.#rows, this.whole.checked) })
    );
    this.chosen = el("span", { id: "chosen", role: "status" });
    this.everything = this.#button("", () => this.selection.chooseAll(), "quiet");
    this.redrive = this.#button("Redrive…", () => this.#close("redrive"), "primary");
    this.discard = this.#button("Discard…", () => this.#close("discard"));
    this.exporting = this.#button("Export", () => this.#export());
    this.newer = this.#button("Newer", () => this.#turn(-1));
    this.older = this.#button("Older", () => this.#turn(1));
    const list = el("div", { id: "letter-list" });
    const card = el("section", { class: "card" }, this.filter.element, this.groups, this.#toolbar(), this.progress, list, this.#pager());
    place.append(viewHeading("Dead letters"), card);
    this.table = letterTable(list, { title: "Letters", choice: (row) => this.#choice(row), empty: "None: nothing was given up." });
  }

  /** @param {import("./view.js").Route} route */
  async show(route) {
    this.filter.read(route);
    this.#before = [undefined];
    this.#shown = "";
    this.selection.clear();
    this.progress.replaceChildren();
    await this.#load();
  }

  async refresh() {
    const summary = await this.#summarised();
    this.#drawSummary(summary);
    // Somebody may be choosing: the list stays what it is meanwhile.
    const idle = this.selection.size === 0 && !this.selection.all && this.#before.length === 1;
    if (idle && told(summary) !== this.#shown) await this.#load();
  }

  async #load() {
    const { filter, state } = this.filter;
    const summary = await this.#summarised();
    const answer = await this.service.get("/v1/dead-letters", { ...filter, state, limit: PAGE_LETTERS, before: this.#before.at(-1) });
    if (filter !== this.filter.filter) return; // another one was asked for meanwhile
    this.#shown = told(summary);
    this.#rows = answer.dead_letters;
    this.#next = answer.next;
    this.#drawSummary(summary);
    this.table.show(this.#rows, summary.total);
    this.#drawSelection();
  }

  async #summarised() {
    const { filter, state } = this.filter;
    return await this.service.get("/v1/dead-letters/summary", { ...filter, state });
  }

  /** @param {"redrive" | "discard"} way */
  async #close(way) {
    const { filter } = this.filter;
    const wanted = this.selection.all
      ? { filter: { ...filter, before: this.#summary.at }, count: this.#summary.total }
      : { names: this.selection.names };
    if (!(await closeLetters(this.service, this.progress, way, wanted))) return;
    this.selection.clear();
    await this.#load();
  }

  async #export() {
    const { filter, state } = this.filter;
    await showingProblems(this.progress, async () => {
      const query = new URLSearchParams({ ...filter, state });
      const blob = await this.service.file(`/v1/dead-letters/export?${query}`);
      save(blob, "dead-letters.ndjson");
      this.progress.replaceChildren(el("p", { role: "status" }, "Exported to dead-letters.ndjson."));
    });
  }

  /** @param {1 | -1} by */
  async #turn(by) {
    if (by > 0) this.#before.push(this.#next ?? undefined);
    else this.#before.pop();
    await showingProblems(this.progress, () => this.#load());
  }

  #toolbar() {
    return el(
      "div",
      { class: "toolbar", role: "group", "aria-label": "With the chosen letters" },
      el("label", { class: "choose-page", for: "choose-page" }, this.whole, el("span", {}, "This page")),
      this.everything,
      this.chosen,
      el("span", { class: "space" }),
      this.redrive,
      this.discard,
      this.exporting,
    );
  }

  #pager() {
    return el("div", { class: "pager", role: "group", "aria-label": "Pages" }, this.newer, this.older);
  }

  /** @param {import("./letter_table.js").DeadLetter} row */
  #choice(row) {
    const box = /** @type {HTMLInputElement} */ (el("input", {
      type: "checkbox",
      class: "choice-of-letter",
      "data-key": keyOf(row),
      "aria-label": `Choose event ${row.event_id} of ${row.user_id}`,
      disabled: row.state !== "open",
      onchange: (event) => this.selection.set([row], /** @type {HTMLInputElement} */ (event.target).checked),
    }));
    box.checked = this.selection.has(row);
    return box;
  }

  /** @param {{at: number, total: number, groups: any[]}} summary */
  #drawSummary(summary) {
    this.#summary = summary;
    const changed = told(summary) !== this.groups.dataset["told"];
    this.groups.dataset["told"] = told(summary);
    if (changed) this.groups.replaceChildren(...summary.groups.map((group) => this.#group(group)));
    this.#drawSelection();
  }

  /** @param {{type: string | null, reason: string, count: number}} group */
  #group({ type, reason, count }) {
    const narrow = () => this.filter.go({ ...this.filter.filter, reason, ...(type === null ? {} : { type }) });
    const text = [el("strong", {}, number(count)), el("span", { class: "muted", dir: "auto" }, words(type ?? "no longer kept")), el("span", { class: "group-reason", dir: "auto" }, reason)];
    return el("li", {}, el("button", { class: "group", type: "button", title: reason, onclick: narrow }, ...text));
  }

  #drawSelection() {
    const { all, size } = this.selection;
    const { total } = this.#summary;
    const open = this.#rows.filter((row) => row.state === "open");
    const several = this.filter.state === "open" || this.filter.state === "any";
    const count = all ? total : size;
    setText(this.chosen, count === 0 ? "Nothing chosen" : all ? `All ${counted(total, "letter")} of this filter chosen` : `${number(size)} chosen`);
    setText(this.everything, `All ${number(total)} of this filter`);
    this.everything.toggleAttribute("hidden", total === 0 || this.filter.state !== "open" || all);
    for (const button of [this.redrive, this.discard]) button.toggleAttribute("disabled", count === 0 || !several);
    this.exporting.toggleAttribute("disabled", total === 0);
    this.whole.disabled = open.length === 0;
    this.whole.checked = open.length > 0 && (all || open.every((row) => this.selection.has(row)));
    const known = new Map(this.#rows.map((row) => [keyOf(row), row]));
    for (const box of this.place.querySelectorAll(".choice-of-letter")) {
      const row = box instanceof HTMLInputElement ? known.get(box.dataset["key"] ?? "") : undefined;
      if (row !== undefined) /** @type {HTMLInputElement} */ (box).checked = row.state === "open" && (all || this.selection.has(row));
    }
    this.newer.toggleAttribute("disabled", this.#before.length === 1);
    this.older.toggleAttribute("disabled", this.#next === null);
  }

  /** @param {string} text @param {() => unknown} act @param {string} [kind] */
  #button(text, act, kind = "") {
    return el("button", { class: `button ${kind}`.trim(), type: "button", onclick: () => void act() }, text);
  }
}

/** @param {{total: number, groups: any[]}} summary */
function told({ total, groups }) {
  return JSON.stringify([total, groups]);
}
