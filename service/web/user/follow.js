// @ts-check
import { byId } from "../shared/dom.js";

const CLOSE_PIXELS = 120;

/**
 * Keep the end of the page in view while the user reads there; elsewhere the page
 * stays where it is, and a button leads to the end.
 * @param {Element} content what grows
 */
export function followEnd(content) {
  const button = byId("latest");
  let following = true;
  const toEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });
  const watcher = new IntersectionObserver(
    ([end]) => {
      following = end.isIntersecting;
      button.hidden = following;
    },
    { rootMargin: `0px 0px ${CLOSE_PIXELS}px` },
  );
  const look = () => {
    watcher.unobserve(byId("end"));
    watcher.observe(byId("end")); // says at once whether the end is in view
  };
  // In a frame, sizes are told before what is in view: what has grown is followed first.
  new ResizeObserver(() => following && toEnd()).observe(content);
  // Who opens something wants to see its beginning, not the end of the page.
  content.addEventListener("click", () => {
    following = false;
    look();
  });
  look();
  button.addEventListener("click", () => {
    following = true;
    toEnd();
  });
}
