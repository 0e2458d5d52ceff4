/** Plain data of a pickle. Keys of dictionaries are strings; objects have no prototype. */
export type Plain = null | boolean | number | string | Buffer | Plain[] | { [key: string]: Plain };

/** Why a pickle is not read, as a sentence. */
export class Refused extends Error {}

/** Where values are read from. Each method throws a RangeError where the bytes end. */
export interface Source {
  /** Without its end. */
  line(): string;
  bytes(length: number): Buffer;
  unsigned(width: number): number;
}

function text(bytes: Buffer): string {
  const utf8 = bytes.toString('utf8');
  return utf8.includes('\ufffd') ? bytes.toString('latin1') : utf8;
}

/** Two's complement of any width, little-endian; what JavaScript can't count exactly is rounded. */
function long(bytes: Buffer): number {
  // Numbers of a thousand bytes are none that data has, and take time with the square of their length.
  if (bytes.length > 1024) throw new Refused(`the pickle has a number of ${bytes.length} bytes`);
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  if (bytes.length > 0 && bytes.at(-1)! >= 128) value -= 1n << BigInt(8 * bytes.length);
  return Number(value);
}

/** A Python 2 text as its repr: in quotes, with escapes. */
function fromRepr(line: string): string {
  const quote = line[0];
  if ((quote !== "'" && quote !== '"') || line.length < 2 || line.at(-1) !== quote)
    throw new Refused('the pickle is damaged: a text has no quotes');
  const plain: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' };
  const latin1 = line
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|.)/g, (whole, said: string) =>
      said.length === 3 ? String.fromCharCode(Number.parseInt(said.slice(1), 16)) : (plain[said] ?? whole),
    );
  return text(Buffer.from(latin1, 'latin1'));
}

const rawUnicode = (line: string) =>
  line.replace(/\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g, (whole, short?: string, wide?: string) => {
    const code = Number.parseInt(short ?? wide ?? '', 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });

function integer(line: string): Plain {
  if (line === '00') return false;
  if (line === '01') return true;
  if (!/^-?\d{1,400}L?$/.test(line)) throw new Refused("the pickle is damaged: a number can't be read");
  return Number(line.replace('L', ''));
}

/** What puts a value onto the stack, by the number of its operation. */
export const values: Readonly<Record<number, (from: Source) => Plain>> = {
  78: () => null, // NONE
  136: () => true, // NEWTRUE
  137: () => false, // NEWFALSE
  73: (from) => integer(from.line()), // INT
  76: (from) => integer(from.line()), // LONG
  74: (from) => from.bytes(4).readInt32LE(), // BININT
  75: (from) => from.unsigned(1), // BININT1
  77: (from) => from.unsigned(2), // BININT2
  138: (from) => long(from.bytes(from.unsigned(1))), // LONG1
  139: (from) => long(from.bytes(from.unsigned(4))), // LONG4
  70: (from) => Number(from.line()), // FLOAT
  71: (from) => from.bytes(8).readDoubleBE(), // BINFLOAT
  83: (from) => fromRepr(from.line()), // STRING
  84: (from) => text(from.bytes(from.unsigned(4))), // BINSTRING
  85: (from) => text(from.bytes(from.unsigned(1))), // SHORT_BINSTRING
  86: (from) => rawUnicode(from.line()), // UNICODE
  88: (from) => from.bytes(from.unsigned(4)).toString('utf8'), // BINUNICODE
  140: (from) => from.bytes(from.unsigned(1)).toString('utf8'), // SHORT_BINUNICODE
  141: (from) => from.bytes(from.unsigned(8)).toString('utf8'), // BINUNICODE8
  66: (from) => from.bytes(from.unsigned(4)), // BINBYTES
  67: (from) => from.bytes(from.unsigned(1)), // SHORT_BINBYTES
  142: (from) => from.bytes(from.unsigned(8)), // BINBYTES8
};
