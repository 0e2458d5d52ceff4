/** A list of texts and numbers as Python prints it, ['a', "it's", 3], which tables of pandas have in a field; null where it is none. */
export function pythonList(text: string): (string | number)[] | null {
  const body = /^\s*\[(.*)\]\s*$/s.exec(text)?.[1];
  if (body === undefined || body.length > 100_000) return null;
  const items: (string | number)[] = [];
  const item = /\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d+)?))\s*(,|$)/sy;
  let at = 0;
  while (body.slice(at).trim() !== '') {
    item.lastIndex = at;
    const found = item.exec(body);
    if (!found) return null;
    const said = found[1] ?? found[2];
    items.push(said === undefined ? Number(found[3]) : said.replace(/\\(.)/gs, '$1'));
    at = item.lastIndex;
  }
  return items;
}
