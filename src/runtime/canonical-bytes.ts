import { createHash } from 'node:crypto';
import { canonicalJson } from './hash.ts';
import { turns } from './turns.ts';

const pieceCharacters = 256 * 1024;

/**
 * `canonicalJson` of a value as bytes, with their sha256, made piece by piece: what is as large as the index of millions of
 * examples is no one string, and whatever else the process does goes on meanwhile. Lists are made by their elements down
 * to the fourth level.
 */
export async function canonicalBytes(value: unknown): Promise<{ readonly bytes: Buffer; readonly sha256: string }> {
  const turn = turns();
  const hash = createHash('sha256');
  const parts: Buffer[] = [];
  let text = '';
  const flush = () => {
    const part = Buffer.from(text);
    hash.update(part);
    parts.push(part);
    text = '';
  };
  for (const piece of piecesOf(value, 4)) {
    text += piece;
    if (text.length < pieceCharacters) continue;
    flush();
    await turn();
  }
  flush();
  return { bytes: Buffer.concat(parts), sha256: hash.digest('hex') };
}

function* piecesOf(value: unknown, levels: number): Generator<string> {
  if (levels === 0 || value === null || typeof value !== 'object') {
    yield canonicalJson(value);
    return;
  }
  let before = '';
  if (Array.isArray(value)) {
    yield '[';
    for (const element of value) {
      yield before;
      yield* piecesOf(element, levels - 1);
      before = ',';
    }
    yield ']';
    return;
  }
  yield '{';
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  for (const [name, field] of fields.sort(([a], [b]) => (a < b ? -1 : 1))) {
    yield `${before}${JSON.stringify(name)}:`;
    yield* piecesOf(field, levels - 1);
    before = ',';
  }
  yield '}';
}
