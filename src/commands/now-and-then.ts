/** The newest line every two seconds: a shard of pictures takes minutes, and a small one is no news. */
export function nowAndThen(tell: (line: string) => void): (line: string) => void {
  let told = performance.now();
  return (line) => {
    if (performance.now() - told < 2000) return;
    told = performance.now();
    tell(line);
  };
}
