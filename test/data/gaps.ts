/** Runs something and says how long, in milliseconds, timers had to wait at the most meanwhile. */
export async function longestGap<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly gapMs: number }> {
  let [last, gapMs] = [performance.now(), 0];
  const look = () => {
    gapMs = Math.max(gapMs, performance.now() - last);
    last = performance.now();
  };
  const timer = setInterval(look, 10);
  try {
    return { value: await work(), gapMs };
  } finally {
    clearInterval(timer);
    look();
  }
}
