// @ts-check

/**
 * Call again and again, one call after the other, while the page can be seen.
 * @param {() => Promise<void>} call @param {{every: number}} milliseconds
 */
export function poll(call, { every }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer = undefined;
  let running = false;
  const step = async () => {
    if (running || document.hidden) return;
    running = true;
    try {
      await call();
    } finally {
      running = false;
      clearTimeout(timer);
      timer = setTimeout(step, every);
    }
  };
  document.addEventListener("visibilitychange", () => void step());
  void step();
}
