// @ts-check
// The browser's machine runs the same vectors as the Python one.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { Device } from "../../../service/web/client/device.js";
import { GarbledError, parse } from "../../../service/web/client/frames.js";

const folder = process.env.VECTORS
  ? new URL(`file://${process.env.VECTORS}/`)
  : new URL("../../vectors/", import.meta.url);

/** @type {Record<string, (device: Device, given: any, now: number) => any>} */
const inputs = {
  frame: (device, given, now) => message(device, JSON.stringify(given), now),
  message,
  connecting: (device) => device.connecting(),
  opened: (device, { ticket }, now) => device.opened(now, ticket),
  closed: (device, { code, u }, now) => device.closed(code, now, u),
  move_failed: (device, { code }) => device.moveFailed(code),
  stop: (device, { code, reason }) => device.stop(code, reason),
  pause: (device) => device.pause() ?? [],
  leave: (device) => device.leave(),
  handled: (device, _, now) => device.handled(now),
  refused: (device, { reason, final }, now) => device.refused(reason, now, final),
  tick: (device, _, now) => device.tick(now),
  cancel: (device, { run }) => device.cancel(run),
  renew: (device, { ticket }) => device.renew(ticket),
};

/** @param {Device} device @param {string} text @param {number} now */
function message(device, text, now) {
  try {
    return parse(text).flatMap((frame) => device.receive(frame, now));
  } catch (error) {
    if (!(error instanceof GarbledError)) throw error;
    return device.garbled();
  }
}

/** @param {any} action */
function plain(action) {
  const { do: what, event, ...rest } = action;
  if (what === "handle") return { do: what, seq: event.seq, attempt: event.attempt ?? 1 };
  if (what === "ephemeral") return { do: what, type: event.type };
  if (what !== "state" && what !== "reconnect") return action;
  const kept = Object.entries(rest).filter(([key, value]) => value || key === "delay");
  return { do: what, ...Object.fromEntries(kept) };
}

for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith(".json")) continue;
  for (const script of JSON.parse(readFileSync(new URL(file, folder), "utf8"))) {
    test(`${file.slice(0, -5)}: ${script.promise}`, () => {
      const { device: id, ...options } = script.device;
      const device = new Device(id, options);
      script.steps.forEach((/** @type {any} */ step, /** @type {number} */ index) => {
        const [[name, given]] = Object.entries(step.in);
        const actions = inputs[name](device, given, step.at);
        const actual = {
          out: actions.map(plain),
          cursor: device.cursor,
          state: device.state,
          tick: device.nextTick(),
        };
        const { at, in: _in, ...expected } = step;
        assert.deepEqual(actual, expected, `step ${index}: ${JSON.stringify(step.in)}`);
      });
    });
  }
}
