// @ts-check
/**
 * Building pages out of untrusted text: elements and text nodes, never markup.
 *
 * @typedef {string | Node | null | undefined | false} Child
 * @typedef {Record<string, string | number | boolean | null | undefined | EventListener>} Attributes
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * A new element. `onclick` and the like are listeners, `true` is an attribute without
 * a value, `false` and null leave it out.
 * @param {string} name @param {Attributes} attributes @param {Child[]} children
 */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/**
 * A new element of SVG.
 * @param {string} name @param {Attributes} attributes @param {Child[]} children
 */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/**
 * The element that the page must have.
 * @param {string} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Change an element's text; the same text again does not touch the page.
 * @param {Element} element @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Run the latest of many calls once, with the next frame that is painted.
 * @param {() => void} paint
 */
export function nextFrame(paint) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  };
}

/**
 * @template {Element} T
 * @param {T} element @param {Attributes} attributes @param {Child[]} children
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  for (const child of children) if (child) element.append(child);
  return element;
}
