// @ts-check

/**
 * Call again and again, one call after the other, while the page can be seen.
 * @param {() => Promise<number>} call which returns for how many milliseconds to rest
 */
export function poll(call) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer = undefined;
  let running = false;
  const step = async () => {
    if (running || document.hidden) return;
    running = true;
    clearTimeout(timer);
    let rest = 0;
    try {
      rest = await call();
    } finally {
      running = false;
      timer = setTimeout(step, rest);
    }
  };
  document.addEventListener("visibilitychange", () => void step());
  void step();
}
