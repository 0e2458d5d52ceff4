import { type Plain, Refused, type Source, values } from './pickle-values.ts';

/** What a pickle would have Python do, which is never done here. */
const refused: Readonly<Record<number, string>> = {
  99: 'GLOBAL',
  147: 'STACK_GLOBAL',
  82: 'REDUCE',
  98: 'BUILD',
  105: 'INST',
  111: 'OBJ',
  129: 'NEWOBJ',
  146: 'NEWOBJ_EX',
  80: 'PERSID',
  81: 'BINPERSID',
  130: 'EXT1',
  131: 'EXT2',
  132: 'EXT4',
};

const mark = Symbol('mark');
type Item = Plain | typeof mark;

/**
 * Reads lists, dictionaries, tuples, texts and numbers of a pickle of any protocol, such as RefCOCO's refs(unc).p. Nothing is
 * executed: whatever names code, or asks for an object of a class, ends the reading with a sentence that says what and where.
 * Memory: that of the values; no recursion. Texts of Python 2 are taken for UTF-8, and where they are not for Latin-1.
 */
export function readPickle(bytes: Buffer): { readonly value: Plain } | { readonly fault: string } {
  try {
    return { value: new Reader(bytes).run() };
  } catch (error) {
    if (error instanceof Refused) return { fault: error.message };
    if (error instanceof RangeError) return { fault: 'the pickle breaks off' };
    throw error;
  }
}

class Reader implements Source {
  #at = 0;
  readonly #bytes: Buffer;
  readonly #stack: Item[] = [];
  readonly #memo = new Map<number, Plain>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  run(): Plain {
    for (;;) {
      const at = this.#at;
      const code = this.#take(1)[0]!;
      if (code === 0x2e) return this.#pop();
      if (Object.hasOwn(refused, code))
        throw new Refused(
          `the pickle asks for code to be run (${refused[code]} at byte ${at}); only plain data is read`,
        );
      if (!this.#value(code) && !this.#collect(code) && !this.#remember(code))
        throw new Refused(`the pickle has something that is not known, ${code} at byte ${at}`);
    }
  }

  /** What puts a value onto the stack. */
  #value(code: number): boolean {
    const read = values[code];
    if (!read) return false;
    this.#stack.push(read(this));
    return true;
  }

  #collect(code: number): boolean {
    switch (String.fromCharCode(code)) {
      case '(':
        this.#stack.push(mark);
        return true;
      case ']':
        this.#stack.push([]);
        return true;
      case ')':
        this.#stack.push([]);
        return true;
      case '}':
        this.#stack.push(Object.create(null) as { [key: string]: Plain });
        return true;
      case 'l':
      case 't':
        this.#stack.push(this.#marked());
        return true;
      case 'd':
        this.#stack.push(fill(Object.create(null) as { [key: string]: Plain }, this.#marked()));
        return true;
      case '\x85':
      case '\x86':
      case '\x87': {
        const items = Array.from({ length: code - 0x84 }, () => this.#pop());
        this.#stack.push(items.reverse());
        return true;
      }
      case 'a': {
        const item = this.#pop();
        this.#list().push(item);
        return true;
      }
      case 'e': {
        const items = this.#marked();
        const list = this.#list();
        for (const item of items) list.push(item);
        return true;
      }
      case 's': {
        const value = this.#pop();
        const key = this.#pop();
        fill(this.#dictionary(), [key, value]);
        return true;
      }
      case 'u': {
        const items = this.#marked();
        fill(this.#dictionary(), items);
        return true;
      }
      case '0':
        this.#stack.pop();
        return true;
      case '1':
        this.#marked();
        return true;
      case '2':
        this.#stack.push(this.#top());
        return true;
      default:
        return false;
    }
  }

  /** What is written once and used again. */
  #remember(code: number): boolean {
    switch (code) {
      case 0x80: // PROTO
        this.#take(1);
        return true;
      case 0x95: // FRAME
        this.#take(8);
        return true;
      case 0x70: // PUT
        return this.#put(Number(this.line()));
      case 0x71: // BINPUT
        return this.#put(this.unsigned(1));
      case 0x72: // LONG_BINPUT
        return this.#put(this.unsigned(4));
      case 0x94: // MEMOIZE
        return this.#put(this.#memo.size);
      case 0x67: // GET
        return this.#get(Number(this.line()));
      case 0x68: // BINGET
        return this.#get(this.unsigned(1));
      case 0x6a: // LONG_BINGET
        return this.#get(this.unsigned(4));
      default:
        return false;
    }
  }

  #put(at: number): boolean {
    this.#memo.set(at, this.#top());
    return true;
  }

  #get(at: number): boolean {
    const value = this.#memo.get(at);
    if (value === undefined) throw new Refused(`the pickle uses value ${at} before it is there`);
    this.#stack.push(value);
    return true;
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw new RangeError();
    return this.#take(end + 1 - this.#at)
      .toString('latin1')
      .replace(/\r?\n$/, '');
  }

  bytes(length: number): Buffer {
    return this.#take(length);
  }

  /** Little-endian; of eight bytes as much as JavaScript counts exactly. */
  unsigned(width: number): number {
    if (width <= 4) return this.#take(width).readUIntLE(0, width);
    const value = this.#take(8).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError();
    return Number(value);
  }

  #top(): Plain {
    const item = this.#stack.at(-1);
    if (item === undefined || item === mark) throw new Refused('the pickle is damaged: a value is missing');
    return item;
  }

  #pop(): Plain {
    const item = this.#top();
    this.#stack.pop();
    return item;
  }

  #marked(): Plain[] {
    const from = this.#stack.lastIndexOf(mark);
    if (from < 0) throw new Refused('the pickle is damaged: a mark is missing');
    const items = this.#stack.splice(from) as Plain[];
    items.shift();
    return items;
  }

  #list(): Plain[] {
    const top = this.#top();
    if (!Array.isArray(top)) throw new Refused('the pickle is damaged: a list is missing');
    return top;
  }

  #dictionary(): { [key: string]: Plain } {
    const top = this.#top();
    if (typeof top !== 'object' || top === null || Array.isArray(top) || Buffer.isBuffer(top))
      throw new Refused('the pickle is damaged: a dictionary is missing');
    return top;
  }
}

function fill(into: { [key: string]: Plain }, items: readonly Plain[]): { [key: string]: Plain } {
  if (items.length % 2 !== 0) throw new Refused('the pickle is damaged: a key has no value');
  for (let i = 0; i < items.length; i += 2) {
    const key = items[i];
    if (typeof key !== 'string' && typeof key !== 'number')
      throw new Refused('a dictionary of the pickle has a key that is no text');
    into[String(key)] = items[i + 1]!;
  }
  return into;
}
