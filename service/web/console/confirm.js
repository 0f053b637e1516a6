// @ts-check
/** A dialog that says what will happen, and asks whether it should. */
import { el } from "../shared/dom.js";

let last = 0;

/**
 * A field for a whole number within bounds.
 * @param {string} label @param {{value: number, min: number, max: number}} bounds
 */
export function numberField(label, { value, min, max }) {
  last += 1;
  const id = `number-${last}`;
  const input = /** @type {HTMLInputElement} */ (el("input", { id, class: "field", type: "number", required: true, step: 1, value, min, max }));
  return { element: el("div", { class: "labelled" }, el("label", { for: id }, label), input), value: () => input.valueAsNumber };
}

/**
 * Ask; Escape and Cancel mean no. The dialog keeps the focus and gives it back.
 * @param {{title: string, name?: string, lines: string[], action: string,
 *   danger?: boolean, fields?: {element: Element}[]}} what
 * @returns {Promise<boolean>}
 */
export function confirm({ title, name, lines, action, danger = false, fields = [] }) {
  const cancel = el("button", { class: "button", type: "button", autofocus: true, onclick: () => dialog.close() }, "Cancel");
  const form = el(
    "form",
    {},
    el("h2", { id: "confirm-title" }, title),
    name === undefined ? null : el("p", { class: "mono dialog-name", dir: "auto" }, name),
    el("div", { id: "confirm-lines" }, ...lines.map((line) => el("p", {}, line))),
    fields.length > 0 && el("div", { class: "dialog-fields" }, ...fields.map(({ element }) => element)),
    el("div", { class: "dialog-actions" }, cancel, el("button", { class: `button ${danger ? "danger" : "primary"}` }, action)),
  );
  const dialog = /** @type {HTMLDialogElement} */ (
    el("dialog", { class: "dialog", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-lines" }, form)
  );
  const opener = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    let agreed = false;
    form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      agreed = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener instanceof HTMLElement) opener.focus();
      resolve(agreed);
    });
  });
}
