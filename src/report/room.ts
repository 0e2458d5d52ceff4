/**
 * The parts of a section for which there is room, in their order, and a line that says how many were left out: no document of a
 * bucket makes a page that can't be opened. One part alone is small by the bounds of its own.
 */
export function withinRoom(parts: readonly string[], bytes: number): string {
  const said = parts.filter((part) => part !== '');
  const kept: string[] = [];
  let left = bytes;
  for (const part of said) {
    left -= Buffer.byteLength(part);
    if (left < 0) break;
    kept.push(part);
  }
  const missing = said.length - kept.length;
  return [...kept, ...(missing > 0 ? [`<p>${missing} more are not shown: the page would be too large.</p>`] : [])].join(
    '\n',
  );
}
