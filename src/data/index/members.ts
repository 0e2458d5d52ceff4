import { number } from '../../runtime/count-text.ts';
import { printable, unprintable } from '../../runtime/printable.ts';
import { turns } from '../../runtime/turns.ts';
import type { TarFault, TarMember } from './tar.ts';
import type { ByteRange, CorruptMember, ExampleEntry, MemberMapping, PixelKind } from './types.ts';

const imageExtensions: ReadonlySet<string> = new Set(['png', 'jpg', 'jpeg', 'webp', 'gif', 'avif', 'tif', 'tiff']);
const longestName = 512;

export const isImage = (extension: string) => imageExtensions.has(extension);

type Part = 'image' | 'meta' | 'class' | PixelKind;

/** Extension of the member with a value a pixel. */
export const pixelExtension = (kind: PixelKind) => `${kind}.png`;

/** Extension of the member that says what is to be seen. */
export function metaExtension(read: MemberMapping | undefined): string {
  if (read === undefined || read.captions === 'json') return 'json';
  return read.captions === 'class' ? read.class! : 'txt';
}

/** Of the member with the class, where that is another one. */
export const classExtension = (read: MemberMapping | undefined) =>
  read?.captions === 'class' ? undefined : read?.class;

/** As reasons call a member. */
export const memberName = (extension: string) => (extension === 'json' ? 'JSON' : extension);

/**
 * Joins the members of a shard to examples: an image, and what the mapping asks for beside it. What is wrong with one is
 * told once; members of other kinds are passed over. `pixels`: which members with a value a pixel are looked for; an example
 * may have none.
 */
export async function joinMembers(
  shard: string,
  members: readonly (TarMember | TarFault)[],
  read: MemberMapping | undefined,
  pixels: readonly PixelKind[] = [],
): Promise<{ examples: ExampleEntry[]; corrupt: CorruptMember[] }> {
  const [metaKind, classKind] = [metaExtension(read), classExtension(read)];
  const pixelsBy = new Map(pixels.map((kind) => [pixelExtension(kind), kind]));
  const partOf = (extension: string): Part | null => {
    if (extension === metaKind) return 'meta';
    if (extension === classKind) return 'class';
    return isImage(extension) ? 'image' : (pixelsBy.get(extension) ?? null);
  };
  const nameOf = (part: Part) =>
    part === 'meta' ? memberName(metaKind) : part === 'class' ? memberName(classKind!) : part;
  const corrupt: CorruptMember[] = [];
  const refuse = (name: string, reason: string) => corrupt.push({ shard, name: printable(name), reason });
  const found = new Map<string, Partial<Record<Part, ByteRange>> & { fault?: string }>();
  const turn = turns();
  for (const member of members) {
    await turn();
    const { name, extension } = splitName(member.name);
    const part = partOf(extension);
    if (part === null) {
      if ('fault' in member) refuse(member.name, member.fault);
      continue;
    }
    // All members of an example have their faults in one place: it is counted once.
    const known = name.length > 2 * longestName ? printable(name) : name;
    const own = found.get(known) ?? {};
    found.set(known, own);
    const fault = 'fault' in member ? member.fault : unsafe(member.name, name);
    if (fault !== null) own.fault ??= fault;
    else if (own[part]) own.fault ??= `more than one ${nameOf(part)} member`;
    else if ('size' in member && member.size === 0) own.fault ??= `empty ${extension} member`;
    if (fault === null && 'offset' in member) own[part] ??= { offset: member.offset, size: member.size };
  }
  const examples: ExampleEntry[] = [];
  for (const [name, { image, meta, class: of, fault, ...beside }] of found) {
    if (fault) refuse(name, fault);
    else if (!image || !meta) refuse(name, `no ${nameOf(image ? 'meta' : 'image')} member`);
    else if (classKind !== undefined && !of) refuse(name, `no ${nameOf('class')} member`);
    else examples.push({ name, image, meta, ...(of && { class: of }), ...(pixels.length > 0 && { pixels: beside }) });
  }
  return { examples, corrupt };
}

/** The bytes from the first of these members to the last, and what lies between them. */
export function spanOf(members: readonly (ByteRange | undefined)[]): ByteRange {
  const there = members.filter((member) => member !== undefined);
  const offset = Math.min(...there.map((member) => member.offset));
  return { offset, size: Math.max(...there.map((member) => member.offset + member.size)) - offset };
}

/** Kinds that are told apart: names of strangers may end in anything. */
const mostKinds = 50;

/** Members by what they end in, most first, as it may stand in a report: "1,000 .jpg". */
export class KindsSeen {
  readonly #counts = new Map<string, number>();

  add(path: string): void {
    this.#count(kindOfFile(path), 1);
  }

  /** What another has seen. */
  merge(counts: readonly (readonly [kind: string, files: number])[]): void {
    for (const [kind, files] of counts) this.#count(kind, files);
  }

  #count(kind: string, files: number): void {
    const known = this.#counts.has(kind) || this.#counts.size < mostKinds;
    const counted = known ? kind : 'others';
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + files);
  }

  /** Most first. */
  get counts(): [kind: string, files: number][] {
    return [...this.#counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  }

  /** Null where nothing was seen. */
  get words(): string | null {
    const shown = this.counts.slice(0, 8).map(([kind, files]) => `${number(files)} ${kind}`);
    const left = this.counts.length - shown.length;
    return shown.length === 0 ? null : shown.join(', ') + (left > 0 ? ` and ${left} other kinds` : '');
  }
}

function kindOfFile(path: string): string {
  const { extension } = splitName(path);
  return extension === '' ? 'without an ending' : `.${printable(extension.slice(0, 20))}`;
}

/** WebDataset's rule: folder and base name up to the first dot, and the rest. */
export function splitName(path: string): { name: string; extension: string } {
  const base = path.lastIndexOf('/') + 1;
  const dot = path.indexOf('.', base);
  const end = dot === -1 ? path.length : dot;
  return { name: path.slice(0, end).replace(/^(\.\/)+/, ''), extension: path.slice(end + 1).toLowerCase() };
}

/** Names are never used as paths here; but who reads reports and exports may, so odd ones are left out. */
function unsafe(path: string, name: string): string | null {
  const characters = path.length > longestName ? [...path].length : path.length;
  if (characters > longestName) return `name of ${characters} characters, at most ${longestName}`;
  if (name.length === 0) return 'name is empty';
  if (/^[/\\]|^[A-Za-z]:[/\\]/.test(path)) return 'name is an absolute path';
  if (path.includes('\\')) return 'name has a backslash';
  if (path.split('/').includes('..')) return 'name leads out of its folder';
  if (path.replace(unprintable, '') !== path)
    return 'name has control characters, or marks that turn the direction of text';
  return null;
}
