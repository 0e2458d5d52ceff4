/**
 * The first key that an object of this valid JSON text has twice, or null. JSON.parse keeps the last one
 * silently, so a header could show one tensor to one reader and another to the next.
 */
export function duplicateKey(json: string): string | null {
  // One set of keys for each open object, null for each open array.
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const start = at++;
      while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
      let next = at + 1;
      while (' \t\n\r'.includes(json[next] ?? '-')) next++;
      const keys = open.at(-1);
      if (json[next] !== ':' || !keys) continue;
      const key = JSON.parse(json.slice(start, at + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}
