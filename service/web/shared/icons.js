// @ts-check
import { svg } from "./dom.js";

/** Outlines on a grid of 24, drawn for this project. */
const PATHS = Object.freeze({
  dot: ["M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z"],
  chevron: ["M9 6l6 6-6 6"],
  tool: ["M14.5 6.5a4 4 0 0 0-5 5L4 17v3h3l5.5-5.5a4 4 0 0 0 5-5L15 12l-3-3z"],
  thought: ["M12 3.5l1.8 5.200 5.200 1.8-5.200 1.8L12 17.5l-1.8-5.200L5 10.5l5.200-1.8z", "M19 16v4", "M17 18h4"],
  flag: ["M6 21V4", "M6 5h11l-2 3.5 2 3.5H6"],
  warning: ["M12 4L2.8 20h18.400z", "M12 10v4.5", "M12 17.300v.1"],
  info: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M12 11v5.5", "M12 7.600v.1"],
  stop: ["M7 7h10v10H7z"],
});

/**
 * An icon that says nothing to a screen reader: its neighbour or label does.
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const paths = PATHS[name].map((d) => svg("path", { d }));
  return svg("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, ...paths);
}
